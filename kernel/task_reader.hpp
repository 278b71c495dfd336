// SPDX-License-Identifier: GPL-3.0-or-later
// One task_struct, read with as few reads as its pages allow.
#pragma once
#include "kernel/task.hpp"

namespace kcrash {

// A task with the links that lead on from it. A link that could not be read is absent.
struct RawTask {
    Task task;
    std::optional<uint64_t> tasks_next, tasks_prev;     // of the list of all leaders
    std::optional<uint64_t> thread_next, thread_prev;   // of its group's threads
    std::optional<uint64_t> signal;
    std::optional<bool> on_cpu;
};

// Knows where the members are. LookupError when task_struct itself is unknown; single members may be missing.
// Safe from many threads.
class TaskReader {
public:
    explicit TaskReader(const Target& target);
    RawTask read(uint64_t task_struct) const;

    uint64_t tasks_offset() const { return tasks_; }                  // of task_struct.tasks
    std::optional<uint64_t> thread_node_offset() const;               // of task_struct.thread_node (or thread_group)
    std::optional<uint64_t> thread_head_offset() const;               // of signal_struct.thread_head; absent: a ring without head
    std::optional<uint64_t> pid_link_offset() const { return pid_link_; } // of the hlist node in pid.tasks[PIDTYPE_PID]

private:
    class Source;
    void read_cpu(const Source& source, RawTask& raw) const;

    const Target& target_;
    uint64_t begin_ = 0, end_ = 0; // the bytes of task_struct that hold all members that are read
    std::optional<Member> state_, exit_state_, flags_, mm_, stack_, pid_, tgid_, parent_, comm_, cpu_, stack_cpu_, on_cpu_,
        signal_, thread_node_;
    uint64_t tasks_ = 0;
    std::optional<uint64_t> thread_head_, pid_link_;
    bool old_state_bits_ = false;
};

} // namespace kcrash
