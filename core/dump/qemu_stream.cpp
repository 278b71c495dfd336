// SPDX-License-Identifier: GPL-3.0-or-later
// QEMU's migration stream: what "migrate exec:cat>FILE" and "virsh dump" without --memory-only write, and "virsh save" with a
// header of libvirt's before it (libvirt.cpp).
//
//     "QEVM"  version = 3                                                        all integers are big-endian
//     0x07    u32 length, machine type; then subsections of 0x05                 "pc-q35-7.2"
//     0x01    u32 id, u8 length, name, u32 instance, u32 version, data           the start of "ram": its blocks
//     0x02    u32 id, data                                                       a round of pages
//     0x03    u32 id, data                                                       the last round
//     0x04    as 0x01                                                            the state of a device, whole
//     0x7e    u32 id                                                             behind each of them, the footer
//     0x08    u16 command, u16 length, data                                      to who receives it; QEMU 10 writes 11 before the last round
//     0x00, then 0x06 u32 length, JSON                                           the end, and a description of the devices
//
// The data of "ram" are words, an address in the upper bits and flags in the lower twelve:
//
//     0x04   the sum of all blocks; then for each u8 length, name, u64 size; with "mapped-ram" a header, see mapped_block()
//     0x08   a page: unless 0x20 (the block is the last one's) u8 length, block; then 4,096 bytes
//     0x02   a page of one byte's value: as 0x08, then that byte
//     0x10   the end of the round
//     0x40   a difference to the page as it was (xbzrle), 0x100 a compressed page: not read
//
// Others are sent in rounds too: "spapr/htab", POWER's hash table, and "s390-storage_attributes", both of which begin before the memory.
//
// What is odd about it. There is no index: opening reads every word. A page of a guest that ran comes several times; the last
// counts. It names blocks, never physical addresses: those are QEMU's own, see qemu_machines.cpp. Sections of devices do not tell
// their length: what is looked for among them, the CPUs, is qemu_cpus.cpp's. With the capability "mapped-ram" (QEMU 9.0) there are no
// pages in the rounds: each block has its own place in the file, and a bitmap says which of its pages are there; the others are zero.
// Pages are of 4,096 bytes whatever the guest's pages are. Specified by QEMU's docs/devel/migration.rst, migration/ram.c and
// migration/savevm.c.
#include "core/dump/qemu_stream.hpp"
#include "core/bytes.hpp"
#include "core/dump/mapped.hpp"
#include "core/dump/qemu_cpus.hpp"
#include "core/dump/qemu_machines.hpp"
#include "core/dump/qemu_pages.hpp"
#include "core/dump/qemu_reader.hpp"
#include "core/error.hpp"
#include "core/interrupt.hpp"
#include <algorithm>
#include <elf.h>
#include <fmt/format.h>
#include <set>

namespace kcrash {
namespace {

constexpr uint64_t page_size = StreamPages::page_size;
constexpr size_t most_blocks = 4096, most_others = 4096;
constexpr uint64_t most_device_state = uint64_t{64} << 20, most_description = uint64_t{4} << 20; // bytes

enum Section : uint8_t {
    end_of_stream = 0,
    start = 1,
    part = 2,
    end = 3,
    full = 4,
    subsection = 5,
    configuration = 7,
    command = 8,
    footer = 0x7e
};
enum Command : uint16_t { ping = 2, switchover_start = 11 }; // those up to `ping` and the other ask for nothing
enum Flag : uint64_t { fill = 0x02, sizes = 0x04, page = 0x08, end_of_round = 0x10, same_block = 0x20 };

class Reader {
public:
    Reader(std::shared_ptr<const ByteSource> file, std::string format, std::vector<std::string> warnings)
        : file_(std::move(file)), stream_(*file_) {
        parts_.format = std::move(format);
        parts_.warnings = std::move(warnings);
        parts_.offsets_are_of_the_file = false;
    }

    std::unique_ptr<Dump> open() {
        try {
            header();
            while (section()) check_interrupt();
        } catch (const StreamEnd&) {
            if (pages_of_memory_ == 0)
                throw FileError(fmt::format("{}: truncated: the stream ends before its memory", file_->path()));
            parts_.truncated = true;
            parts_.warnings.push_back(
                fmt::format("{}: truncated: the stream ends in the middle, at {} bytes", file_->path(), file_->size()));
        }
        if (memory_.elf_machine) parts_.notes = registers();
        parts_.notes_have_pc = true;
        parts_.elf_machine = memory_.elf_machine;
        parts_.order = qemu_note_order(memory_.elf_machine);
        parts_.bytes = std::move(pages_).source(file_);
        return make_mapped_dump(std::move(parts_));
    }

private:
    [[noreturn]] void damaged(const std::string& what) const {
        throw FileError(fmt::format("{}: damaged stream at offset 0x{:x}: {}", file_->path(), stream_.at(), what));
    }

    void header() {
        stream_.skip(4);
        if (const uint32_t version = stream_.u32(); version != 3)
            throw FileError(fmt::format("{}: a QEMU stream of version {}; kcrash reads version 3", file_->path(), version));
    }

    // False: behind the memory.
    bool section() {
        switch (const uint8_t type = stream_.u8()) {
        case configuration: {
            const uint32_t length = stream_.u32();
            if (length > 1024) damaged(fmt::format("a machine type of {} bytes", length));
            machine_ = stream_.text(length);
            return true;
        }
        case subsection: return configuration_part();
        case start:
        case full: return section_start(type);
        case part:
        case end:
            if (const uint32_t id = stream_.u32(); id == ram_id_) round();
            else if (others_.contains(id)) pass_over(id);
            else damaged(fmt::format("a part of section {}, which has not begun", id));
            return true;
        case footer: stream_.skip(4); return true;
        case command: to_receiver(); return true;
        case end_of_stream: return false;
        default: damaged(fmt::format("section type 0x{:x}", type));
        }
    }

    // Most belong to a guest that goes on elsewhere before its memory is there.
    void to_receiver() {
        const uint16_t number = stream_.u16();
        if (number > ping && number != switchover_start) damaged(fmt::format("command {}: not a stream that holds the whole memory", number));
        stream_.skip(stream_.u16());
    }

    // Of the configuration: what it says changes how memory is written, so what is not known is refused.
    bool configuration_part() {
        const std::string name = stream_.name();
        stream_.skip(4);
        if (name == "configuration/uuid") stream_.skip(16);
        else if (name == "configuration/target-page-bits") {
            if (const uint32_t bits = stream_.u32(); bits != 12) damaged(fmt::format("pages of 2^{} bytes are not read", bits));
        } else if (name == "configuration/capabilities") {
            std::string names;
            for (uint32_t n = std::min<uint32_t>(stream_.u32(), 64); n > 0; --n) {
                const std::string capability = stream_.name();
                if (capability == "mapped-ram") mapped_ = true;
                else names += " " + capability;
            }
            if (!names.empty())
                throw FileError(
                    fmt::format("{}: a QEMU stream with capabilities that kcrash does not read:{}; write it again without them",
                                file_->path(), names));
        } else damaged(fmt::format("subsection {}", name));
        return true;
    }

    bool section_start(uint8_t type) {
        const uint64_t at = stream_.at() - 1;
        const uint32_t id = stream_.u32();
        const std::string name = stream_.name();
        stream_.skip(8);
        if (name != "ram" && type == start) {
            if (others_.size() == most_others) damaged("too many sections beside the memory");
            others_.insert(id);
            pass_over(id);
            return true;
        }
        if (name != "ram") {
            if (pages_of_memory_ == 0) damaged(fmt::format("section \"{}\" before the memory", name));
            devices_at_ = at;
            return false;
        }
        ram_id_ = id;
        round();
        return true;
    }

    // What is sent in rounds as the memory is, and is not memory. Nothing tells its length but its footer, behind which another
    // section begins.
    void pass_over(uint32_t id) {
        std::string mark(1, static_cast<char>(footer));
        for (int shift = 24; shift >= 0; shift -= 8) mark += static_cast<char>(id >> shift);
        stream_.skip_behind(mark, [](uint8_t next) { return (next >= start && next <= full) || next == command; });
    }

    void round() {
        while (true) {
            const uint64_t word = stream_.u64(), flags = word % page_size, address = word - flags;
            if (flags == sizes) block_sizes(address);
            else if (flags == end_of_round) return;
            else if ((flags & ~uint64_t{same_block}) == page || (flags & ~uint64_t{same_block}) == fill) one_page(address, flags);
            else if (flags & 0x40) damaged("pages are differences (xbzrle): write it again without that capability");
            else if (flags & 0x100) damaged("pages are compressed: write it again without that capability");
            else if (flags != 0x200) damaged(fmt::format("flags 0x{:x}", flags)); // 0x200: a mark without data
            check_interrupt();
        }
    }

    void block_sizes(uint64_t sum) {
        if (!blocks_.empty()) damaged("the sizes of memory a second time");
        while (sum > 0) {
            RamBlock block{stream_.name(), stream_.u64()};
            if (block.size == 0 || block.size > sum || block.size % page_size)
                damaged(fmt::format("block {} of {} bytes", block.name, block.size));
            if (blocks_.size() == most_blocks) damaged("too many blocks of memory");
            sum -= block.size;
            blocks_.push_back(std::move(block));
            if (mapped_) places_.push_back(mapped_block(blocks_.back().size));
        }
        bases_.assign(blocks_.size(), UINT64_MAX);
        uint64_t total = 0;
        const auto main = main_memory(blocks_);
        for (const size_t i : main) {
            bases_[i] = total;
            if (__builtin_add_overflow(total, blocks_[i].size, &total) || total > uint64_t{1} << 62)
                damaged("more memory than there can be");
        }
        if (!main.empty()) memory_ = qemu_memory(machine_, blocks_[main.front()].name, total);
        if (memory_.pieces.empty())
            throw FileError(
                fmt::format("{}: where the memory of machine type \"{}\" lies is not known; take the dump with \"virsh dump "
                            "--memory-only\" or \"dump-guest-memory\"",
                            file_->path(), machine_));
        parts_.machine = machine_;
        for (size_t i = 0; i < places_.size(); ++i)
            if (bases_[i] != UINT64_MAX) mapped_pages(blocks_[i], places_[i], bases_[i]);
    }

    // Where a block lies: u32 version = 1, u64 page size, u64 offset of its bitmap, u64 offset of its pages. The next block is
    // behind its pages.
    struct Place {
        uint64_t header, bitmap, pages; // file offsets
    };
    Place mapped_block(uint64_t size) {
        const uint64_t at = stream_.at();
        const uint32_t version = stream_.u32();
        const uint64_t bytes = stream_.u64();
        const Place place{at, stream_.u64(), stream_.u64()};
        if (version != 1 || bytes != page_size) damaged(fmt::format("mapped-ram of version {} with pages of {} bytes", version, bytes));
        const uint64_t bitmap_bytes = (size / page_size + 63) / 64 * 8, file = file_->size();
        if (place.bitmap < stream_.at() || place.bitmap > file || bitmap_bytes > file - place.bitmap || place.pages < place.bitmap + bitmap_bytes ||
            place.pages > file)
            damaged(fmt::format("a bitmap of {} bytes at 0x{:x}, pages at 0x{:x}", bitmap_bytes, place.bitmap, place.pages));
        stream_.skip(place.pages - stream_.at());
        stream_.skip(std::min(size, file - place.pages)); // what is cut off is found out when it is read
        return place;
    }

    // The bitmap is written as the host's words: on a little-endian host bit n of byte n / 8.
    void mapped_pages(const RamBlock& block, const Place& place, uint64_t base) {
        constexpr uint64_t piece_bytes = 65536;
        const uint64_t count = block.size / page_size;
        std::vector<std::byte> bits(piece_bytes);
        for (uint64_t first = 0; first < count; first += piece_bytes * 8) {
            check_interrupt();
            const uint64_t there = std::min(count - first, piece_bytes * 8);
            const auto piece = std::span(bits).first((there + 7) / 8);
            if (file_->try_read(FileOffset(place.bitmap + first / 8), piece) != Fault::none) damaged("its bitmap cannot be read");
            const auto is_set = [&](uint64_t n) { return (piece[n / 8] >> n % 8 & std::byte{1}) != std::byte{0}; };
            for (uint64_t n = 0, end = 0; n < there; n = end) {
                const bool stored = is_set(n);
                for (end = n; end < there && is_set(end) == stored; ++end) {}
                // The first byte of the header, its version's, is zero: it fills the pages that are.
                const uint64_t at = stored ? place.pages + (first + n) * page_size : place.header;
                keep(base + (first + n) * page_size, pages_.add_row(at, !stored, end - n) * page_size, (end - n) * page_size);
            }
        }
        pages_of_memory_ += count;
    }

    // Bytes of main memory, from `at` on in the order of the blocks, lie at `source` in the pages.
    void keep(uint64_t at, uint64_t source, uint64_t bytes) {
        for (const Extent& piece : memory_.pieces) {
            const uint64_t begin = std::max(at, piece.source), end = std::min(at + bytes, piece.source + (piece.end - piece.begin));
            if (begin >= end) continue;
            const uint64_t physical = piece.begin + (begin - piece.source);
            const uint64_t from = source + (begin - at);
            auto& extents = parts_.extents;
            if (!extents.empty() && extents.back().end == physical && extents.back().source + (physical - extents.back().begin) == from)
                extents.back().end += end - begin;
            else extents.push_back({physical, physical + (end - begin), from, UINT64_MAX - extents.size()}); // the last one wins
        }
    }

    void one_page(uint64_t address, uint64_t flags) {
        if (!(flags & same_block)) {
            const std::string name = stream_.name();
            const auto found = std::find_if(blocks_.begin(), blocks_.end(), [&](const RamBlock& b) { return b.name == name; });
            if (found == blocks_.end()) damaged(fmt::format("a page of block \"{}\", which there is not", name));
            block_ = static_cast<size_t>(found - blocks_.begin());
        }
        if (block_ >= blocks_.size() || address >= blocks_[block_].size)
            damaged(fmt::format("a page at 0x{:x}, outside of its block", address));
        const uint64_t at = stream_.at(), base = bases_[block_];
        stream_.skip(flags & fill ? 1 : page_size);
        if (base == UINT64_MAX) return; // a video card's
        ++pages_of_memory_;
        const uint64_t source = pages_.add(at, (flags & fill) != 0) * page_size;
        keep(base + address, source, page_size);
    }

    // None when they are not as expected.
    std::vector<Note> registers() {
        if (devices_at_ == 0 || devices_at_ >= file_->size()) return {};
        const uint64_t size = file_->size() - devices_at_, end = std::min(size, most_description);
        std::vector<std::byte> bytes(std::min(size, most_device_state)), description(end);
        if (file_->try_read(FileOffset(devices_at_), bytes) != Fault::none) return {};
        if (file_->try_read(FileOffset(file_->size() - end), description) != Fault::none) return {};
        auto notes = qemu_cpu_notes(memory_.elf_machine, bytes, description);
        if (notes.empty())
            parts_.warnings.push_back(fmt::format("{}: the registers of the CPUs were not found in the stream", file_->path()));
        return notes;
    }

    std::shared_ptr<const ByteSource> file_;
    ForwardReader stream_;
    MappedParts parts_;
    std::string machine_;
    std::vector<RamBlock> blocks_;
    bool mapped_ = false;         // "mapped-ram"
    std::vector<Place> places_;   // of each block, when it is
    std::vector<uint64_t> bases_; // of each block in main memory; UINT64_MAX: it is not main memory
    QemuMemory memory_;
    StreamPages pages_;
    std::optional<uint32_t> ram_id_;
    std::set<uint32_t> others_; // ids of what else is sent in rounds
    size_t block_ = SIZE_MAX;
    uint64_t pages_of_memory_ = 0, devices_at_ = 0;
};

Probe probe(std::span<const std::byte> head) { return is_qemu_stream(head) ? Probe::mine : Probe::not_mine; }

std::unique_ptr<Dump> open(std::vector<std::shared_ptr<const ByteSource>> files) {
    if (files.size() > 1)
        throw FileError(fmt::format("{}: a QEMU stream is one file; {} is another dump", files[0]->path(), files[1]->path()));
    return open_qemu_stream(files.front(), "QEMU migration stream");
}

} // namespace

bool is_qemu_stream(std::span<const std::byte> head) {
    const std::string_view text(reinterpret_cast<const char*>(head.data()), head.size());
    return text.starts_with("QEVM");
}

std::unique_ptr<Dump> open_qemu_stream(std::shared_ptr<const ByteSource> file, std::string format, std::vector<std::string> warnings) {
    return Reader(std::move(file), std::move(format), std::move(warnings)).open();
}

extern const DumpFormat qemu_stream_format;
const DumpFormat qemu_stream_format{"QEMU migration stream", probe, open};

} // namespace kcrash
