// SPDX-License-Identifier: GPL-3.0-or-later
// The address space of a task, for the options -u of struct, p and rd.
#pragma once
#include "core/memory/address_space.hpp"
#include "kernel/task.hpp"
#include <memory>

namespace kcrash {

// UsageError for a kernel thread; MemoryError when its mm cannot be read. The result looks at the target.
std::unique_ptr<AddressSpace> user_space_of(const Target& target, const Task& task);

} // namespace kcrash
