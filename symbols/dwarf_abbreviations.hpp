// SPDX-License-Identifier: GPL-3.0-or-later
// How the entries of a unit of .debug_info are built: its table of .debug_abbrev (DWARF 5 specification, section 7.5.3).
#pragma once
#include "core/cursor.hpp"
#include <cstdint>
#include <dwarf.h>
#include <unordered_map>
#include <vector>

namespace kcrash {

// What an attribute is to the pass over names.
enum class Role : uint8_t { other, name, sibling, declaration, external, specification, string_base, size, line, language, location };

struct Attribute {
    Role role;
    uint16_t form;
    int64_t implicit;
};

struct Abbreviation {
    uint16_t tag = 0;
    bool children = false;
    bool elsewhere = false; // its name, or what it includes, is in another unit
    std::vector<Attribute> attributes;
    int64_t fixed_size = -1; // bytes of all attributes when all have one size; -1: they have not
    int64_t sibling_at = -1; // where the sibling attribute stands, in bytes; -1: none, or behind something of no fixed size
    unsigned sibling_form = 0;
};

struct UnitHeader {
    uint64_t offset = 0; // in .debug_info
    unsigned version = 0, offset_size = 4, address_size = 8, type = DW_UT_compile;
    uint64_t abbreviations = 0;
};

// Bytes of a form; -1: not fixed.
int64_t fixed_size_of(unsigned form, const UnitHeader& unit);
// Moves behind a value. FileError for an unknown form.
void skip_form(Cursor& at, unsigned form, const UnitHeader& unit);

// The declarations of one unit. Codes count from 1 without holes in what compilers write; others go to the map.
class Abbreviations {
public:
    void read(Cursor& at, const UnitHeader& unit); // in place of those before. FileError when they are cut off
    const Abbreviation* find(uint64_t code) const; // null: there is none; good until the next read

private:
    std::vector<Abbreviation> list_;
    std::unordered_map<uint64_t, Abbreviation> others_;
};

} // namespace kcrash
