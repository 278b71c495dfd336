// SPDX-License-Identifier: GPL-3.0-or-later
#include "commands/user_space.hpp"
#include "core/error.hpp"
#include <fmt/format.h>

namespace kcrash {

std::unique_ptr<AddressSpace> user_space_of(const Target& target, const Task& task) {
    const auto who = task.pid ? fmt::format("pid {}", *task.pid) : fmt::format("task 0x{:x}", task.address);
    if (!task.mm) throw Error(fmt::format("the mm of {} cannot be read", who));
    if (*task.mm == 0) throw UsageError(fmt::format("{} has no user address space: it is a kernel thread; choose another with \"set\"", who));
    const uint64_t top = target.object("struct mm_struct", *task.mm)["pgd"].u64();
    return target.user_space(target.kernel().translate(VirtualAddress{top}));
}

} // namespace kcrash
