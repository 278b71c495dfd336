// SPDX-License-Identifier: GPL-3.0-or-later
// ELF dumps: /proc/vmcore copied, makedumpfile -E, QEMU's dump-guest-memory, netdump and diskdump's ELF form.
//
// The file is an ET_CORE: PT_NOTE segments hold the notes, each PT_LOAD a physical range. Nothing else is common to
// all makers, so nothing else is relied on:
//
//   - program headers are where e_phoff says (QEMU: behind a section header, at 192); e_ehsize is wrong in QEMU's;
//   - more than 65,534 program headers: e_phnum is 0xffff and the count stands in sh_info of section header 0;
//   - segments come in any order, offsets are not page aligned, and ranges overlap: kexec describes the kernel text
//     twice, QEMU with paging=true writes one segment for each virtual range. The first segment wins, but stored bytes win over
//     absent ones;
//   - p_filesz below p_memsz: makedumpfile -E left the rest out. It was excluded, or it was all zeroes: the file does not tell;
//   - the container may be ELF64 for a 32-bit kernel; so the word size comes from e_machine;
//   - p_vaddr is zero or nonsense in some; only p_paddr is used. -1 there means: no physical address;
//   - netdump's server wrote pages as they came: a file that was cut short is called vmcore-incomplete, and is truncated here;
//   - bit 0 of e_flags is makedumpfile's mark that it ran out of room; the remaining program headers are then zero.
//
//     segments ---> extents (physical begin, end, file offset, rank) ---> resolve_overlaps ---> binary search per page
#include "core/cursor.hpp"
#include "core/dump/dump.hpp"
#include "core/dump/extents.hpp"
#include "core/dump/machines.hpp"
#include "core/dump/notes.hpp"
#include "core/interrupt.hpp"
#include <algorithm>
#include <cstring>
#include <elf.h>
#include <fmt/format.h>
#include <unordered_set>

namespace kcrash {
namespace {

constexpr size_t most_compared = 4096; // extents whose overlaps are looked into
constexpr uint64_t left_out = uint64_t{1} << 32; // ranks from here on: the extent has no bytes in the file

struct Header {
    bool elf64 = true;
    ByteOrder order = ByteOrder::little;
    uint16_t machine = 0;
    uint32_t flags = 0;
    uint64_t segments_at = 0, segment_size = 0, segments = 0;
    uint64_t sections_at = 0;
};

struct Segment {
    uint32_t type = 0;
    uint64_t offset = 0, physical = 0, file_size = 0, memory_size = 0;
};

Header read_header(const ByteSource& file) {
    const auto ident = file.read(FileOffset(0), EI_NIDENT);
    Header header;
    header.elf64 = ident[EI_CLASS] == std::byte{ELFCLASS64};
    header.order = ident[EI_DATA] == std::byte{ELFDATA2MSB} ? ByteOrder::big : ByteOrder::little;
    const auto bytes = file.read(FileOffset(0), header.elf64 ? sizeof(Elf64_Ehdr) : sizeof(Elf32_Ehdr));
    Cursor cursor(bytes, header.order, file.path());
    const unsigned word = header.elf64 ? 8 : 4;
    cursor.seek(18);
    header.machine = cursor.u16();
    cursor.seek(24 + word); // e_version and e_entry say nothing
    header.segments_at = cursor.word(word);
    header.sections_at = cursor.word(word);
    header.flags = cursor.u32();
    cursor.skip(2); // e_ehsize: 8 in QEMU's dumps
    header.segment_size = cursor.u16();
    header.segments = cursor.u16();
    return header;
}

// The number of segments when it does not fit into e_phnum.
uint64_t extended_count(const ByteSource& file, const Header& header) {
    const uint64_t at = header.elf64 ? offsetof(Elf64_Shdr, sh_info) : offsetof(Elf32_Shdr, sh_info);
    if (header.sections_at == 0 || header.sections_at > file.size())
        throw FileError(fmt::format(
            "{}: damaged ELF header: the number of program headers is in a section header, which is missing", file.path()));
    const auto bytes = file.read(FileOffset(header.sections_at + at), 4);
    return load<uint32_t>(bytes.data(), header.order);
}

Segment parse_segment(Cursor cursor, bool elf64) {
    Segment segment;
    const unsigned word = elf64 ? 8 : 4;
    segment.type = cursor.u32();
    if (elf64) cursor.skip(4);
    segment.offset = cursor.word(word);
    cursor.skip(word); // p_vaddr
    segment.physical = cursor.word(word);
    segment.file_size = cursor.word(word);
    segment.memory_size = cursor.word(word);
    if (!elf64 && segment.physical == UINT32_MAX) segment.physical = UINT64_MAX;
    return segment;
}

// Calls `use` for each segment. There may be as many as the file has room for, 2^32 at most. Reads in pieces: a million take 56 MB.
template <typename Use> void for_each_segment(const ByteSource& file, const Header& header, Use use) {
    const uint64_t least = header.elf64 ? sizeof(Elf64_Phdr) : sizeof(Elf32_Phdr);
    if (header.segment_size < least)
        throw FileError(fmt::format("{}: damaged ELF header: program headers of {} bytes, {} are needed", file.path(),
                                    header.segment_size, least));
    const uint64_t table = header.segments * header.segment_size;
    if (header.segments_at > file.size() || table > file.size() - header.segments_at)
        throw FileError(fmt::format("{}: truncated: the program headers need {} bytes at offset 0x{:x}, the file has {}",
                                    file.path(), table, header.segments_at, file.size()));
    constexpr uint64_t at_once = 1024;
    for (uint64_t i = 0; i < header.segments; i += at_once) {
        check_interrupt();
        const uint64_t n = std::min(at_once, header.segments - i);
        const uint64_t at = header.segments_at + i * header.segment_size;
        const auto bytes = file.read(FileOffset(at), n * header.segment_size);
        for (uint64_t j = 0; j < n; ++j) {
            const auto one = std::span(bytes).subspan(j * header.segment_size, header.segment_size);
            use(parse_segment(Cursor(one, header.order, file.path(), at + j * header.segment_size), header.elf64));
        }
    }
}

bool same_kind(const Extent& a, const Extent& b) { return (a.rank >= left_out) == (b.rank >= left_out); }

class ElfDump final : public Dump {
public:
    explicit ElfDump(std::shared_ptr<const ByteSource> file);
    Fault try_read_page(PageFrame frame, std::span<std::byte> into) const override;
    Fault try_read_part(PageFrame frame, uint64_t offset, std::span<std::byte> into) const override;
    std::optional<FileOffset> file_offset(PageFrame frame) const override;
    std::vector<PhysicalRange> memory() const override;

private:
    void add_segment(const Segment& segment);
    void add_notes(const Segment& segment);
    void add_memory(const Segment& segment);
    void fill_info(const Header& header);
    void check_segments();
    void read_rare_notes();
    void resolve();
    void choose_page_size();
    std::optional<uint64_t> differing_address(const Extent& extent) const;

    std::shared_ptr<const ByteSource> file_;
    std::vector<Extent> extents_; // bytes of physical memory, ascending, free of overlaps
    uint64_t needed_ = 0;         // the file size that the segments need
    uint64_t note_bytes_ = 0, note_segments_ = 0, double_notes_ = 0;
    std::unordered_set<uint64_t> notes_at_; // file offsets
    uint64_t loads_ = 0, zero_loads_ = 0, broken_loads_ = 0;
};

ElfDump::ElfDump(std::shared_ptr<const ByteSource> file) : file_(std::move(file)) {
    Header header = read_header(*file_);
    if (header.segments == PN_XNUM) header.segments = extended_count(*file_, header);
    fill_info(header);
    for_each_segment(*file_, header, [this](const Segment& segment) { add_segment(segment); });
    check_segments();
    resolve();
    vmcoreinfo_ = vmcoreinfo_text(notes_);
    read_rare_notes();
    choose_page_size();
    if (!extents_.empty()) info_.max_frame = (extents_.back().end - 1) / info_.page_size + 1;
}

void ElfDump::fill_info(const Header& header) {
    info_.format = "ELF";
    info_.elf_machine = header.machine;
    info_.order = header.order;
    info_.word_size = word_size_of(header.machine, header.elf64);
    info_.compression = "none";
    // RISC-V has a flag of its own in this bit.
    info_.incomplete = (header.flags & 1) != 0 && header.machine != EM_RISCV;
}

void ElfDump::add_segment(const Segment& segment) {
    if (segment.type == PT_NOTE) add_notes(segment);
    else if (segment.type == PT_LOAD && segment.memory_size != 0 && segment.physical != UINT64_MAX) add_memory(segment);
}

// All note segments together are bounded: a hostile file may have a million that name the same bytes. Where segments overlap, a note
// that both have is one note: each NT_PRSTATUS counts as a CPU.
void ElfDump::add_notes(const Segment& segment) {
    if (note_bytes_ >= max_note_bytes || notes_.size() >= max_notes || ++note_segments_ > 1000) return;
    auto more = read_notes(*file_, FileOffset(segment.offset), segment.file_size, info_.order, info_.warnings);
    note_bytes_ += segment.file_size;
    for (Note& note : more) {
        if (notes_at_.insert(note.offset).second) notes_.push_back(std::move(note));
        else ++double_notes_;
    }
}

void ElfDump::add_memory(const Segment& segment) {
    const uint64_t stored = std::min(segment.file_size, segment.memory_size);
    uint64_t end, file_end;
    if (__builtin_add_overflow(segment.physical, segment.memory_size, &end) ||
        __builtin_add_overflow(segment.offset, stored, &file_end)) {
        ++broken_loads_;
        return;
    }
    zero_loads_ += segment.physical == 0;
    const uint64_t rank = loads_++;
    const uint64_t middle = segment.physical + stored;
    if (stored != 0) {
        extents_.push_back({segment.physical, middle, segment.offset, rank});
        needed_ = std::max(needed_, file_end);
    }
    if (middle != end) {
        extents_.push_back({middle, end, 0, left_out + rank});
        info_.partial = true;
    }
}

void ElfDump::check_segments() {
    if (broken_loads_)
        info_.warnings.push_back(fmt::format("{}: {} program headers are damaged: their ranges wrap; they are left out",
                                             file_->path(), broken_loads_));
    if (double_notes_)
        info_.warnings.push_back(fmt::format("{}: note segments overlap: {} note{} lie{} in more than one of them and count once",
                                             file_->path(), double_notes_, double_notes_ == 1 ? "" : "s", double_notes_ == 1 ? "s" : ""));
    if (loads_ == 0)
        throw FileError(
            fmt::format("{}: an ELF core file without memory: no PT_LOAD program header has a physical address", file_->path()));
    if (loads_ > 1 && zero_loads_ == loads_)
        throw FileError(
            fmt::format("{}: is not a kernel dump: its program headers have no physical addresses (the core file of a process?)",
                        file_->path()));
    if (needed_ <= file_->size()) return;
    info_.truncated = true;
    info_.warnings.push_back(fmt::format("{}: truncated: needs {} bytes, has {}", file_->path(), needed_, file_->size()));
}

// What only some tools leave: makedumpfile -E its list of erased data; diskdump's savecore, which made ELF files as well, the
// mark that pages were left out. Those are zeroes in the file, which does not tell which.
void ElfDump::read_rare_notes() {
    erased_ = erased_text(notes_);
    if (!erased_.empty()) info_.warnings.push_back(fmt::format("{}: {}", file_->path(), erased_warning(erased_)));
    if (of_xen_hypervisor(notes_)) info_.warnings.push_back(fmt::format("{}: {}", file_->path(), xen_hypervisor_warning));
    constexpr uint32_t note_diskdump = 0x70000001; // NT_DISKDUMP of diskdumputils
    for (const Note& note : notes_) {
        if (note.type != note_diskdump || note.description.size() < 4) continue;
        if (load<uint32_t>(note.description.data(), info_.order) == 0) continue;
        info_.partial = true;
        info_.warnings.push_back(
            fmt::format("{}: diskdump left pages out: they read as zeroes, and the file does not tell which", file_->path()));
        return;
    }
}

void ElfDump::choose_page_size() {
    if (const uint64_t size = vmcoreinfo_page_size(vmcoreinfo_)) {
        info_.page_size = size;
        return;
    }
    info_.page_size = 4096;
    info_.page_size_assumed = !has_one_page_size(info_.elf_machine);
}

// /proc/vmcore has the kernel's own memory twice, with the same bytes. If they are not the same, nobody knows which are right:
// the first are shown. Comparing all of it would cost as much as reading it; a few pieces of each double range tell.
void ElfDump::resolve() {
    const auto total = [this] {
        uint64_t bytes = 0;
        for (const Extent& extent : extents_) bytes += extent.rank < left_out ? extent.end - extent.begin : 0;
        return bytes;
    };
    const uint64_t before = total();
    std::vector<Extent> all;
    if (extents_.size() <= most_compared) all = extents_;
    resolve_overlaps(extents_, same_kind);
    const uint64_t twice = before - total();
    info_.double_bytes = twice;
    if (twice == 0) return;
    for (const Extent& extent : all) {
        if (extent.rank >= left_out) continue;
        const auto other = differing_address(extent);
        if (!other) continue;
        info_.warnings.push_back(fmt::format("{}: program headers overlap, and their bytes differ at physical address 0x{:x}; the first header's are shown",
                                             file_->path(), *other));
        return;
    }
}

// Looks at pieces of an extent whose bytes were taken from another one.
std::optional<uint64_t> ElfDump::differing_address(const Extent& extent) const {
    constexpr uint64_t pieces = 8, piece = 4096;
    std::byte own[piece], shown[piece];
    const uint64_t size = extent.end - extent.begin;
    for (uint64_t i = 0; i < pieces; ++i) {
        const uint64_t at = extent.begin + size / pieces * i;
        const Extent* winner = find_extent(extents_, at);
        if (!winner || winner->begin > at || winner->rank >= left_out) continue;
        const uint64_t source = extent.source + (at - extent.begin), other = winner->source + (at - winner->begin);
        const uint64_t n = std::min({piece, extent.end - at, winner->end - at});
        if (source == other || file_->try_read(FileOffset(source), std::span(own, n)) != Fault::none ||
            file_->try_read(FileOffset(other), std::span(shown, n)) != Fault::none)
            continue;
        const auto [mine, theirs] = std::mismatch(own, own + n, shown);
        if (mine != own + n) return at + static_cast<uint64_t>(mine - own);
    }
    return std::nullopt;
}

Fault ElfDump::try_read_page(PageFrame frame, std::span<std::byte> into) const { return try_read_part(frame, 0, into); }

Fault ElfDump::try_read_part(PageFrame frame, uint64_t offset, std::span<std::byte> into) const {
    if (frame.value >= info_.max_frame) return Fault::not_in_dump;
    uint64_t at = frame.value * info_.page_size + offset;
    const uint64_t page_end = at + into.size();
    while (!into.empty()) {
        const Extent* extent = find_extent(extents_, at);
        if (!extent || extent->begin > at) return Fault::not_in_dump;
        if (extent->rank >= left_out) return Fault::excluded_or_zero;
        const uint64_t n = std::min(extent->end, page_end) - at;
        const Fault fault = file_->try_read(FileOffset(extent->source + (at - extent->begin)), into.first(n));
        if (fault != Fault::none) return fault == Fault::truncated && info_.incomplete ? Fault::incomplete : fault;
        into = into.subspan(n);
        at += n;
    }
    return Fault::none;
}

std::optional<FileOffset> ElfDump::file_offset(PageFrame frame) const {
    if (frame.value >= info_.max_frame) return std::nullopt;
    const uint64_t at = frame.value * info_.page_size;
    const Extent* extent = find_extent(extents_, at);
    if (!extent || extent->begin > at || extent->rank >= left_out) return std::nullopt;
    return FileOffset(extent->source + (at - extent->begin));
}

std::vector<PhysicalRange> ElfDump::memory() const {
    std::vector<PhysicalRange> ranges;
    for (const Extent& extent : extents_) {
        if (!ranges.empty() && ranges.back().end.value == extent.begin) ranges.back().end.value = extent.end;
        else ranges.push_back({PhysicalAddress(extent.begin), PhysicalAddress(extent.end)});
    }
    return ranges;
}

Probe probe(std::span<const std::byte> head) {
    if (head.size() < 20 || std::memcmp(head.data(), ELFMAG, SELFMAG) != 0) return Probe::not_mine;
    const bool big = head[EI_DATA] == std::byte{ELFDATA2MSB};
    return load<uint16_t>(head.data() + 16, big ? ByteOrder::big : ByteOrder::little) == ET_CORE ? Probe::mine : Probe::not_mine;
}

std::unique_ptr<Dump> open(std::vector<std::shared_ptr<const ByteSource>> files) {
    if (files.size() > 1)
        throw FileError(fmt::format("{}: an ELF dump is one file; {} is another dump", files[0]->path(), files[1]->path()));
    return std::make_unique<ElfDump>(std::move(files.front()));
}

} // namespace

extern const DumpFormat elf_format;
const DumpFormat elf_format{"ELF", probe, open, true, true};

} // namespace kcrash
