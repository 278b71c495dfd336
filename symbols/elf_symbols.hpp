// SPDX-License-Identifier: GPL-3.0-or-later
// What the reader of ELF symbols shares with the index cache.
#pragma once
#include "symbols/elf_file.hpp"
#include "symbols/symbol_image.hpp"

namespace kcrash {

// All symbols of a linked file, at link addresses, as one block.
std::vector<std::byte> build_symbol_image(const ElfFile& file);

// Run-time addresses of a module's sections by index; 0: not in memory, as those of the init part are not after it has run.
std::vector<uint64_t> section_addresses(const ElfFile& file, const LoadedModule& module);

// Marks of code and data inside a function (ARM, RISC-V), and labels that a compiler kept: not names of anything.
bool is_mark(std::string_view name);

std::string file_name(const std::string& path); // the last part of a path

} // namespace kcrash
