// SPDX-License-Identifier: GPL-3.0-or-later
// Snappy's framing format, read at any offset.
#pragma once
#include "core/file.hpp"
#include <optional>

namespace kcrash {

// What one walk over the chunk headers found: the uncompressed bytes are numbered from 0 over all streams that were added.
class SnappyFrames {
public:
    struct Walk {
        uint64_t compressed = 0;   // bytes of the file, up to the chunk after which `wanted` was reached
        uint64_t uncompressed = 0; // bytes that the chunks hold; fewer than `wanted` when something is wrong
        std::string error;         // what is wrong; empty: nothing
    };
    // Walks the chunks from `at` until they hold `wanted` bytes. Reads headers only.
    Walk add_stream(const ByteSource& file, uint64_t at, uint64_t wanted);
    uint64_t size() const { return size_; }
    // All bytes of the streams added so far, one behind the other. A chunk whose checksum is wrong is Fault::damaged.
    std::shared_ptr<const ByteSource> source(std::shared_ptr<const ByteSource> file) &&;

    struct Chunk {
        uint64_t begin;  // of the uncompressed bytes
        uint64_t at;     // file offset of the chunk's data, behind its checksum
        uint32_t stored; // bytes in the file
        uint32_t size;   // uncompressed bytes
        uint32_t check;  // masked CRC-32C
        bool compressed;
    };

private:
    std::vector<Chunk> chunks_;
    uint64_t size_ = 0;
};

} // namespace kcrash
