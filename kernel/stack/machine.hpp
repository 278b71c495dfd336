// SPDX-License-Identifier: GPL-3.0-or-later
// What the stacks of one machine have in common: found once, used for every task.
#pragma once
#include "kernel/stack/unwinder.hpp"

namespace kcrash {

// The kernel's own symbols only: a name that is not there would make every module's symbols be read.
std::optional<uint64_t> kernel_symbol(const Target& target, std::string_view name);
// Bytes of a task's kernel stack.
uint64_t process_stack_size(const Target& target);
// The interrupt and exception stacks of one CPU.
std::vector<StackRange> special_stacks_of(const Target& target, unsigned cpu);
// The same for one architecture, stack_<arch>.cpp. To add one: write that file and name it in special_stacks.cpp.
std::vector<StackRange> x86_64_stacks(const Target& target, unsigned cpu);
// Are the registers of the notes those of the moment of the dump (QEMU), or those that a CPU had when it was stopped?
bool notes_are_of_the_moment(const Target& target);

// Registers and stacks of tasks, and of the CPUs that they ran on. Looks at the target. Safe from many threads.
class Unwinder {
public:
    explicit Unwinder(const Target& target);
    Stack unwind(const Task& task, const StackOptions& options = {}) const;
    // The range of the task's own stack; nothing when its address could not be read.
    std::optional<StackRange> process_stack(const Task& task) const;
    // Where the task's stack begins to be in use: the saved stack pointer, or the CPU's. Nothing when nobody knows.
    std::optional<StackStart> start_of(const Task& task, const StackOptions& options = {}) const;

private:
    friend class TaskWorld;
    std::optional<StackStart> sleeping_start(const Task& task) const;
    std::string describe_no_start(uint64_t sp) const; // where the user said that the stack begins
    std::optional<StackStart> active_start(const StackWorld& world, const Task& task) const;

    const Target& target_;
    uint64_t stack_size_;
    std::vector<uint64_t> tracers_; // return addresses that stand for others
};

// Symbols of code that is the return address of functions that are being traced.
std::vector<uint64_t> tracer_returns(const Target& target);
// The return address that a tracer took from `slot` of the task's stack.
std::optional<uint64_t> traced_return(const Target& target, const Task& task, uint64_t slot);

} // namespace kcrash
