// SPDX-License-Identifier: GPL-3.0-or-later
// The relocations of a module's DWARF: a .ko is an object file, its DWARF is full of holes.
#pragma once
#include "symbols/elf_file.hpp"
#include <libelf.h>

namespace kcrash {

// Fills the holes in place, for sections at `addresses` (by section index; 0: not in memory). `elf` must have been opened with
// ELF_C_READ_MMAP_PRIVATE or must own its data. FileError for an architecture whose relocations are not known.
void relocate_dwarf(Elf* elf, const ElfFile& file, const std::vector<uint64_t>& addresses);

} // namespace kcrash
