// SPDX-License-Identifier: GPL-3.0-or-later
// Reading the headers of a kdump-compressed file, whose layout depends on the kernel that died.
//
// The main header is a C struct: its padding and the width of its time stamp depend on the word size, and nothing
// in it says which word size or byte order that is. The version number is small in one byte order only; the word
// size follows from the machine's name in utsname, or else from which reading makes sense: QEMU writes the 64-bit layout
// for an i686 that has anything up to 4 GB, its ROM for one.
//
//            64-bit   32-bit
//     8      version              i32
//     12     utsname              6 * 65 bytes: sysname nodename release version machine domainname
//     424    412      status      u32
//     428    416      block_size  i32
//     432    420      sub_hdr_size  i32, blocks
//     436    424      bitmap_blocks u32, both bitmaps
//     440    428      max_mapnr   u32; v6 has the whole number in the sub header
//
// The sub header at block 1 exists in three layouts: 64-bit, 32-bit with 64-bit numbers aligned to 4 bytes (i386)
// and to 8 (arm, mips). phys_base at its start is not read: QEMU 7.2 writes a wrong one; VMCOREINFO has it.
//
// diskdump has the same main header, signed DISKDUMP, and registers in place of the sub header (see diskdump.cpp). Its status
// is no set of methods: 1 means that the writer did not finish, 8 that pages are compressed.
#include "core/dump/kdump_header.hpp"
#include "core/cursor.hpp"
#include "core/dump/machines.hpp"
#include "core/dump/notes.hpp"
#include <algorithm>
#include <cstring>
#include <fmt/format.h>

namespace kcrash {
namespace {

constexpr uint64_t header_bytes = 464;
constexpr uint64_t max_frames = uint64_t{1} << 40; // 52 bits of address in 4 kB pages, the most that any architecture has

std::string utsname_field(Cursor& cursor) {
    const auto bytes = cursor.bytes(65);
    std::string text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    text.resize(std::min(text.find('\0'), text.size()));
    return text;
}

// The status of a diskdump in kdump's words.
uint32_t diskdump_status(uint32_t status) {
    constexpr uint32_t unfinished = 1, compressed = 8;
    return (status & unfinished ? KdumpHeader::incomplete : 0) | (status & compressed ? KdumpHeader::zlib : 0);
}

// Reads the main header in the given layout.
KdumpHeader main_header(std::span<const std::byte> bytes, const std::string& path, ByteOrder order, unsigned word_size) {
    KdumpHeader header;
    header.order = order;
    header.word_size = word_size;
    Cursor cursor(bytes, order, path);
    const auto signature = cursor.bytes(8);
    header.diskdump = std::memcmp(signature.data(), "DISKDUMP", 8) == 0;
    header.version = cursor.u32();
    cursor.skip(65 * 2);
    header.release = utsname_field(cursor);
    cursor.skip(65);
    header.machine = utsname_field(cursor);
    cursor.seek(word_size == 8 ? 424 : 412);
    header.status = cursor.u32();
    if (header.diskdump) header.status = diskdump_status(header.status);
    header.block_size = cursor.u32();
    header.sub_blocks = cursor.u32();
    header.bitmap_blocks = cursor.u32();
    header.frames = cursor.u32();
    return header;
}

// What makes a reading of the main header impossible; empty when it is possible.
std::string objection(const KdumpHeader& header) {
    if (!possible_page_size(header.block_size)) return fmt::format("block size {} is not a page size", header.block_size);
    if (header.sub_blocks == 0 || header.sub_blocks > uint64_t{1} << 20)
        return fmt::format("sub header size of {} blocks", header.sub_blocks);
    if (header.bitmap_blocks == 0) return "no bitmap";
    return {};
}

KdumpHeader find_layout(std::span<const std::byte> bytes, const std::string& path) {
    constexpr uint32_t newest_thinkable = 99;
    const bool little = load<uint32_t>(bytes.data() + 8, ByteOrder::little) <= newest_thinkable;
    const bool big = load<uint32_t>(bytes.data() + 8, ByteOrder::big) <= newest_thinkable;
    if (!little && !big)
        throw FileError(
            fmt::format("{}: damaged kdump header: version 0x{:x}", path, load<uint32_t>(bytes.data() + 8, ByteOrder::little)));
    std::string why;
    for (const bool as_named : {true, false})
        for (const ByteOrder order : {ByteOrder::little, ByteOrder::big})
            for (const unsigned word_size : {8u, 4u}) {
                if ((order == ByteOrder::little ? !little : !big) || (!as_named && word_size != 8)) continue;
                KdumpHeader header = main_header(bytes, path, order, word_size);
                const auto machine = machine_by_name(header.machine);
                if ((!machine || machine->word_size == word_size) != as_named) continue;
                if (machine) header.elf_machine = machine->elf_machine;
                const std::string wrong = objection(header);
                if (wrong.empty()) return header;
                if (why.empty()) why = wrong;
            }
    throw FileError(fmt::format("{}: damaged kdump header: {}", path, why));
}

struct SubLayout {
    uint64_t dump_level, split, start, vmcoreinfo, notes, erased, wide; // offsets of the first field of each version
};
constexpr SubLayout layout64{8, 12, 16, 32, 48, 64, 80}, packed32{4, 8, 12, 20, 32, 44, 56}, padded32{4, 8, 12, 24, 40, 56, 72};

bool has_place(const ByteSource& file, const KdumpHeader& header, uint64_t at, uint64_t size) {
    if (at == 0 && size == 0) return true;
    return at >= header.block_size && at <= file.size() && size <= file.size() - at;
}

void sub_header(KdumpHeader& header, const ByteSource& file, const SubLayout& layout) {
    const uint64_t needed = header.version >= 6   ? layout.wide + 24
                            : header.version >= 5 ? layout.erased + 8 + header.word_size
                            : header.version >= 4 ? layout.notes + 8 + header.word_size
                            : header.version >= 3 ? layout.vmcoreinfo + 8 + header.word_size
                            : header.version >= 2 ? layout.start + 2 * header.word_size
                            : header.version >= 1 ? layout.split
                                                  : 0;
    if (needed == 0) return;
    const auto bytes = file.read(FileOffset(header.block_size), needed);
    Cursor cursor(bytes, header.order, file.path(), header.block_size);
    cursor.seek(layout.dump_level);
    header.dump_level = cursor.u32();
    if (header.version >= 2) {
        header.split = cursor.u32() != 0;
        header.start_frame = cursor.word(header.word_size);
        header.end_frame = cursor.word(header.word_size);
    }
    if (header.version >= 3) {
        cursor.seek(layout.vmcoreinfo);
        header.vmcoreinfo_at = cursor.u64();
        header.vmcoreinfo_size = cursor.word(header.word_size);
    }
    if (header.version >= 4) {
        cursor.seek(layout.notes);
        header.notes_at = cursor.u64();
        header.notes_size = cursor.word(header.word_size);
    }
    if (header.version >= 5) {
        cursor.seek(layout.erased);
        header.erased_at = cursor.u64();
        header.erased_size = cursor.word(header.word_size);
    }
    if (header.version >= 6) {
        cursor.seek(layout.wide);
        header.start_frame = cursor.u64();
        header.end_frame = cursor.u64();
        header.frames = cursor.u64();
    }
}

void read_sub_header(KdumpHeader& header, const ByteSource& file) {
    if (header.diskdump) return;
    if (header.word_size == 8) return sub_header(header, file, layout64);
    KdumpHeader packed = header;
    sub_header(packed, file, packed32);
    if (has_place(file, packed, packed.vmcoreinfo_at, packed.vmcoreinfo_size) &&
        has_place(file, packed, packed.notes_at, packed.notes_size))
        header = packed;
    else sub_header(header, file, padded32);
}

} // namespace

bool KdumpHeader::two_bitmaps() const {
    const uint64_t bytes = frames / 8 + (frames % 8 != 0);
    const uint64_t blocks = bytes / block_size + (bytes % block_size != 0);
    return bitmap_blocks >= 2 * blocks;
}

KdumpHeader read_kdump_header(const ByteSource& file) {
    if (file.size() < header_bytes)
        throw FileError(fmt::format("{}: truncated: the kdump header needs {} bytes, the file has {}", file.path(), header_bytes,
                                    file.size()));
    KdumpHeader header = find_layout(file.read(FileOffset(0), header_bytes), file.path());
    read_sub_header(header, file);
    if (header.frames == 0)
        throw FileError(fmt::format("{}: damaged kdump header: it says that there is no memory", file.path()));
    if (header.frames > max_frames)
        throw FileError(fmt::format("{}: damaged kdump header: {} page frames are more than kcrash reads, {}", file.path(),
                                    header.frames, max_frames));
    const uint64_t bits = header.bitmap_blocks * header.block_size * 8;
    if (bits < header.frames)
        throw FileError(
            fmt::format("{}: damaged kdump header: the bitmap has {} bits for {} page frames", file.path(), bits, header.frames));
    if (header.descriptors_at() > file.size())
        throw FileError(fmt::format("{}: truncated: the headers and bitmaps need {} bytes, the file has {}", file.path(),
                                    header.descriptors_at(), file.size()));
    return header;
}

} // namespace kcrash
