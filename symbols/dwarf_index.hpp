// SPDX-License-Identifier: GPL-3.0-or-later
// The names of DWARF's outermost entries, found in one fast pass of our own: libdw takes several times as long.
#pragma once
#include "core/progress.hpp"
#include "symbols/elf_file.hpp"
#include <functional>
#include <span>
#include <vector>

namespace kcrash {

// Letters: V external variable, v other variable, D only declared; F, f and G functions likewise; and with types s struct, u union, e enum, t typedef, b base type,
// c enumerator. `address` of each symbol is the offset of its entry in .debug_info (of an enumerator: of its enum).
// `section` gives a section's bytes, uncompressed and relocated. Gives a block of symbol_image.hpp. FileError when damaged.
std::vector<std::byte> index_dwarf(const ElfFile& file, bool with_types, const std::function<std::span<const std::byte>(std::string_view)>& section,
                                   const ProgressMaker& progress = {});

} // namespace kcrash
