// SPDX-License-Identifier: GPL-3.0-or-later
// CPUs and per-cpu memory: include/linux/cpumask.h, include/asm-generic/percpu.h.
#include "core/error.hpp"
#include "core/interrupt.hpp"
#include "kernel/target_open.hpp"
#include "kernel/word.hpp"
#include <algorithm>
#include <fmt/format.h>

namespace kcrash {
namespace {

constexpr unsigned most_cpus = 65536; // more than any kernel is configured for; bounds what a damaged dump can claim

// Bits of a struct cpumask variable, lowest first, below `limit`. Nothing when it cannot be read.
std::optional<std::vector<unsigned>> read_mask(const Target& target, std::string_view symbol, unsigned limit) {
    const auto address = target.symbol_address(symbol);
    if (!address) return std::nullopt;
    std::vector<unsigned> cpus;
    const unsigned width = target.arch().word_size * 8;
    for (unsigned first = 0; first < limit; first += width) {
        uint64_t bits = 0;
        if (try_word(target, *address + first / 8, bits) != Fault::none) return std::nullopt;
        for (unsigned bit = 0; bit < width && first + bit < limit; ++bit)
            if (bits >> bit & 1) cpus.push_back(first + bit);
    }
    return cpus;
}

unsigned cpu_limit(const Target& target) {
    uint32_t count = 0;
    if (auto address = target.symbol_address("nr_cpu_ids");
        address && target.kernel().try_load(VirtualAddress{*address}, count) == Fault::none && count && count <= most_cpus)
        return count;
    // nr_cpu_ids is a constant where CONFIG_NR_CPUS is forced: the mask's own size is the limit.
    if (target.types().find(TypeKind::structure, "cpumask")) return static_cast<unsigned>(std::min<uint64_t>(target.size_of("struct cpumask") * 8, most_cpus));
    return 64;
}

} // namespace

// Reads masks and offsets once. Each of them may be missing from a damaged dump: then what the others say is used.
static void read_cpus(const Target& target, Target::Lazy& lazy);

const std::vector<unsigned>& Target::possible_cpus() const {
    std::lock_guard guard(lazy_->lock);
    if (!lazy_->cpus_read) read_cpus(*this, *lazy_);
    return lazy_->possible;
}

const std::vector<unsigned>& Target::present_cpus() const {
    std::lock_guard guard(lazy_->lock);
    if (!lazy_->cpus_read) read_cpus(*this, *lazy_);
    return lazy_->present;
}

const std::vector<unsigned>& Target::online_cpus() const {
    std::lock_guard guard(lazy_->lock);
    if (!lazy_->cpus_read) read_cpus(*this, *lazy_);
    return lazy_->online;
}

static void read_cpus(const Target& target, Target::Lazy& lazy) {
    const unsigned limit = cpu_limit(target);
    const auto possible = read_mask(target, "__cpu_possible_mask", limit);
    const auto present = read_mask(target, "__cpu_present_mask", limit);
    const auto online = read_mask(target, "__cpu_online_mask", limit);
    const std::vector<unsigned> only_boot{0};
    lazy.possible = possible && !possible->empty() ? *possible : present && !present->empty() ? *present : only_boot;
    lazy.present = present && !present->empty() ? *present : lazy.possible;
    lazy.online = online && !online->empty() ? *online : lazy.present;
    if (auto offsets = target.symbol_address("__per_cpu_offset")) {
        lazy.cpu_offsets.assign(lazy.possible.back() + 1, 0);
        for (unsigned cpu : lazy.possible) {
            uint64_t value = 0;
            if (try_word(target, *offsets + cpu * uint64_t{target.arch().word_size}, value) == Fault::none) lazy.cpu_offsets[cpu] = value;
        }
    }
    lazy.per_cpu_begin = target.symbol_address("__per_cpu_start").value_or(0);
    lazy.per_cpu_end = target.symbol_address("__per_cpu_end").value_or(0);
    lazy.cpus_read = true;
}

uint64_t Target::per_cpu_offset(unsigned cpu) const {
    const auto& possible = possible_cpus();
    if (!std::binary_search(possible.begin(), possible.end(), cpu))
        throw LookupError(fmt::format("cpu {} does not exist; the kernel knows cpus up to {}", cpu, possible.back()));
    if (lazy_->cpu_offsets.empty()) return 0; // a kernel for one CPU: per-cpu variables are where their symbols are
    if (lazy_->cpu_offsets[cpu] == 0) throw LookupError(fmt::format("the per-cpu offset of cpu {} cannot be read", cpu));
    return lazy_->cpu_offsets[cpu];
}

bool Target::is_per_cpu_symbol(uint64_t address) const {
    possible_cpus();
    if (lazy_->per_cpu_end > lazy_->per_cpu_begin && address >= lazy_->per_cpu_begin && address < lazy_->per_cpu_end) return true;
    for (const LoadedModule& module : symbols().modules())
        if (module.percpu && address >= module.percpu && address < module.percpu + module.percpu_size) return true;
    return false;
}

} // namespace kcrash
