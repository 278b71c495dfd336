// SPDX-License-Identifier: GPL-3.0-or-later
// sadump: what the firmware of Fujitsu's PRIMEQUEST servers writes by itself, when Linux cannot.
//
//     partition header   one block: signature "sadump" at 0, GUIDs of system, disk set and volume at 88, number of the disk at
//     152,
//                        bytes used at 160, and from 168 to the block's end magic numbers, each 11 * (the one before + 7)
//     [disk set header   on disk 1 of a set: its size in blocks u32, number of disks u32]
//     dump header        one block: "sadump\0\0", version 8, block size 40, sub header 48, bitmaps 52 and 56 (blocks), frames 60
//                        or, since version 1, 88 (u64); CPUs 80
//     sub header         u32 size of all CPU states, 16 bytes of APIC state per CPU, then the states: SMRAM's save maps
//     bitmap             memory exists            } bits from the highest of each byte
//     second bitmap      the page is in the dump  }
//     pages              raw, in frame order, nothing between them; on a disk set they go on behind the first block of disk 2, 3
//     ...
//
// All little-endian. What is odd: the block size is nowhere before it is needed: it is where the row of magic numbers ends. A
// media backup has a block of its own in front, which repeats the GUIDs and has no magic of its own. There is no VMCOREINFO, and
// the registers are what the firmware saw in SMM: control registers among them, so that page tables are found without the
// kernel's help. They become notes as QEMU writes them (NT_PRSTATUS, and "QEMU" for the control registers), because they mean the
// same. Fujitsu published no description; the fields are as crash and libkdumpfile have them.
#include "core/cursor.hpp"
#include "core/dump/dump.hpp"
#include "core/dump/frame_bitmap.hpp"
#include "core/dump/notes.hpp"
#include "core/dump/sadump_cpu.hpp"
#include <algorithm>
#include <elf.h>
#include <fmt/format.h>

namespace kcrash {
namespace {

using namespace std::string_view_literals;

constexpr uint64_t media_block = 4096, max_block = uint64_t{1} << 20, magic_at = 168;
constexpr uint64_t max_frames = uint64_t{1} << 40;
constexpr auto partition_signature = "sadump\0\0"sv, dump_signature = "sadump\0\0"sv;

bool signed_at(std::span<const std::byte> head, uint64_t at, std::string_view signature) {
    return head.size() >= at + signature.size() && std::memcmp(head.data() + at, signature.data(), signature.size()) == 0;
}

// The identity of a dump: GUIDs of system and disk set, and the time.
using Identity = std::vector<std::byte>;

struct Partition {
    std::shared_ptr<const ByteSource> file;
    uint64_t at = 0; // file offset of its header; one block in a media backup
    uint64_t block = 0;
    uint32_t disk = 0; // from 1 on in a disk set; 0: the only one
    uint64_t used = 0; // bytes
    Identity identity;
    bool media = false;
    uint64_t data_at = 0, data_size = 0; // of the pages, bytes
};

struct DumpHeader {
    uint32_t version = 0, compression = 0;
    uint64_t sub_blocks = 0, bitmap_blocks = 0, dumped_blocks = 0, frames = 0, cpus = 0;
};

// Where the row of magic numbers ends, the block does.
uint64_t block_size(const ByteSource& file, uint64_t at) {
    const uint64_t there = file.size() > at ? std::min(max_block, file.size() - at) : 0;
    const auto bytes = file.read(FileOffset(at), there);
    uint64_t end = magic_at + 4;
    while (end + 4 <= bytes.size()) {
        const uint32_t before = load<uint32_t>(bytes.data() + end - 4, ByteOrder::little);
        if (load<uint32_t>(bytes.data() + end, ByteOrder::little) != 11 * (before + 7)) break;
        end += 4;
    }
    if (!possible_page_size(end))
        throw FileError(fmt::format("{}: damaged sadump: its magic numbers end at offset 0x{:x}, which is no block size",
                                    file.path(), at + end));
    return end;
}

Partition read_partition(std::shared_ptr<const ByteSource> file) {
    Partition partition;
    const auto head = file->read(FileOffset(0), std::min<uint64_t>(file->size(), media_block + 256));
    partition.media = !signed_at(head, 0, partition_signature);
    partition.at = partition.media ? media_block : 0;
    Cursor cursor(head, ByteOrder::little, file->path());
    cursor.seek(partition.at + 88);
    const auto guids = cursor.bytes(32);
    cursor.skip(16); // of the volume
    const auto time = cursor.bytes(16);
    partition.identity.assign(guids.begin(), guids.end());
    partition.identity.insert(partition.identity.end(), time.begin(), time.end());
    partition.disk = partition.media ? 0 : cursor.u32();
    cursor.seek(partition.at + 160);
    partition.used = cursor.u64();
    partition.block = block_size(*file, partition.at);
    if (partition.media && std::memcmp(head.data(), partition.identity.data(), 48) != 0)
        throw FileError(fmt::format("{}: damaged sadump: the media header is not of this dump", file->path()));
    partition.file = std::move(file);
    return partition;
}

DumpHeader read_dump_header(const Partition& partition, uint64_t at) {
    const ByteSource& file = *partition.file;
    const auto bytes = file.read(FileOffset(at), partition.block);
    const auto wrong = [&](const std::string& what) {
        throw FileError(fmt::format("{}: damaged sadump header at offset 0x{:x}: {}", file.path(), at, what));
    };
    if (!signed_at(bytes, 0, dump_signature)) wrong("no signature");
    Cursor cursor(bytes, ByteOrder::little, file.path(), at);
    DumpHeader header;
    cursor.seek(8);
    header.version = cursor.u32();
    cursor.seek(36);
    header.compression = cursor.u32();
    const uint32_t block = cursor.u32();
    if (block != partition.block) wrong(fmt::format("block size {}, the magic numbers say {}", block, partition.block));
    cursor.skip(4);
    header.sub_blocks = cursor.u32();
    header.bitmap_blocks = cursor.u32();
    header.dumped_blocks = cursor.u32();
    header.frames = cursor.u32();
    cursor.seek(80);
    header.cpus = cursor.u32();
    cursor.seek(88);
    if (header.version >= 1) header.frames = cursor.u64();
    if (header.frames == 0 || header.frames > max_frames) wrong(fmt::format("{} page frames", header.frames));
    for (const uint64_t blocks : {header.bitmap_blocks, header.dumped_blocks})
        if (blocks * partition.block * 8 < header.frames)
            wrong(fmt::format("a bitmap has {} bits for {} page frames", blocks * partition.block * 8, header.frames));
    return header;
}

class SadumpDump final : public Dump {
public:
    explicit SadumpDump(std::vector<std::shared_ptr<const ByteSource>> files);
    Fault try_read_page(PageFrame frame, std::span<std::byte> into) const override;
    std::optional<FileOffset> file_offset(PageFrame frame) const override;
    std::vector<PhysicalRange> memory() const override;

private:
    void order_disks();
    uint64_t skip_disk_set_header() const;
    void fill_info(const DumpHeader& header);
    void place_data(uint64_t data_at);
    void read_cpus(const DumpHeader& header, uint64_t at);
    Fault try_place(PageFrame frame, const Partition*& disk, FileOffset& at) const;
    const Partition& first() const { return disks_.front(); }

    std::vector<Partition> disks_; // by number
    BitmapPlace existing_;
    std::unique_ptr<const FrameBitmap> exists_, dumped_;
};

SadumpDump::SadumpDump(std::vector<std::shared_ptr<const ByteSource>> files) {
    for (auto& file : files) disks_.push_back(read_partition(std::move(file)));
    order_disks();
    const uint64_t at = first().disk == 0 ? first().at + first().block : skip_disk_set_header();
    const DumpHeader header = read_dump_header(first(), at);
    fill_info(header);
    read_cpus(header, at + first().block);
    const uint64_t bitmap_at = at + (1 + header.sub_blocks) * first().block;
    const uint64_t dumped_at = bitmap_at + header.bitmap_blocks * first().block;
    existing_ = {first().file, FileOffset(bitmap_at), header.frames, BitOrder::high_first};
    exists_ = std::make_unique<FrameBitmap>(existing_);
    dumped_ =
        std::make_unique<FrameBitmap>(BitmapPlace{first().file, FileOffset(dumped_at), header.frames, BitOrder::high_first});
    info_.partial = dumped_->count() < exists_->count();
    place_data(dumped_at + header.dumped_blocks * first().block);
}

void SadumpDump::order_disks() {
    std::stable_sort(disks_.begin(), disks_.end(), [](const Partition& a, const Partition& b) { return a.disk < b.disk; });
    if (first().disk == 0 && disks_.size() > 1)
        throw FileError(fmt::format("{}: is a whole sadump; open one dump at a time", first().file->path()));
    for (size_t i = 0; i < disks_.size() && first().disk != 0; ++i) {
        const Partition& disk = disks_[i];
        if (disk.identity != first().identity || disk.block != first().block)
            throw FileError(fmt::format("{}: is not of the same dump as {}", disk.file->path(), first().file->path()));
        if (disk.disk != i + 1)
            throw FileError(fmt::format("{}: is disk {} of a set; disk {} is missing", disk.file->path(), disk.disk, i + 1));
    }
}

// Checks that the set is whole: where a disk's pages begin follows from the sizes of those before. Gives what follows the header.
uint64_t SadumpDump::skip_disk_set_header() const {
    const uint64_t at = first().at + first().block;
    const auto bytes = first().file->read(FileOffset(at), 8);
    const uint64_t blocks = load<uint32_t>(bytes.data(), ByteOrder::little),
                   disks = load<uint32_t>(bytes.data() + 4, ByteOrder::little);
    if (blocks == 0) throw FileError(fmt::format("{}: damaged sadump: a disk set header of 0 blocks", first().file->path()));
    if (disks != disks_.size())
        throw FileError(fmt::format("{}: is a set of {} disks, {} {} given; name all of them", first().file->path(), disks,
                                    disks_.size(), disks_.size() == 1 ? "is" : "are"));
    return at + blocks * first().block;
}

void SadumpDump::fill_info(const DumpHeader& header) {
    info_.format = fmt::format("sadump v{} ({})", header.version,
                               first().media  ? "media backup"
                               : first().disk ? "disk set"
                                              : "single partition");
    info_.elf_machine = EM_X86_64;
    info_.page_size = first().block;
    info_.compression = "none";
    info_.machine = "x86_64";
    info_.split = disks_.size() > 1;
    info_.max_frame = header.frames;
    if (header.compression != 0)
        info_.warnings.push_back(
            fmt::format("{}: the header says that pages are compressed (method {}); they are read as they are",
                        first().file->path(), header.compression));
}

void SadumpDump::place_data(uint64_t data_at) {
    uint64_t room = 0;
    for (Partition& disk : disks_) {
        disk.data_at = disk.disk <= 1 ? data_at : disk.block;
        const uint64_t end = disk.disk == 0 ? UINT64_MAX : disk.used;
        disk.data_size = end > disk.data_at ? end - disk.data_at : 0;
        if (disk.disk == 0) disk.data_size = dumped_->count() * disk.block;
        const uint64_t needed = disk.data_at + std::min(disk.data_size, dumped_->count() * disk.block);
        room += std::min(disk.data_size, dumped_->count() * disk.block);
        if (needed <= disk.file->size()) continue;
        info_.truncated = true;
        info_.warnings.push_back(
            fmt::format("{}: truncated: needs {} bytes, has {}", disk.file->path(), needed, disk.file->size()));
    }
    if (room >= dumped_->count() * first().block) return;
    info_.truncated = true;
    info_.warnings.push_back(
        fmt::format("{}: damaged sadump: the disks say that they hold {} bytes, {} pages of {} bytes were written",
                    first().file->path(), room, dumped_->count(), first().block));
}

// One set of notes for each CPU. The number of CPUs is bounded by the sub header that must hold them.
void SadumpDump::read_cpus(const DumpHeader& header, uint64_t at) {
    if (header.sub_blocks == 0 || header.cpus == 0) return;
    const ByteSource& file = *first().file;
    constexpr uint64_t max_cpus = 65536;
    const uint64_t room = header.sub_blocks * first().block;
    const uint64_t each = load<uint32_t>(file.read(FileOffset(at), 4).data(), ByteOrder::little) / header.cpus;
    if (each < sadump_cpu_bytes || header.cpus > max_cpus || header.cpus > room / each || 4 + header.cpus * (16 + each) > room) {
        info_.warnings.push_back(
            fmt::format("{}: damaged sadump: {} CPU states of {} bytes in a sub header of {}; registers are left out",
                        file.path(), header.cpus, each, room));
        return;
    }
    bool long_mode = false;
    for (uint64_t cpu = 0; cpu < header.cpus; ++cpu) {
        const auto bytes = file.read(FileOffset(at + 4 + header.cpus * 16 + cpu * each), sadump_cpu_bytes);
        for (Note& note : sadump_cpu_notes(bytes, static_cast<uint32_t>(cpu))) notes_.push_back(std::move(note));
        long_mode |= sadump_cpu_in_long_mode(bytes);
    }
    if (long_mode) return;
    info_.elf_machine = EM_386;
    info_.word_size = 4;
    info_.machine = "i686";
    notes_.clear(); // the notes of a 32-bit kernel look otherwise
    info_.warnings.push_back(fmt::format("{}: a 32-bit kernel's sadump: registers are left out", file.path()));
}

Fault SadumpDump::try_place(PageFrame frame, const Partition*& disk, FileOffset& at) const {
    FrameBitmap::Answer answer;
    if (const Fault fault = dumped_->try_find(frame, answer); fault != Fault::none) return fault;
    if (!answer.set) {
        if (const Fault fault = exists_->try_find(frame, answer); fault != Fault::none) return fault;
        return answer.set ? Fault::excluded : Fault::not_in_dump;
    }
    uint64_t offset = answer.rank * info_.page_size;
    for (const Partition& one : disks_) {
        if (offset < one.data_size) {
            disk = &one;
            at = FileOffset(one.data_at + offset);
            return Fault::none;
        }
        offset -= one.data_size;
    }
    return Fault::truncated;
}

Fault SadumpDump::try_read_page(PageFrame frame, std::span<std::byte> into) const {
    const Partition* disk = nullptr;
    FileOffset at;
    if (const Fault fault = try_place(frame, disk, at); fault != Fault::none) return fault;
    return disk->file->try_read(at, into);
}

std::optional<FileOffset> SadumpDump::file_offset(PageFrame frame) const {
    const Partition* disk = nullptr;
    FileOffset at;
    return try_place(frame, disk, at) == Fault::none ? std::optional(at) : std::nullopt;
}

std::vector<PhysicalRange> SadumpDump::memory() const {
    constexpr size_t max_runs = size_t{1} << 20;
    std::vector<PhysicalRange> ranges;
    for (const auto& [begin, end] : bitmap_runs(existing_, max_runs))
        ranges.push_back({PhysicalAddress(begin * info_.page_size), PhysicalAddress(end * info_.page_size)});
    return ranges;
}

Probe probe(std::span<const std::byte> head) {
    return signed_at(head, 0, partition_signature) || signed_at(head, media_block, partition_signature) ? Probe::mine
                                                                                                        : Probe::not_mine;
}

std::unique_ptr<Dump> open(std::vector<std::shared_ptr<const ByteSource>> files) {
    return std::make_unique<SadumpDump>(std::move(files));
}

} // namespace

extern const DumpFormat sadump_format;
const DumpFormat sadump_format{"sadump", probe, open};

} // namespace kcrash
