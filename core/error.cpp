// SPDX-License-Identifier: GPL-3.0-or-later
// The words for faults and errors.
#include "core/error.hpp"
#include <fmt/format.h>

namespace kcrash {

std::string_view describe(Fault fault) {
    switch (fault) {
    case Fault::none: return "no fault";
    case Fault::excluded: return "page excluded from the dump by makedumpfile";
    case Fault::excluded_or_zero: return "page left out of the ELF dump: excluded, or all zeroes";
    case Fault::not_in_dump: return "not in the dump";
    case Fault::incomplete: return "page lost: the dump is incomplete";
    case Fault::truncated: return "beyond the end of the dump file, which is truncated";
    case Fault::damaged: return "page data in the dump is damaged";
    case Fault::io: return "the dump file cannot be read";
    case Fault::no_mapping: return "no mapping in the page tables";
    case Fault::swapped: return "page is in swap";
    case Fault::bad_table: return "page table entry is invalid";
    case Fault::noncanonical: return "not a valid virtual address";
    }
    return "unknown fault";
}

std::string_view name(Fault fault) {
    switch (fault) {
    case Fault::none: return "none";
    case Fault::excluded: return "excluded";
    case Fault::excluded_or_zero: return "excluded-or-zero";
    case Fault::not_in_dump: return "not-in-dump";
    case Fault::incomplete: return "incomplete";
    case Fault::truncated: return "truncated";
    case Fault::damaged: return "damaged";
    case Fault::io: return "io";
    case Fault::no_mapping: return "no-mapping";
    case Fault::swapped: return "swapped";
    case Fault::bad_table: return "bad-table";
    case Fault::noncanonical: return "noncanonical";
    }
    return "unknown";
}

static std::string memory_message(Fault fault, uint64_t address, std::string_view space, std::string_view what) {
    const std::string place = fmt::format("{} address 0x{:x}", space, address);
    return what.empty() ? fmt::format("{}: {}", place, describe(fault))
                        : fmt::format("{}: {}: {}", what, place, describe(fault));
}

MemoryError::MemoryError(Fault f, uint64_t a, std::string_view space, std::string_view what)
    : Error(memory_message(f, a, space, what)), fault(f), address(a) {}

} // namespace kcrash
