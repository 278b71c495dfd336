// SPDX-License-Identifier: GPL-3.0-or-later
// The table of DWARF's names: where the entry of each is.
#pragma once
#include "symbols/dwarf_names.hpp"
#include <vector>

namespace kcrash {

// Letters as in dwarf_names.hpp; `address` of each symbol is the offset of its entry in .debug_info (of an enumerator: of its enum).
// Gives a block of symbol_image.hpp. FileError when damaged.
std::vector<std::byte> index_dwarf(const ElfFile& file, bool with_types, const DwarfSections& section, const ProgressMaker& progress = {});

} // namespace kcrash
