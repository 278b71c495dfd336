// SPDX-License-Identifier: GPL-3.0-or-later
// The segments of an extended s390 dump.
//
//     0     start u64, length u64: the memory     16 stop mark u64: the last one                    all big-endian
//     24    blocks of the disk u32 that its entries take; 0: plain memory, `length` bytes from the next page on
//     48    number of entries u32, at most 1011
//     52    of each entry u32: where it begins, in blocks from the next page on; upper bit: it did not shrink, and is plain
//
// Packed segments are written by s390-tools' dump tool for one ECKD disk since header version 2, on machines that have a deflate
// instruction (DFLTCC). Each entry is a zlib stream of its own, of as much memory as the dump's header says (1 MB), the last one
// of what is left, and begins at a page of the file. The first megabyte of memory is a plain segment, for the tool works there,
// and all others are when packing could not begin.
//
// What is odd: counts are in blocks of the disk, 512 to 4096 bytes, and no field says how large one is; zgetdump asks the device.
// A copy of a partition has no device, so the size is the one with which a header or the end mark is behind a segment. How long
// an entry is shows only in where the next one begins. Specified by s390-tools' include/dump/s390_dump.h and
// zipl/boot/eckd2dump_zlib.c.
#include "core/dump/s390_segments.hpp"
#include "core/memory/decompress.hpp"
#include <algorithm>
#include <cstring>

namespace kcrash {
namespace {

constexpr uint64_t page_bytes = 4096, entries_at = 52;
constexpr uint32_t raw_entry = 0x80000000;

} // namespace

std::optional<S390Segment> read_s390_segment(const ByteSource& file, FileOffset at) {
    std::byte bytes[entries_at];
    if (file.try_read(at, bytes) != Fault::none) return std::nullopt;
    constexpr auto big = ByteOrder::big;
    return S390Segment{load<uint64_t>(bytes, big), load<uint64_t>(bytes + 8, big), load<uint64_t>(bytes + 16, big) != 0,
                       load<uint32_t>(bytes + 24, big), load<uint32_t>(bytes + 48, big)};
}

bool possible_s390_segment(const S390Segment& segment, const PhysicalRange& memory) {
    return segment.begin % page_bytes == 0 && segment.length % page_bytes == 0 && segment.begin >= memory.begin.value &&
           segment.begin <= memory.end.value && segment.length <= memory.end.value - segment.begin;
}

uint64_t s390_block_bytes(const ByteSource& file, const S390Segment& segment, FileOffset at, const PhysicalRange& memory) {
    constexpr uint64_t usual = 4096;
    for (uint64_t block = usual; block >= 512; block /= 2) {
        const FileOffset behind = at + segment.blocks * block;
        std::byte mark[8];
        if (segment.last && file.try_read(behind, mark) == Fault::none && std::memcmp(mark, "DUMP_END", sizeof(mark)) == 0)
            return block;
        const auto next = segment.last ? std::nullopt : read_s390_segment(file, behind);
        if (!next || !possible_s390_segment(*next, memory)) continue;
        if (next->length == 0 ? next->last : next->begin >= segment.begin + segment.length) return block;
    }
    return usual;
}

// Nothing in the file is believed: an entry begins within its segment, and is as long as what is left of it at most.
Fault S390Entries::try_find(const ByteSource& file, const S390Chunk& chunk, uint64_t address, Entry& entry) const {
    const uint64_t index = (address - chunk.begin) / entry_bytes_;
    entry.begin = chunk.begin + index * entry_bytes_;
    entry.bytes = std::min(entry_bytes_, chunk.end - entry.begin);
    const bool last = entry.begin + entry.bytes == chunk.end;
    std::byte words[8]; // of this entry and the next
    const auto some = std::span(words).first(last ? 4 : 8);
    const Fault fault = file.try_read(FileOffset(chunk.at - page_bytes + entries_at + index * 4), some);
    if (fault != Fault::none) return fault;
    const uint32_t word = load<uint32_t>(words, ByteOrder::big);
    const uint64_t begin = (word & ~raw_entry) * block_bytes_;
    uint64_t end = last ? chunk.stored : (load<uint32_t>(words + 4, ByteOrder::big) & ~raw_entry) * block_bytes_;
    if (end <= begin || end > chunk.stored) end = chunk.stored; // the next entry's place is damaged, this one's may be right
    if (begin >= end) return Fault::damaged;
    entry.raw = word & raw_entry;
    entry.at = chunk.at + begin;
    entry.stored = std::min(end - begin, entry_bytes_ * 2); // what does not shrink grows by an eighth at most
    return entry.raw && entry.stored < entry.bytes ? Fault::damaged : Fault::none;
}

Fault S390Entries::try_read(const ByteSource& file, const S390Chunk& chunk, PhysicalAddress address,
                            std::span<std::byte> into) const {
    const uint64_t begin = chunk.begin + (address.value - chunk.begin) / entry_bytes_ * entry_bytes_,
                   skip = address.value - begin;
    BlockCache::Block unpacked = cache_.find(begin);
    if (!unpacked) {
        Entry entry;
        if (const Fault fault = try_find(file, chunk, address.value, entry); fault != Fault::none) return fault;
        if (entry.raw) return file.try_read(FileOffset(entry.at + skip), into);
        std::vector<std::byte> packed(entry.stored);
        if (const Fault fault = file.try_read(FileOffset(entry.at), packed); fault != Fault::none) return fault;
        auto bytes = std::make_shared<std::vector<std::byte>>(entry.bytes);
        if (!decompress(Compression::zlib, packed, *bytes)) return Fault::damaged;
        unpacked = bytes;
        cache_.add(begin, unpacked);
    }
    if (into.size() > unpacked->size() - skip) return Fault::damaged;
    std::memcpy(into.data(), unpacked->data() + skip, into.size());
    return Fault::none;
}

std::optional<FileOffset> S390Entries::file_offset(const ByteSource& file, const S390Chunk& chunk,
                                                   PhysicalAddress address) const {
    Entry entry;
    if (try_find(file, chunk, address.value, entry) != Fault::none || !entry.raw) return std::nullopt;
    return FileOffset(entry.at + (address.value - entry.begin));
}

} // namespace kcrash
