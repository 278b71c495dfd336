// SPDX-License-Identifier: GPL-3.0-or-later
// What the reader of ELF symbols shares with the index cache.
#pragma once
#include "symbols/elf_file.hpp"
#include "symbols/symbol_image.hpp"

namespace kcrash {

// All symbols of a linked file, at link addresses, as one block.
std::vector<std::byte> build_symbol_image(const ElfFile& file);

std::string file_name(const std::string& path); // the last part of a path

} // namespace kcrash
