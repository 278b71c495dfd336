// SPDX-License-Identifier: GPL-3.0-or-later
// The index cache: blocks of symbol_image.hpp in files of the user's cache folder.
#pragma once
#include "symbols/elf_file.hpp"
#include "symbols/symbol_image.hpp"
#include <functional>

namespace kcrash {

// The block of that kind ("symbols", "dwarf") for this file: mapped from the cache, or built and written to it. Without
// use_cache, without a build-id and without a cache folder it is built and kept in memory.
std::shared_ptr<const ImageBytes> cached_block(const ElfFile& file, std::string_view kind, bool use_cache,
                                               const std::function<std::vector<std::byte>()>& build);

// Writes a file whose readers never see half of it. False: it could not be written, and nothing has changed.
bool write_whole_file(const std::string& path, std::span<const std::byte> first, std::span<const std::byte> second = {});

} // namespace kcrash
