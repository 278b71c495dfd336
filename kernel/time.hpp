// SPDX-License-Identifier: GPL-3.0-or-later
// The kernel's clocks as they stood: include/linux/timekeeper_internal.h, jiffies.h.
#pragma once
#include "kernel/target.hpp"
#include <array>

namespace kcrash {

// Each is absent when this kernel does not tell, or the dump does not have it.
struct KernelClock {
    std::optional<int64_t> real_seconds;      // since 1970, UTC: what date said at the last tick
    uint64_t real_fraction = 0;               // nanoseconds beyond real_seconds, as far as the clock tells
    std::optional<uint64_t> boot_nanoseconds; // since boot, with the time asleep: what /proc/uptime said
};
KernelClock read_clock(const Target& target);

std::optional<uint64_t> read_jiffies(const Target& target);            // jiffies_64, as it stands
std::optional<uint64_t> nanoseconds_per_jiffy(const Target& target);   // 4,000,000 for HZ=250

// The three load averages of /proc/loadavg, as fixed-point numbers with 11 bits behind the point.
std::optional<std::array<uint64_t, 3>> read_load_average(const Target& target);

// The same moment as `date` prints it: "Sat Nov 21 00:12:11 UTC 2026". Time zone: the host's.
std::string format_date(int64_t seconds);
// "00:00:20", "1 days, 01:35:32".
std::string format_uptime(uint64_t seconds);

} // namespace kcrash
