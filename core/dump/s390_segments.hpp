// SPDX-License-Identifier: GPL-3.0-or-later
// The segments of an extended s390 dump, whose memory is plain or in entries that are packed with zlib.
#pragma once
#include "core/block_cache.hpp"
#include "core/dump/dump.hpp"

namespace kcrash {

// A range of memory and where it lies.
struct S390Chunk {
    uint64_t begin = 0, end = 0; // physical
    uint64_t at = 0;             // file offset of what it holds; a segment's header is the page before
    size_t volume = 0;           // index of the file
    uint64_t stored = 0;         // bytes of its entries; 0: plain memory
};

// What a segment's header says.
struct S390Segment {
    uint64_t begin = 0, length = 0; // physical
    bool last = false;
    uint32_t blocks = 0, entries = 0; // of what is packed; 0 blocks: plain memory
};

// Nothing: the file ends before `at` + the size of a header, or cannot be read there.
std::optional<S390Segment> read_s390_segment(const ByteSource& file, FileOffset at);
// Can the machine have this memory?
bool possible_s390_segment(const S390Segment& segment, const PhysicalRange& memory);
// Bytes of a block on the disk from which the file was copied. The dump does not tell; what is behind a packed segment, whose
// entries begin at `at`, does. 4096, which is what disks are formatted with, when nothing does.
uint64_t s390_block_bytes(const ByteSource& file, const S390Segment& segment, FileOffset at, const PhysicalRange& memory);

// Reads memory out of packed segments. Safe from many threads: some unpacked entries are kept, as one is 256 pages.
class S390Entries {
public:
    static constexpr uint64_t most_in_segment = 1011; // as many as a page has room for, behind the other fields
    static constexpr uint64_t most_bytes = uint64_t{16} << 20;

    S390Entries(uint64_t entry_bytes, uint64_t block_bytes) : entry_bytes_(entry_bytes), block_bytes_(block_bytes) {}
    uint64_t block_bytes() const { return block_bytes_; }
    // How many a segment with this much memory has.
    uint64_t count(uint64_t length) const { return (length + entry_bytes_ - 1) / entry_bytes_; }
    // Bytes of one page.
    Fault try_read(const ByteSource& file, const S390Chunk& chunk, PhysicalAddress address, std::span<std::byte> into) const;
    // Where a page of an entry lies that is not packed.
    std::optional<FileOffset> file_offset(const ByteSource& file, const S390Chunk& chunk, PhysicalAddress address) const;

private:
    struct Entry {
        uint64_t begin = 0, bytes = 0; // of memory; begin is physical
        uint64_t at = 0, stored = 0;   // in the file; stored: at most
        bool raw = false;
    };
    Fault try_find(const ByteSource& file, const S390Chunk& chunk, uint64_t address, Entry& entry) const;

    static constexpr uint64_t cache_bytes = uint64_t{64} << 20;
    uint64_t entry_bytes_, block_bytes_;
    BlockCache cache_{cache_bytes}; // by address of memory
};

} // namespace kcrash
