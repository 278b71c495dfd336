// SPDX-License-Identifier: GPL-3.0-or-later
// What a process's memory descriptor counts: include/linux/mm_types.h.
#pragma once
#include "kernel/task.hpp"
#include <unordered_map>

namespace kcrash {

// Pages. Absent: unreadable, or unknown to this kernel.
struct MemoryUse {
    std::optional<uint64_t> total;                              // mm.total_vm: VmSize
    std::optional<int64_t> file, anonymous, swapped, shared;    // RssFile, RssAnon, VmSwap, RssShmem
    std::optional<int64_t> resident() const;                    // VmRSS: file + anonymous + shared, never below 0
};

// Reads counters of many mm: knows where they are. Counts that CPUs or threads hold back are added, which /proc leaves out
// on some kernels. Looks at target and tasks.
class MemoryReader {
public:
    MemoryReader(const Target& target, const Tasks& tasks);
    MemoryUse read(uint64_t mm) const; // 0: no memory, all counts are 0

private:
    std::optional<int64_t> counter(uint64_t mm, unsigned index) const;

    const Target& target_;
    std::optional<Member> total_, stat_;
    bool per_cpu_ = false;     // rss_stat is an array of percpu_counter
    uint64_t stride_ = 8;      // bytes from one counter to the next
    std::optional<int64_t> file_, anonymous_, swapped_, shared_; // their indexes
    std::unordered_map<uint64_t, std::vector<int64_t>> held_;    // mm -> what its threads hold back, by index
};

// The strings between two addresses of a process: its arguments or its environment. MemoryError names the first unreadable byte.
struct ProcessStrings {
    std::vector<std::string> arguments, environment;
};
ProcessStrings read_process_strings(const Target& target, uint64_t mm);

// The address space of a process, from mm.pgd. MemoryError.
std::unique_ptr<AddressSpace> process_space(const Target& target, uint64_t mm);

} // namespace kcrash
