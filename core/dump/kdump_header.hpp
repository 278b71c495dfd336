// SPDX-License-Identifier: GPL-3.0-or-later
// The headers of a kdump-compressed file, and of the diskdump file that it came from.
#pragma once
#include "core/bytes.hpp"
#include "core/file.hpp"
#include <optional>
#include <string>

namespace kcrash {

// Absent is absent: what a header of this version does not have yet.
struct KdumpHeader {
    static constexpr uint32_t zlib = 0x1, lzo = 0x2, snappy = 0x4, incomplete = 0x8, excluded_vmemmap = 0x10, zstd = 0x20;

    bool diskdump = false; // signed DISKDUMP; without a kdump sub header
    uint32_t version = 0;
    ByteOrder order = ByteOrder::little;
    unsigned word_size = 8; // bytes
    std::string release, machine;
    uint16_t elf_machine = 0; // EM_*; 0: unknown
    uint32_t status = 0;      // the flags above, also for diskdump, which numbers them otherwise
    uint64_t block_size = 0;  // bytes; also the page size
    uint64_t sub_blocks = 0;  // blocks of the sub header and what follows it
    uint64_t bitmap_blocks = 0;
    uint64_t frames = 0;                             // max_mapnr
    std::optional<uint32_t> dump_level;              // v1
    bool split = false;                              // v2
    uint64_t start_frame = 0, end_frame = 0;         // v2, of this part of a split set
    uint64_t vmcoreinfo_at = 0, vmcoreinfo_size = 0; // v3, bytes
    uint64_t notes_at = 0, notes_size = 0;           // v4, bytes
    uint64_t erased_at = 0, erased_size = 0;         // v5, bytes; text of what makedumpfile erased

    uint64_t bitmap_at() const { return (1 + sub_blocks) * block_size; }
    uint64_t descriptors_at() const { return (1 + sub_blocks + bitmap_blocks) * block_size; }
    // Makers of very old dumps wrote one bitmap only.
    bool two_bitmaps() const;
};

// Throws FileError with what is wrong, also when the file ends before the headers do.
KdumpHeader read_kdump_header(const ByteSource& file);

} // namespace kcrash
