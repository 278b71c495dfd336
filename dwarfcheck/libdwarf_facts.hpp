// SPDX-License-Identifier: GPL-3.0-or-later
// The attributes of one entry that say something of a type, read with libdwarf.
#pragma once
#include "dwarfcheck/libdwarf_handle.hpp"
#include <cstdint>
#include <optional>
#include <string_view>

namespace kcrash::dwarfcheck {

struct Facts {
    std::string_view name; // lives as long as the handle
    std::optional<uint64_t> type, origin; // entries, by offset in .debug_info
    std::optional<uint64_t> size, location, bit_size, data_bit_offset, bit_offset, encoding, count, upper_bound;
    std::optional<int64_t> value; // of an enumerator
    bool declared = false;
};

// FileError with libdwarf's message. What an entry says by way of its origin or specification is in the facts too.
Facts read_facts(Dwarf_Debug debug, const Die& die);

} // namespace kcrash::dwarfcheck
