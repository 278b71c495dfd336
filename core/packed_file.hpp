// SPDX-License-Identifier: GPL-3.0-or-later
// A file inside gzip, xz or lzop, read at any offset.
#pragma once
#include "core/file.hpp"
#include <string_view>

namespace kcrash {

// What packed a file, told by its first bytes. Empty: nothing that is known; "gzip", "xz", "lzop", "bzip2",
// "zstd", "lz4".
std::string_view packer_of(std::span<const std::byte> head);
// The first n bytes of what gzip, xz or lzop hold; fewer when there are not as many or they are damaged, none of another packer.
std::vector<std::byte> packed_head(const ByteSource& file, std::string_view packer, size_t n);
// What is inside, unpacked piece by piece as it is read. FileError with advice when that is not possible. `warnings` says what it
// cost. quickly: as far as it is read and no further, so that its size is not known at first (unknown_size), nor whether all of it is there.
std::shared_ptr<const ByteSource> open_packed(std::shared_ptr<const ByteSource> file, std::string_view packer,
                                              std::vector<std::string>& warnings, bool quickly = false);

// One for each packer that can be read so.
std::shared_ptr<const ByteSource> open_xz(std::shared_ptr<const ByteSource> file);
// The index that is made of a gzip file: from so many unpacked bytes on another point, until there are so many (each of 32 KiB); then
// every second is dropped.
struct GzipIndex {
    uint64_t span = uint64_t{1} << 20; // bytes
    size_t most_points = 4096;
};
std::shared_ptr<const ByteSource> open_gzip(std::shared_ptr<const ByteSource> file, std::vector<std::string>& warnings, bool quickly = false,
                                            const GzipIndex& density = {});
std::shared_ptr<const ByteSource> open_lzop(std::shared_ptr<const ByteSource> file, std::vector<std::string>& warnings);
// Of lzop, for packed_head().
std::vector<std::byte> lzop_head(const ByteSource& file, size_t n);

} // namespace kcrash
