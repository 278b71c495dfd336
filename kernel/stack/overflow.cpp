// SPDX-License-Identifier: GPL-3.0-or-later
// Has a task's stack run over? Its lowest word says so: end_of_stack() of include/linux/sched/task_stack.h.
#include "kernel/stack/scan.hpp"
#include "kernel/word.hpp"
#include <fmt/format.h>

namespace kcrash {

StackDamage check_overflow(const Target& target, const Task& task) {
    constexpr uint64_t magic = 0x57ac6e9d; // STACK_END_MAGIC of include/uapi/linux/magic.h
    StackDamage damage;
    if (!task.stack || *task.stack == 0) {
        damage.unreadable = !task.stack; // none: the task is dead, and has no stack to check
        return damage;
    }
    // Until v4.9 struct thread_info lies at the low end of the stack and names its task.
    uint64_t lowest = *task.stack;
    const auto owner = target.try_member("thread_info", {"task"});
    const auto cpu = owner ? target.try_member("thread_info", {"cpu"}) : std::nullopt;
    uint64_t value = 0;
    if (owner) {
        if (owner->load(target.kernel(), lowest, value) != Fault::none) damage.unreadable = true;
        else if (value != task.address) damage.problems.push_back(fmt::format("thread_info.task: {:x} != {:x}", value, task.address));
        if (cpu && cpu->load(target.kernel(), lowest, value) == Fault::none && value > target.possible_cpus().back())
            damage.problems.push_back(fmt::format("thread_info.cpu: {} > {}", value, target.possible_cpus().back()));
        lowest += target.size_of("struct thread_info");
    }
    if (try_word(target, lowest, value) != Fault::none) damage.unreadable = true;
    else if (value != magic) damage.problems.push_back(fmt::format("{:x} != STACK_END_MAGIC", value));
    return damage;
}

} // namespace kcrash
