// SPDX-License-Identifier: GPL-3.0-or-later
// Tasks: include/linux/sched.h.
#pragma once
#include "kernel/target.hpp"
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

namespace kcrash {

// One task_struct, read once. Fields that could not be read are absent; `faults` counts them.
struct Task {
    uint64_t address = 0;                 // of task_struct
    std::optional<int64_t> pid, tgid;
    std::optional<int64_t> ppid;          // of real_parent (tgid), as ps prints it
    std::optional<uint64_t> parent;       // address of real_parent
    std::optional<unsigned> cpu;
    std::optional<uint64_t> state;        // __state | exit_state << nothing: raw __state
    std::optional<uint64_t> exit_state;
    std::optional<uint64_t> flags;        // PF_*
    std::optional<uint64_t> mm;           // 0: none
    std::optional<uint64_t> stack;        // lowest address of the kernel stack
    std::optional<std::string> comm;      // bytes as they are; escaped by the report
    bool active = false;                  // runs on its cpu
    bool is_idle = false;                 // swapper/N
    bool old_state_bits = false;          // `state` has the bits of Linux before 4.14
    // PF_KTHREAD of include/linux/sched.h (246bb0b1deb2, v2.6.27). A zombie has no mm either, and a kernel thread may borrow one.
    bool kernel_thread() const { return flags ? (*flags & 0x00200000) != 0 : mm && *mm == 0; }
    unsigned faults = 0;
};

// "RU", "IN", "UN", "ZO", "ST", "TR", "DE", "SW", "WA", "PA", "ID", "NE"; "??" when unknown. From the kernel's own bits.
std::string state_name(const Task& task);
// "TASK_RUNNING", "TASK_INTERRUPTIBLE|TASK_NOLOAD", ...: all of the bits by the kernel's names.
std::string state_long_name(const Task& task);

// All tasks, swappers first (by cpu), then by pid: as crash lists them. Cyclic or broken lists end with a warning, never a hang.
// What else could be found (by pid table, by list) is shown. Built once; safe from many threads afterwards.
class Tasks {
public:
    explicit Tasks(const Target& target);
    const std::vector<Task>& all() const { return tasks_; }
    const Task* by_address(uint64_t task_struct) const;
    std::vector<const Task*> by_pid(int64_t pid) const;      // several for pid 0
    const Task* active_on(unsigned cpu) const;
    // The user's word against the dump's (set -a): the task is the one that ran on its cpu. Between commands only.
    void set_active(const Task& task);
    // The leader of the task's thread group; null when it is gone or could not be read.
    const Task* leader_of(const Task& task) const;
    // The task that panicked and the CPU it did so on; null when nobody panicked or nobody knows.
    const Task* panic_task() const { return panic_; }
    std::optional<unsigned> panic_cpu() const { return panic_cpu_; }
    const std::vector<std::string>& warnings() const { return warnings_; }

private:
    void index();
    void find_active(const Target& target);
    void find_panic(const Target& target);

    std::vector<Task> tasks_;
    std::unordered_map<uint64_t, size_t> by_address_;
    std::unordered_multimap<int64_t, size_t> by_pid_;
    std::map<unsigned, size_t> active_;
    const Task* panic_ = nullptr;
    std::optional<unsigned> panic_cpu_;
    std::vector<std::string> warnings_;
};

// Reads one task_struct without any list. Never throws for unreadable fields.
Task read_task(const Target& target, uint64_t task_struct);

} // namespace kcrash
