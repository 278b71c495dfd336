// SPDX-License-Identifier: GPL-3.0-or-later
// GDB's index of a file's names (.gdb_index), from our own pass over its DWARF: GDB itself takes several times as long to make one.
#pragma once
#include "symbols/dwarf_file.hpp"
#include "symbols/dwarf_names.hpp"
#include <vector>

namespace kcrash {

// The bytes of an index of version 8, with link addresses. A type that many units define alike (by name, size and line) is entered once,
// for the first of them. Empty when the file has what is not indexed here: other languages than C and assembler, whose names are nested;
// units of types, or of parts. FileError when damaged.
std::vector<std::byte> make_gdb_index(const DwarfFile& file, const ProgressMaker& progress = {});

} // namespace kcrash
