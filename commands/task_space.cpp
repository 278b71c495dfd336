// SPDX-License-Identifier: GPL-3.0-or-later
// From a task to its page tables.
#include "commands/task_space.hpp"
#include "core/error.hpp"
#include <fmt/format.h>

namespace kcrash {

std::unique_ptr<AddressSpace> task_space(const Session& session, const Task& task) {
    const int64_t pid = task.pid.value_or(-1);
    if (!task.mm) throw Error(fmt::format("the mm of pid {} cannot be read", pid));
    if (*task.mm == 0) throw UsageError(fmt::format("pid {} has no user address space: it is a kernel thread, or has exited", pid));
    const Target& target = session.target();
    const uint64_t top = target.object("struct mm_struct", *task.mm)["pgd"].u64();
    return target.user_space(target.kernel().translate(VirtualAddress{top}));
}

} // namespace kcrash
