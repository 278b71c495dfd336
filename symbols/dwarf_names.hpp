// SPDX-License-Identifier: GPL-3.0-or-later
// The names of DWARF's outermost entries, found in one fast pass of our own: libdw takes several times as long.
#pragma once
#include "core/progress.hpp"
#include "symbols/elf_file.hpp"
#include <functional>
#include <span>
#include <string_view>

namespace kcrash {

// Gives a section's bytes, uncompressed and relocated. They stay.
using DwarfSections = std::function<std::span<const std::byte>(std::string_view name)>;

struct DwarfUnit {
    uint64_t offset = 0, size = 0; // in .debug_info, with its header
    uint64_t root = 0;             // offset of its outermost entry
    unsigned language = 0;         // DW_LANG_...
    bool complete = false;         // a plain compile unit; not one of types, of parts, or of a DWARF that is not known
};

// Letters: V external variable, v other variable, D only declared; F, f and G functions likewise; and with types s struct, u union,
// e enum, t typedef, b base type, c enumerator.
struct DwarfName {
    static constexpr uint64_t no_offset = ~uint64_t{0};
    char letter;
    std::string_view name;  // good until the next unit
    uint64_t string_offset; // of the name in .debug_str, if it is there
    uint64_t entry;         // offset of the entry in .debug_info; of an enumerator: of its enum
    uint64_t size, line;    // of a type in bytes, and where its source has it; of an enumerator: those of its enum. 0: not told
    bool located;           // a variable: it has a place or a value; else the compiler has left nothing of it
};

class DwarfNameVisitor {
public:
    virtual ~DwarfNameVisitor() = default;
    virtual void unit(const DwarfUnit&) {}        // names that follow are of this one
    virtual bool name(const DwarfName& name) = 0; // of an enum: are its enumerators wanted?
    virtual void elsewhere() {}                   // the unit has outermost entries whose names are in other units: they are not told
};

// FileError when damaged.
void visit_dwarf_names(const ElfFile& file, bool with_types, const DwarfSections& section, DwarfNameVisitor& visitor, const ProgressMaker& progress = {});

} // namespace kcrash
