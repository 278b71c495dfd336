// SPDX-License-Identifier: GPL-3.0-or-later
// s390 stand-alone dumps: what the dump tool on a disk or tape writes when an LPAR or guest boots it in place of Linux; zfcpdump
// too.
//
//     0        magic ..fd u64, version, header size, level, page size u32                       all big-endian
//     24       memory size, start, end u64; pages u32
//     56       time of day u64: the dump began       72 arch u32: 1 31-bit, 2 64-bit    76 volume number u32
//     93       CPUs u16, real CPUs u16               512 the magic again: one volume of several
//     97       version of packing u8                 98 memory in a packed entry u32              of the extended form only
//     2048     the prefix of each CPU, u32: where its lowcore is
//     header size       memory, from `start` on, one byte after the other
//     end of memory     "DUMP_END", time of day u64, not before the dump began: the dump is whole
//
// The extended form (magic ..fe) writes only what is not zero, in segments of whole megabytes, each behind a page of its own:
//
//     header size       start u64, length u64, stop mark u64; `length` bytes from the next page on; and so on
//                       or packed: entries of zlib (s390_segments.cpp)
//     behind the last   "DUMP_END", time of day
//
// What is odd: memory between segments is zero because the tool found it so, and such pages are read as zeroes: nothing was left
// out. A multi-volume dump is one partition image per volume, each with its own header; in the plain form a volume holds as much
// memory as fits, in the extended form whole segments; the stop mark is on the last volume. The volumes may be given in any
// order. That memory may be packed is said by every tool on a machine that can, also by those that never do, so each segment is
// asked; volumes of several never have packed segments. CPU registers are in the lowcores (s390_notes.cpp), VMCOREINFO in memory
// too. Prefixing is not undone: addresses are absolute. Specified by s390-tools' zipl boot code and zdump/df_s390.h.
#include "core/cursor.hpp"
#include "core/dump/dump.hpp"
#include "core/dump/s390_notes.hpp"
#include "core/dump/s390_segments.hpp"
#include "core/interrupt.hpp"
#include <algorithm>
#include <elf.h>
#include <fmt/format.h>

namespace kcrash {
namespace {

constexpr uint64_t magic = 0xa8190173618f23fd, magic_extended = 0xa8190173618f23fe;
constexpr uint64_t page_bytes = 4096, header_bytes = 4096, max_cpus = 512, prefixes_at = 2048;
constexpr uint64_t max_memory = uint64_t{1} << 52;

struct Header {
    bool extended = false;
    uint32_t version = 0, arch = 0, volume = 0;
    uint64_t size = 0; // of the header, bytes
    uint64_t memory_begin = 0, memory_size = 0;
    uint64_t time = 0;
    bool one_of_several = false;
    uint32_t zlib_version = 0, entry_bytes = 0; // version 0: nothing is packed
    std::vector<uint32_t> prefixes;
};

// What is packed by rules that are not known is not guessed at.
void check_packing(const Header& header, const std::string& path) {
    constexpr const char* advice = "convert it with zgetdump, which needs the disk itself and not a copy";
    if (header.zlib_version != 1)
        throw FileError(fmt::format("{}: an s390 dump packed with zlib, version {} of it; kcrash reads version 1; {}", path,
                                    header.zlib_version, advice));
    if (header.version != 2)
        throw FileError(
            fmt::format("{}: an s390 dump v{} packed with zlib; kcrash reads those of v2; {}", path, header.version, advice));
    if (header.entry_bytes == 0 || header.entry_bytes % page_bytes != 0 || header.entry_bytes > S390Entries::most_bytes)
        throw FileError(
            fmt::format("{}: damaged s390 dump header: {} bytes of memory in a packed entry", path, header.entry_bytes));
}

Header read_header(const ByteSource& file) {
    const auto bytes = file.read(FileOffset(0), header_bytes);
    Header header;
    Cursor cursor(bytes, ByteOrder::big, file.path());
    header.extended = cursor.u64() == magic_extended;
    header.version = cursor.u32();
    header.size = cursor.u32();
    cursor.skip(4);
    const uint32_t page_size = cursor.u32();
    header.memory_size = cursor.u64();
    header.memory_begin = cursor.u64();
    cursor.seek(56);
    header.time = cursor.u64();
    cursor.seek(72);
    header.arch = cursor.u32();
    header.volume = cursor.u32();
    cursor.seek(93);
    const uint16_t cpus = cursor.u16();
    cursor.seek(97);
    const uint8_t zlib_version = cursor.u8();
    header.entry_bytes = cursor.u32();
    cursor.seek(512);
    const uint64_t sign = cursor.u64();
    header.one_of_several = sign == magic || sign == magic_extended;
    if (header.extended && !header.one_of_several) header.zlib_version = zlib_version;
    const auto wrong = [&](const std::string& what) {
        throw FileError(fmt::format("{}: damaged s390 dump header: {}", file.path(), what));
    };
    if (page_size != page_bytes) wrong(fmt::format("page size {}", page_size));
    if (header.size < header_bytes || header.size % page_bytes != 0 || header.size > uint64_t{1} << 24)
        wrong(fmt::format("header size {}", header.size));
    if (header.memory_size % page_bytes != 0 || header.memory_begin % page_bytes != 0 || header.memory_size > max_memory ||
        header.memory_begin > max_memory)
        wrong(fmt::format("memory from 0x{:x}, {} bytes", header.memory_begin, header.memory_size));
    if (header.arch != 1 && header.arch != 2) wrong(fmt::format("architecture {}", header.arch));
    if (cpus > max_cpus) wrong(fmt::format("{} CPUs", cpus));
    if (header.zlib_version != 0) check_packing(header, file.path());
    cursor.seek(prefixes_at);
    for (uint16_t i = 0; i < cpus; ++i) header.prefixes.push_back(cursor.u32());
    return header;
}

class S390Dump final : public Dump {
public:
    explicit S390Dump(std::vector<std::shared_ptr<const ByteSource>> files);
    Fault try_read_page(PageFrame frame, std::span<std::byte> into) const override;
    std::optional<FileOffset> file_offset(PageFrame frame) const override;
    std::vector<PhysicalRange> memory() const override;

private:
    struct Volume {
        std::shared_ptr<const ByteSource> file;
        Header header;
    };
    void order_volumes();
    void fill_info();
    void place_memory();
    void place_segments();
    bool place_segments_of(size_t volume);
    uint64_t place_segment(const S390Segment& segment, uint64_t at, size_t volume);
    void check_end(size_t volume, uint64_t at);
    void check_chunks();
    void read_registers();
    const S390Chunk* chunk_of(uint64_t address) const;
    const Header& header() const { return volumes_.front().header; }
    uint64_t memory_end() const { return header().memory_begin + header().memory_size; }
    PhysicalRange range() const { return {PhysicalAddress(header().memory_begin), PhysicalAddress(memory_end())}; }

    std::vector<Volume> volumes_;
    std::vector<S390Chunk> chunks_;      // ascending, without overlaps
    uint64_t known_end_ = 0;             // behind it nothing is known of memory: the dump was cut
    std::optional<S390Entries> entries_; // when there is a packed segment
};

S390Dump::S390Dump(std::vector<std::shared_ptr<const ByteSource>> files) {
    for (auto& file : files) volumes_.push_back({file, read_header(*file)});
    order_volumes();
    if (header().memory_size == 0) throw FileError(fmt::format("{}: an s390 dump without memory", volumes_.front().file->path()));
    fill_info();
    if (header().extended) place_segments();
    else place_memory();
    check_chunks();
    vmcoreinfo_ = s390_vmcoreinfo(s390_reader(*this));
    read_registers();
}

// The volumes of one dump have numbers from 0 on.
void S390Dump::order_volumes() {
    if (volumes_.size() == 1 && !header().one_of_several) return;
    std::stable_sort(volumes_.begin(), volumes_.end(),
                     [](const Volume& a, const Volume& b) { return a.header.volume < b.header.volume; });
    for (size_t i = 0; i < volumes_.size(); ++i) {
        const Header& h = volumes_[i].header;
        const std::string& path = volumes_[i].file->path();
        if (!h.one_of_several)
            throw FileError(fmt::format("{}: is not a volume of a multi-volume dump; open one dump at a time", path));
        if (h.extended != header().extended)
            throw FileError(fmt::format("{}: is not of the same dump as {}", path, volumes_[0].file->path()));
        if (h.volume != i)
            throw FileError(fmt::format("{}: is volume {} of a multi-volume dump; volume {} is missing", path, h.volume, i));
    }
}

void S390Dump::fill_info() {
    info_.format = fmt::format("s390 dump{} v{}", header().extended ? " extended" : "", header().version);
    info_.elf_machine = EM_S390;
    info_.order = ByteOrder::big;
    info_.word_size = header().arch == 1 ? 4 : 8;
    info_.page_size = page_bytes;
    info_.compression = "none";
    info_.machine = header().arch == 1 ? "s390" : "s390x";
    info_.split = volumes_.size() > 1;
    info_.max_frame = memory_end() / page_bytes;
}

// Is the mark there that ends a whole dump?
void S390Dump::check_end(size_t volume, uint64_t at) {
    const ByteSource& file = *volumes_[volume].file;
    std::byte mark[16];
    const Fault fault = file.try_read(FileOffset(at), mark);
    if (fault == Fault::none && std::memcmp(mark, "DUMP_END", 8) == 0 &&
        load<uint64_t>(mark + 8, ByteOrder::big) >= header().time)
        return;
    if (fault == Fault::truncated) {
        info_.truncated = true;
        info_.warnings.push_back(
            fmt::format("{}: truncated: needs {} bytes, has {}", file.path(), at + sizeof(mark), file.size()));
    } else {
        info_.incomplete = true;
        info_.warnings.push_back(fmt::format("{}: no end mark at offset 0x{:x}: the dump was not finished", file.path(), at));
    }
}

// The plain form: each volume is filled before the next.
void S390Dump::place_memory() {
    uint64_t at = header().memory_begin;
    for (size_t i = 0; i < volumes_.size() && at < memory_end(); ++i) {
        const uint64_t size = volumes_[i].file->size(), begin = volumes_[i].header.size;
        const bool last = i + 1 == volumes_.size();
        const uint64_t room = size > begin ? (size - begin) / page_bytes * page_bytes : 0;
        const uint64_t n = last && !header().one_of_several ? memory_end() - at : std::min(memory_end() - at, room);
        if (n != 0) chunks_.push_back({at, at + n, begin, i});
        at += n;
        if (at == memory_end()) check_end(i, begin + n);
    }
    known_end_ = at;
    if (at == memory_end()) return;
    info_.truncated = true;
    info_.warnings.push_back(
        fmt::format("a volume of the dump is missing: physical addresses 0x{:x} to 0x{:x} cannot be read", at, memory_end() - 1));
}

void S390Dump::place_segments() {
    for (size_t i = 0; i < volumes_.size(); ++i)
        if (place_segments_of(i)) {
            known_end_ = memory_end();
            return;
        }
    info_.truncated = true;
    for (const S390Chunk& chunk : chunks_) known_end_ = std::max(known_end_, chunk.end);
    info_.warnings.push_back(
        fmt::format("{}: truncated: no segment says that it is the last; physical addresses from 0x{:x} on cannot be read",
                    volumes_.back().file->path(), known_end_));
}

// Walks one volume. True when its last segment has the stop mark. Each segment is longer than a page, so the file bounds them.
bool S390Dump::place_segments_of(size_t volume) {
    const ByteSource& file = *volumes_[volume].file;
    for (uint64_t at = volumes_[volume].header.size;;) {
        check_interrupt();
        const auto segment = read_s390_segment(file, FileOffset(at));
        if (!segment) return false;
        if (segment->length == 0 && !segment->last) return false; // what is left of a volume
        if (!possible_s390_segment(*segment, range()))
            throw FileError(fmt::format("{}: damaged s390 dump: the segment at offset 0x{:x} has memory from 0x{:x}, {} bytes",
                                        file.path(), at, segment->begin, segment->length));
        at = place_segment(*segment, at + page_bytes, volume);
        if (!segment->last) continue;
        check_end(volume, at);
        return true;
    }
}

// Gives the file offset behind the segment, whose memory is at `at`.
uint64_t S390Dump::place_segment(const S390Segment& segment, uint64_t at, size_t volume) {
    S390Chunk chunk{segment.begin, segment.begin + segment.length, at, volume};
    if (header().zlib_version == 0 || segment.blocks == 0) {
        if (segment.length != 0) chunks_.push_back(chunk);
        return at + segment.length;
    }
    const ByteSource& file = *volumes_[volume].file;
    if (!entries_) entries_.emplace(header().entry_bytes, s390_block_bytes(file, segment, FileOffset(at), range()));
    if (segment.entries != entries_->count(segment.length) || segment.entries > S390Entries::most_in_segment)
        throw FileError(
            fmt::format("{}: damaged s390 dump: the segment at offset 0x{:x} has {} packed entries for {} bytes of memory",
                        file.path(), at - page_bytes, segment.entries, segment.length));
    chunk.stored = segment.blocks * entries_->block_bytes();
    if (segment.length != 0) chunks_.push_back(chunk);
    info_.compression = "zlib";
    return at + chunk.stored;
}

void S390Dump::check_chunks() {
    std::stable_sort(chunks_.begin(), chunks_.end(), [](const S390Chunk& a, const S390Chunk& b) { return a.begin < b.begin; });
    for (size_t i = 1; i < chunks_.size(); ++i)
        if (chunks_[i].begin < chunks_[i - 1].end)
            throw FileError(fmt::format("{}: damaged s390 dump: two segments have memory at 0x{:x}",
                                        volumes_[chunks_[i].volume].file->path(), chunks_[i].begin));
}

// One set of notes for each CPU, in the order of the header.
void S390Dump::read_registers() {
    if (header().arch == 1) return;
    unsigned unreadable = 0;
    for (const uint32_t prefix : header().prefixes) {
        const auto registers = prefix == 0 ? std::nullopt : s390_stored_status(prefix, s390_reader(*this));
        unreadable += !registers;
        if (!registers) continue;
        for (Note& note : s390_notes(*registers)) notes_.push_back(std::move(note));
    }
    if (unreadable)
        info_.warnings.push_back(
            fmt::format("{}: the registers of {} CPUs cannot be read", volumes_.front().file->path(), unreadable));
}

const S390Chunk* S390Dump::chunk_of(uint64_t address) const {
    const auto behind = std::upper_bound(chunks_.begin(), chunks_.end(), address,
                                         [](uint64_t a, const S390Chunk& chunk) { return a < chunk.end; });
    return behind == chunks_.end() || behind->begin > address ? nullptr : &*behind;
}

Fault S390Dump::try_read_page(PageFrame frame, std::span<std::byte> into) const {
    if (frame.value >= info_.max_frame || frame.value * page_bytes < header().memory_begin) return Fault::not_in_dump;
    const uint64_t address = frame.value * page_bytes;
    if (const S390Chunk* chunk = chunk_of(address)) {
        const ByteSource& file = *volumes_[chunk->volume].file;
        if (chunk->stored != 0) return entries_->try_read(file, *chunk, PhysicalAddress(address), into);
        return file.try_read(FileOffset(chunk->at + (address - chunk->begin)), into);
    }
    if (address >= known_end_) return Fault::truncated;
    std::fill(into.begin(), into.end(), std::byte{0}); // the extended form leaves out what is zero, and nothing else
    return Fault::none;
}

std::optional<FileOffset> S390Dump::file_offset(PageFrame frame) const {
    const S390Chunk* chunk = frame.value < info_.max_frame ? chunk_of(frame.value * page_bytes) : nullptr;
    if (!chunk) return std::nullopt;
    if (chunk->stored != 0)
        return entries_->file_offset(*volumes_[chunk->volume].file, *chunk, PhysicalAddress(frame.value * page_bytes));
    return FileOffset(chunk->at + (frame.value * page_bytes - chunk->begin));
}

std::vector<PhysicalRange> S390Dump::memory() const { return {range()}; }

Probe probe(std::span<const std::byte> head) {
    if (head.size() < 8) return Probe::not_mine;
    const uint64_t found = load<uint64_t>(head.data(), ByteOrder::big);
    return found == magic || found == magic_extended ? Probe::mine : Probe::not_mine;
}

std::unique_ptr<Dump> open(std::vector<std::shared_ptr<const ByteSource>> files) {
    return std::make_unique<S390Dump>(std::move(files));
}

} // namespace

extern const DumpFormat s390_format;
const DumpFormat s390_format{"s390 dump", probe, open};

} // namespace kcrash
