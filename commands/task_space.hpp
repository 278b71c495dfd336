// SPDX-License-Identifier: GPL-3.0-or-later
// The user address space of a task, as commands ask for it.
#pragma once
#include "commands/session.hpp"
#include <memory>

namespace kcrash {

// UsageError for a kernel thread, MemoryError when the mm or its top table cannot be read.
std::unique_ptr<AddressSpace> task_space(const Session& session, const Task& task);

} // namespace kcrash
