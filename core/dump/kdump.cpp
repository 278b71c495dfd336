// SPDX-License-Identifier: GPL-3.0-or-later
// kdump-compressed dumps: what makedumpfile writes by default, and QEMU inside a flattened file.
//
//     block 0                 main header                      kdump_header.cpp
//     block 1 ...             sub header, notes, VMCOREINFO    where the sub header's offsets say
//     1 + sub                 first bitmap: memory exists
//                             second bitmap: the page is in the dump
//     1 + sub + bitmaps       one descriptor of 24 bytes for each set bit of the second bitmap, in frame order
//                             page data, anywhere: all zero pages share one place
//
// What is odd: each page names its own method, and one that does not shrink is stored raw. A page that the maker had no room
// for has offset 0 in a file whose status says incomplete. In a split set each part has both whole bitmaps, but
// descriptors only for [start_frame, end_frame): ranks count from start_frame. Parts may be empty.
// Specified by makedumpfile's diskdump_mod.h and IMPLEMENTATION.
#include "core/dump/kdump.hpp"
#include "core/cursor.hpp"
#include "core/dump/frame_bitmap.hpp"
#include "core/dump/kdump_header.hpp"
#include "core/dump/machines.hpp"
#include "core/dump/memory_note.hpp"
#include "core/dump/notes.hpp"
#include "core/memory/decompress.hpp"
#include <algorithm>
#include <cstring>
#include <fmt/format.h>

namespace kcrash {
namespace {

constexpr uint64_t descriptor_bytes = 24;
constexpr size_t max_memory_runs = size_t{1} << 20; // real machines have dozens

// One file of the dump, which holds the pages of [begin, end).
struct Part {
    std::shared_ptr<const ByteSource> file;
    KdumpHeader header;
    uint64_t begin = 0, end = 0; // frames
    uint64_t first_rank = 0;     // of `begin` in the second bitmap
};

struct Descriptor {
    uint64_t offset = 0;
    uint32_t size = 0, flags = 0;
};

Descriptor parse_descriptor(const std::byte* bytes, ByteOrder order) {
    return {load<uint64_t>(bytes, order), load<uint32_t>(bytes + 8, order), load<uint32_t>(bytes + 12, order)};
}

std::optional<Compression> method(uint32_t flags) {
    switch (flags & (KdumpHeader::zlib | KdumpHeader::lzo | KdumpHeader::snappy | KdumpHeader::zstd)) {
    case 0: return Compression::none;
    case KdumpHeader::zlib: return Compression::zlib;
    case KdumpHeader::lzo: return Compression::lzo;
    case KdumpHeader::snappy: return Compression::snappy;
    case KdumpHeader::zstd: return Compression::zstd;
    default: return std::nullopt;
    }
}

const char* method_name(uint32_t status) {
    if (status & KdumpHeader::zlib) return "zlib";
    if (status & KdumpHeader::lzo) return "lzo";
    if (status & KdumpHeader::snappy) return "snappy";
    if (status & KdumpHeader::zstd) return "zstd";
    return "none";
}

class KdumpDump final : public Dump {
public:
    explicit KdumpDump(std::vector<std::shared_ptr<const ByteSource>> files);
    Fault try_read_page(PageFrame frame, std::span<std::byte> into) const override;
    std::optional<FileOffset> file_offset(PageFrame frame) const override;
    std::vector<PhysicalRange> memory() const override;

private:
    void fill_info();
    void read_texts();
    std::string read_text(const char* what, uint64_t at, uint64_t size);
    void order_parts();
    void check_length(const Part& part);
    Fault try_descriptor(PageFrame frame, const Part*& part, Descriptor& descriptor) const;
    Fault why_absent(PageFrame frame) const;
    const KdumpHeader& header() const { return parts_.front().header; }

    std::vector<Part> parts_; // ascending by frame
    std::unique_ptr<const FrameBitmap> dumped_;
    std::shared_ptr<const ByteSource> bitmap_file_;
    uint64_t existing_at_ = 0; // the first bitmap; 0 when there is only one
};

void check_same_dump(const Part& a, const Part& b) {
    const KdumpHeader &x = a.header, &y = b.header;
    if (x.release != y.release || x.machine != y.machine || x.block_size != y.block_size || x.frames != y.frames ||
        x.bitmap_blocks != y.bitmap_blocks || x.dump_level != y.dump_level || x.order != y.order)
        throw FileError(fmt::format("{}: is not of the same dump as {}", b.file->path(), a.file->path()));
    if (!x.split || !y.split)
        throw FileError(
            fmt::format("{}: is not a part of a split dump; open one dump at a time", (x.split ? b : a).file->path()));
}

KdumpDump::KdumpDump(std::vector<std::shared_ptr<const ByteSource>> files) {
    for (auto& file : files) {
        Part part{file, read_kdump_header(*file), 0, 0, 0};
        if (!parts_.empty()) check_same_dump(parts_.front(), part);
        part.begin = part.header.split ? std::min(part.header.start_frame, part.header.frames) : 0;
        part.end = part.header.split ? std::min(part.header.end_frame, part.header.frames) : part.header.frames;
        parts_.push_back(std::move(part));
    }
    fill_info();
    const uint64_t half = header().bitmap_blocks / 2 * header().block_size;
    if (header().two_bitmaps()) existing_at_ = header().bitmap_at();
    bitmap_file_ = parts_.front().file;
    const FileOffset dumped_at(header().bitmap_at() + (existing_at_ ? half : 0));
    dumped_ = std::make_unique<FrameBitmap>(BitmapPlace{bitmap_file_, dumped_at, header().frames});
    read_texts();
    order_parts();
    for (const Part& part : parts_) check_length(part);
}

void KdumpDump::fill_info() {
    const KdumpHeader& h = header();
    info_.format = fmt::format("{} v{}", h.diskdump ? "diskdump" : "kdump-compressed", h.version);
    if (h.version > 6 && !h.diskdump)
        info_.warnings.push_back(fmt::format("{}: header version {} is newer than kcrash; it is read as version 6",
                                             parts_.front().file->path(), h.version));
    info_.elf_machine = h.elf_machine;
    info_.order = h.order;
    info_.word_size = h.elf_machine ? word_size_of(h.elf_machine, h.word_size == 8) : h.word_size; // h's is that of the layout
    info_.page_size = h.block_size;
    info_.dump_level = h.dump_level;
    info_.partial = h.diskdump ? h.two_bitmaps() : h.dump_level.value_or(0) != 0;
    info_.compression = method_name(h.status);
    info_.split = h.split;
    info_.release = h.release;
    info_.machine = h.machine;
    info_.max_frame = h.frames;
    for (const Part& part : parts_) {
        info_.incomplete |= (part.header.status & KdumpHeader::incomplete) != 0;
        info_.excluded_vmemmap |= (part.header.status & KdumpHeader::excluded_vmemmap) != 0;
    }
}

// The notes, VMCOREINFO and what was erased; every part has them.
void KdumpDump::read_texts() {
    const KdumpHeader& h = header();
    const ByteSource& file = *parts_.front().file;
    if (h.notes_size) notes_ = read_notes(file, FileOffset(h.notes_at), h.notes_size, h.order, info_.warnings);
    if (auto note = h.diskdump ? diskdump_registers(file, h) : std::nullopt) notes_.push_back(std::move(*note));
    vmcoreinfo_ = vmcoreinfo_text(notes_);
    if (vmcoreinfo_.empty()) vmcoreinfo_ = read_text("VMCOREINFO", h.vmcoreinfo_at, h.vmcoreinfo_size);
    // QEMU 7.2 calls an arm64 machine "Unknown".
    if (const auto told = machine_of_vmcoreinfo(vmcoreinfo_, h.order); told && info_.elf_machine == 0 && told->word_size == h.word_size) {
        info_.elf_machine = told->elf_machine;
        info_.word_size = told->word_size;
    }
    if (of_xen_hypervisor(notes_)) info_.warnings.push_back(fmt::format("{}: {}", file.path(), xen_hypervisor_warning));
    erased_ = read_text("the list of erased data", h.erased_at, h.erased_size);
    if (!erased_.empty()) info_.warnings.push_back(fmt::format("{}: {}", file.path(), erased_warning(erased_)));
}

// A text that a header names; empty, with a warning, when it cannot be read.
std::string KdumpDump::read_text(const char* what, uint64_t at, uint64_t size) {
    constexpr uint64_t max_text = uint64_t{1} << 20;
    if (size == 0) return {};
    const ByteSource& file = *parts_.front().file;
    std::string text(std::min(size, max_text), '\0');
    const Fault fault = file.try_read(FileOffset(at), std::as_writable_bytes(std::span(text)));
    if (fault == Fault::none) return text.substr(0, text.find('\0'));
    info_.warnings.push_back(fmt::format("{}: {} at offset 0x{:x} cannot be read: {}", file.path(), what, at, describe(fault)));
    return {};
}

// Sorts the parts of a split set, refuses overlaps and names what is missing.
void KdumpDump::order_parts() {
    for (Part& part : parts_) {
        FrameBitmap::Answer first;
        const Fault fault = dumped_->try_find(PageFrame(part.begin), first);
        if (fault != Fault::none) throw FileError(fmt::format("{}: {}", part.file->path(), describe(fault)));
        part.first_rank = first.rank;
    }
    std::stable_sort(parts_.begin(), parts_.end(), [](const Part& a, const Part& b) { return a.begin < b.begin; });
    uint64_t expected = 0;
    const Part* before = nullptr;
    const auto missing = [&](uint64_t end) {
        if (end > expected)
            info_.warnings.push_back(
                fmt::format("a part of the split dump is missing: physical addresses 0x{:x} to 0x{:x} cannot be read",
                            expected * info_.page_size, end * info_.page_size - 1));
    };
    for (const Part& part : parts_) {
        if (part.begin >= part.end) continue;
        if (part.begin < expected)
            throw FileError(
                fmt::format("{}: has the same pages as {}; give each part once", part.file->path(), before->file->path()));
        missing(part.begin);
        expected = part.end;
        before = &part;
    }
    missing(header().frames);
}

// Is the file as long as it says? Page data mostly lies in frame order, so the last descriptors know; reading them all
// would cost seconds on a large dump.
void KdumpDump::check_length(const Part& part) {
    FrameBitmap::Answer end;
    if (part.begin >= part.end || dumped_->try_find(PageFrame(part.end), end) != Fault::none || end.rank <= part.first_rank)
        return;
    const uint64_t size = part.file->size(), count = end.rank - part.first_rank;
    const uint64_t table_end = part.header.descriptors_at() + count * descriptor_bytes;
    const bool knows_all = table_end <= size;
    uint64_t needed = table_end;
    if (knows_all) {
        constexpr uint64_t looked_at = 2048;
        std::vector<std::byte> tail(std::min(count, looked_at) * descriptor_bytes);
        if (part.file->try_read(FileOffset(table_end - tail.size()), tail) != Fault::none) return;
        for (size_t at = 0; at < tail.size(); at += descriptor_bytes) {
            const Descriptor d = parse_descriptor(tail.data() + at, part.header.order);
            uint64_t data_end;
            if (d.size <= info_.page_size && !__builtin_add_overflow(d.offset, d.size, &data_end))
                needed = std::max(needed, data_end);
        }
    }
    if (needed <= size) return;
    info_.truncated = true;
    info_.warnings.push_back(
        fmt::format("{}: truncated: needs {}{} bytes, has {}", part.file->path(), knows_all ? "" : "more than ", needed, size));
}

// Why a page whose bit is not set in the second bitmap is not there.
Fault KdumpDump::why_absent(PageFrame frame) const {
    if (existing_at_ == 0) return Fault::not_in_dump;
    std::byte bits;
    const Fault fault = bitmap_file_->try_read(FileOffset(existing_at_ + frame.value / 8), std::span(&bits, 1));
    if (fault != Fault::none) return fault;
    return static_cast<unsigned>(bits) >> frame.value % 8 & 1 ? Fault::excluded : Fault::not_in_dump;
}

Fault KdumpDump::try_descriptor(PageFrame frame, const Part*& part, Descriptor& descriptor) const {
    if (frame.value >= header().frames) return Fault::not_in_dump;
    FrameBitmap::Answer answer;
    if (const Fault fault = dumped_->try_find(frame, answer); fault != Fault::none) return fault;
    if (!answer.set) return why_absent(frame);
    const auto holds = [&](const Part& p) { return frame.value >= p.begin && frame.value < p.end; };
    const auto found = std::find_if(parts_.begin(), parts_.end(), holds);
    if (found == parts_.end()) return Fault::not_in_dump; // its part was not given
    part = &*found;
    std::byte bytes[descriptor_bytes];
    const uint64_t at = part->header.descriptors_at() + (answer.rank - part->first_rank) * descriptor_bytes;
    const bool incomplete = part->header.status & KdumpHeader::incomplete;
    if (const Fault fault = part->file->try_read(FileOffset(at), bytes); fault != Fault::none)
        return incomplete && fault == Fault::truncated ? Fault::incomplete : fault;
    descriptor = parse_descriptor(bytes, part->header.order);
    if (descriptor.offset == 0) return incomplete ? Fault::incomplete : Fault::damaged;
    return Fault::none;
}

Fault KdumpDump::try_read_page(PageFrame frame, std::span<std::byte> into) const {
    const Part* part = nullptr;
    Descriptor descriptor;
    if (const Fault fault = try_descriptor(frame, part, descriptor); fault != Fault::none) return fault;
    const auto how = method(descriptor.flags);
    if (!how || descriptor.size == 0 || descriptor.size > info_.page_size) return Fault::damaged;
    const bool raw = *how == Compression::none;
    if (raw && descriptor.size != into.size()) return Fault::damaged;
    thread_local std::vector<std::byte> packed;
    if (!raw) packed.resize(descriptor.size);
    const auto data = raw ? into : std::span<std::byte>(packed);
    if (const Fault fault = part->file->try_read(FileOffset(descriptor.offset), data); fault != Fault::none)
        return (part->header.status & KdumpHeader::incomplete) && fault == Fault::truncated ? Fault::incomplete : fault;
    return raw || decompress(*how, data, into) ? Fault::none : Fault::damaged;
}

std::optional<FileOffset> KdumpDump::file_offset(PageFrame frame) const {
    const Part* part = nullptr;
    Descriptor descriptor;
    if (try_descriptor(frame, part, descriptor) != Fault::none) return std::nullopt;
    return FileOffset(descriptor.offset);
}

std::vector<PhysicalRange> KdumpDump::memory() const {
    std::vector<PhysicalRange> ranges;
    const BitmapPlace existing{bitmap_file_, FileOffset(header().bitmap_at()), header().frames};
    for (const auto& [begin, end] : bitmap_runs(existing, max_memory_runs))
        ranges.push_back({PhysicalAddress(begin * info_.page_size), PhysicalAddress(end * info_.page_size)});
    return ranges;
}

Probe probe(std::span<const std::byte> head) {
    return head.size() >= 8 && std::memcmp(head.data(), "KDUMP   ", 8) == 0 ? Probe::mine : Probe::not_mine;
}

} // namespace

std::unique_ptr<Dump> open_kdump(std::vector<std::shared_ptr<const ByteSource>> files) {
    return std::make_unique<KdumpDump>(std::move(files));
}

extern const DumpFormat kdump_format;
const DumpFormat kdump_format{"kdump-compressed", probe, open_kdump, true, true};

} // namespace kcrash
