// SPDX-License-Identifier: GPL-3.0-or-later
// Decompression of one page. The contexts are kept per thread: making them costs more than a page does.
#pragma once
#include <cstddef>
#include <cstdint>
#include <span>

namespace kcrash {

enum class Compression : uint8_t { none, zlib, lzo, snappy, zstd };

// True when `from` gives exactly into.size() bytes. On false the bytes in `into` are unspecified. Safe from many threads.
bool decompress(Compression method, std::span<const std::byte> from, std::span<std::byte> into);

} // namespace kcrash
