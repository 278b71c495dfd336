// SPDX-License-Identifier: GPL-3.0-or-later
// Per-cpu memory without exceptions: include/linux/percpu.h.
#pragma once
#include "kernel/target.hpp"

namespace kcrash {

// Where a per-cpu variable or a pointer from alloc_percpu() lies for one CPU; nothing when its offset cannot be read.
std::optional<uint64_t> per_cpu_address(const Target& target, uint64_t address, unsigned cpu);

// A struct percpu_counter (include/linux/percpu_counter.h): its count and what the CPUs hold back. Nothing when the count
// cannot be read; `incomplete` is set when a CPU's part cannot.
std::optional<int64_t> percpu_counter_sum(const Target& target, uint64_t counter, bool* incomplete = nullptr);

} // namespace kcrash
