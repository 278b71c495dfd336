// SPDX-License-Identifier: GPL-3.0-or-later
// The kernel's memory counters: include/linux/vmstat.h, what /proc/meminfo and /proc/vmstat are made of.
#pragma once
#include "kernel/target.hpp"

namespace kcrash {

// One named counter. Absent: unreadable.
struct Counter {
    std::string_view name; // the enumerator: "NR_FREE_PAGES"
    std::optional<int64_t> value;
};
struct CounterTable {
    std::string_view name; // "VM_ZONE_STAT"
    std::vector<Counter> counters;
};
// The tables that this kernel has: zone, node, NUMA, events. Values as they stand: pages, and events summed over the CPUs.
std::vector<CounterTable> read_counters(const Target& target);
// The names of the counters of a zone, in their order.
std::vector<std::string_view> zone_counter_names(const Target& target);

// Use of memory; pages unless said otherwise. Absent: unreadable, or not in this kernel.
struct MemoryInfo {
    std::optional<int64_t> total, free, buffers, file_pages, swap_cache, slab_reclaimable, slab_unreclaimable, shmem;
    std::optional<uint64_t> huge_total, huge_free;   // of all sizes of huge pages
    std::optional<uint64_t> swap_total, swap_used;
    std::optional<uint64_t> commit_limit;
    std::optional<int64_t> committed;                // with what the CPUs hold back
    bool committed_incomplete = false;               // some CPU's part could not be read
    // Page cache without buffers and swap cache, as /proc/meminfo's Cached.
    std::optional<int64_t> cached() const;
};
MemoryInfo read_memory_info(const Target& target);

// Pages, reserved ones left out, with more than one reference: kmem -i=shared. One pass over all struct pages, in parallel.
std::optional<uint64_t> count_shared_pages(const Target& target);

} // namespace kcrash
