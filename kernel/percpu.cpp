// SPDX-License-Identifier: GPL-3.0-or-later
#include "kernel/percpu.hpp"
#include "core/error.hpp"
#include "kernel/word.hpp"

namespace kcrash {

std::optional<uint64_t> per_cpu_address(const Target& target, uint64_t address, unsigned cpu) {
    try {
        return truncate_to_word(target, address + target.per_cpu_offset(cpu));
    } catch (const LookupError&) {
        return std::nullopt;
    }
}

std::optional<int64_t> percpu_counter_sum(const Target& target, uint64_t counter, bool* incomplete) {
    const auto count = target.try_member("percpu_counter", {"count"});
    uint64_t value = 0;
    if (!count || count->load(target.kernel(), counter, value) != Fault::none) return std::nullopt;
    int64_t sum = static_cast<int64_t>(value);
    const auto counters = target.try_member("percpu_counter", {"counters"}); // a kernel for one CPU has none
    if (!counters) return sum;
    uint64_t parts = 0;
    const Fault fault = counters->load(target.kernel(), counter, parts);
    if (fault != Fault::none && incomplete) *incomplete = true;
    if (fault != Fault::none || parts == 0) return sum; // null: not set up yet
    for (const unsigned cpu : target.possible_cpus()) {
        const auto at = per_cpu_address(target, parts, cpu);
        int32_t part = 0;
        if (at && target.kernel().try_load(VirtualAddress(*at), part) == Fault::none) sum += part;
        else if (incomplete) *incomplete = true;
    }
    return sum;
}

} // namespace kcrash
