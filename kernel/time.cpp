// SPDX-License-Identifier: GPL-3.0-or-later
#include "kernel/time.hpp"
#include "kernel/word.hpp"
#include <ctime>
#include <fmt/format.h>

namespace kcrash {
namespace {

// The address of the struct timekeeper of the system clock, newest place first.
std::optional<uint64_t> find_timekeeper(const Target& target) {
    // v6.17 ("timekeeping: Introduce auxiliary timekeepers"): timekeeper_data[], whose first one is the core's. v6.13: tk_core
    // became a struct tk_data.
    if (const auto inside = target.try_member("tk_data", {"timekeeper"}))
        for (const char* name : {"timekeeper_data", "tk_core"})
            if (const auto data = target.symbol_address(name)) return *data + inside->offset;
    // v3.17 to v6.12: tk_core has no named type; shadow_timekeeper is the copy that every tick updates with it. Before v3.17
    // there is a plain struct.
    for (const char* name : {"shadow_timekeeper", "timekeeper"})
        if (const auto keeper = target.symbol_address(name)) return keeper;
    return std::nullopt;
}

std::optional<uint64_t> load(const Target& target, uint64_t base, std::string_view type, std::initializer_list<std::string_view> names) {
    const auto member = target.try_member(type, names);
    uint64_t value = 0;
    if (!member || member->load(target.kernel(), base, value) != Fault::none) return std::nullopt;
    return value;
}

} // namespace

KernelClock read_clock(const Target& target) {
    KernelClock clock;
    const auto keeper = find_timekeeper(target);
    if (!keeper) {
        // Before v3.4: struct timespec xtime, whose first word is the seconds.
        uint64_t seconds = 0;
        const auto xtime = target.symbol_address("xtime");
        if (xtime && try_word(target, *xtime, seconds) == Fault::none) clock.real_seconds = seconds;
        return clock;
    }
    if (const auto seconds = load(target, *keeper, "timekeeper", {"xtime_sec"})) clock.real_seconds = static_cast<int64_t>(*seconds);
    // Monotonic time of the last tick is base + (xtime_nsec >> shift); boot time adds the time asleep.
    const auto base = load(target, *keeper, "timekeeper", {"tkr_mono.base", "tkr.base_mono"});
    const auto fraction = load(target, *keeper, "timekeeper", {"tkr_mono.xtime_nsec", "tkr.xtime_nsec"});
    const auto shift = load(target, *keeper, "timekeeper", {"tkr_mono.shift", "tkr.shift"});
    const auto asleep = load(target, *keeper, "timekeeper", {"offs_boot"});
    if (!fraction || !shift || *shift > 63) return clock;
    clock.real_fraction = *fraction >> *shift;
    if (base && asleep) clock.boot_nanoseconds = *base + *asleep + clock.real_fraction;
    return clock;
}

std::optional<uint64_t> read_jiffies(const Target& target) {
    for (const char* name : {"jiffies_64", "jiffies"}) {
        uint64_t value = 0;
        const auto address = target.symbol_address(name);
        if (address && target.kernel().try_load(VirtualAddress(*address), value) == Fault::none) return value;
    }
    return std::nullopt;
}

// HZ is a macro. The jiffies clock source has it as a number: its mult is the length of a jiffy, shifted by its shift.
std::optional<uint64_t> nanoseconds_per_jiffy(const Target& target) {
    const auto source = target.symbol_address("clocksource_jiffies");
    if (!source) return std::nullopt;
    const auto mult = load(target, *source, "clocksource", {"mult"}), shift = load(target, *source, "clocksource", {"shift"});
    if (!mult || !shift || *shift > 31 || (*mult >> *shift) < 100'000 || (*mult >> *shift) > 1'000'000'000) return std::nullopt;
    return *mult >> *shift;
}

std::optional<std::array<uint64_t, 3>> read_load_average(const Target& target) {
    const auto address = target.symbol_address("avenrun");
    if (!address) return std::nullopt;
    std::array<uint64_t, 3> load{};
    for (unsigned i = 0; i < 3; ++i) {
        std::byte bytes[8];
        const std::span<std::byte> into(bytes, target.arch().word_size);
        if (target.kernel().try_read(VirtualAddress(*address + i * into.size()), into) != Fault::none) return std::nullopt;
        load[i] = load_unsigned(into, target.kernel().order());
    }
    return load;
}

std::string format_date(int64_t seconds) {
    const auto when = static_cast<std::time_t>(seconds);
    std::tm broken{};
    if (!localtime_r(&when, &broken)) return fmt::format("{} seconds since 1970", seconds);
    char text[64];
    const size_t n = std::strftime(text, sizeof text, "%a %b %e %H:%M:%S %Z %Y", &broken);
    return {text, n};
}

std::string format_uptime(uint64_t seconds) {
    const uint64_t days = seconds / 86400;
    const std::string clock = fmt::format("{:02}:{:02}:{:02}", seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    return days > 0 ? fmt::format("{} days, {}", days, clock) : clock;
}

} // namespace kcrash
