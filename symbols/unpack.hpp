// SPDX-License-Identifier: GPL-3.0-or-later
// Compressed files (gzip, bzip2, xz, zstd) made readable: unpacked once into the cache folder, else into memory.
#pragma once
#include "core/file.hpp"
#include "core/progress.hpp"
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace kcrash {

// What packed a file, told by its first bytes.
enum class Packing : uint8_t { none, gzip, bzip2, xz, zstd };
Packing packing_of(std::span<const std::byte> head);

// An open file descriptor of plain bytes. Owns the descriptor.
struct UnpackedFile {
    int fd = -1;
    std::string path; // a name by which other libraries can open it: in the cache folder, or /proc/self/fd/N
    UnpackedFile() = default;
    UnpackedFile(const UnpackedFile&) = delete;
    UnpackedFile& operator=(const UnpackedFile&) = delete;
    UnpackedFile(UnpackedFile&& other) noexcept : fd(other.fd), path(std::move(other.path)) { other.fd = -1; }
    UnpackedFile& operator=(UnpackedFile&& other) noexcept {
        std::swap(fd, other.fd);
        std::swap(path, other.path);
        return *this;
    }
    ~UnpackedFile();
};

// Unpacks all of `file`, unless the cache folder has it. FileError when it is damaged or grows beyond any kernel's size.
UnpackedFile unpack(const ByteSource& file, Packing packing, const ProgressMaker& progress = {});
// The first n bytes of what is inside; fewer when there are not as many, none when it is damaged. Never throws on content.
std::vector<std::byte> unpack_head(const ByteSource& file, Packing packing, size_t n);
// Bytes of a section packed as one stream of zlib (gzip) or zstd, exactly `size` of them. FileError.
std::vector<std::byte> unpack_section(std::span<const std::byte> packed, Packing packing, uint64_t size, const std::string& name);

} // namespace kcrash
