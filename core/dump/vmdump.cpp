// SPDX-License-Identifier: GPL-3.0-or-later
// VMDUMP: what z/VM's CP writes of a guest at the command VMDUMP, in the form "64 big".
//
// The file is a row of records of 4096 bytes, numbered from 1; identifiers are EBCDIC and integers big-endian.
//
//     record 1      ADSR: 'SR' at 0, "VMDUMP  " at 56
//     record 2      map: "HCPDFMBK", then u32 record numbers: information (8), vector registers (12), access lists (16)
//     information   registers of the CPU that the dump began on; format at 187: 2 is "64 big"; other CPUs at 912 (u16);
//                   their registers from 1104 on, 552 bytes each
//     access list   "HCPDALBK"
//     the next      address space: size of the storage at 72, u64
//     index page    one bit, from the highest, for each 16 MB: is there a key page?
//     key page      one byte for each page of those 16 MB: bit 0 says that the page is stored; index and key pages follow one
//     ...           another in the order of memory
//     storage       the stored pages, in that order, nothing between them
//
// What is odd: a page that is not stored was all zeroes, and is read so: nothing was left out. Older forms (31 bit, and 64 bit
// of guests below 2 GB) are refused by name, as zgetdump does. Specified by s390-tools' zdump/df_vmdump.h.
//
//     page ---> key page of its 16 MB (an index of one entry for each key page that exists) ---> count of bytes before it
#include "core/cursor.hpp"
#include "core/dump/dump.hpp"
#include "core/dump/s390_notes.hpp"
#include "core/interrupt.hpp"
#include <algorithm>
#include <elf.h>
#include <fmt/format.h>

namespace kcrash {
namespace {

using namespace std::string_view_literals;

constexpr uint64_t page_bytes = 4096, key_pages_per_index = 8 * page_bytes, pages_per_key_page = page_bytes;
constexpr auto symptom_id = "\xe2\xd9"sv, vmdump_id = "\xe5\xd4\xc4\xe4\xd4\xd7\x40\x40"sv; // "SR", "VMDUMP  "
constexpr auto map_id = "\xc8\xc3\xd7\xc4\xc6\xd4\xc2\xd2"sv, list_id = "\xc8\xc3\xd7\xc4\xc1\xd3\xc2\xd2"sv;
constexpr uint64_t max_pages = uint64_t{1} << 34; // 64 TiB
constexpr uint8_t format_64_big = 2;

bool holds(std::span<const std::byte> bytes, size_t at, std::string_view id) {
    return bytes.size() >= at + id.size() && std::memcmp(bytes.data() + at, id.data(), id.size()) == 0;
}

std::vector<std::byte> read_record(const ByteSource& file, uint64_t number) {
    if (number == 0) throw FileError(fmt::format("{}: damaged VMDUMP: a record number is 0", file.path()));
    return file.read(FileOffset((number - 1) * page_bytes), page_bytes);
}

S390Registers first_registers(Cursor cursor) {
    S390Registers registers;
    cursor.seek(16);
    for (uint64_t& value : registers.general) value = cursor.u64();
    registers.prefix = cursor.u32();
    cursor.seek(192);
    for (uint64_t& value : registers.psw) value = cursor.u64();
    for (uint64_t& value : registers.control) value = cursor.u64();
    cursor.seek(560);
    for (uint32_t& value : registers.access) value = cursor.u32();
    return registers;
}

S390Registers other_registers(Cursor cursor) {
    S390Registers registers;
    cursor.seek(144);
    for (uint64_t& value : registers.general) value = cursor.u64();
    for (uint64_t& value : registers.psw) value = cursor.u64();
    cursor.seek(296);
    registers.prefix = cursor.u32();
    cursor.seek(336);
    for (uint32_t& value : registers.access) value = cursor.u32();
    for (uint64_t& value : registers.control) value = cursor.u64();
    return registers;
}

class VmDump final : public Dump {
public:
    explicit VmDump(std::shared_ptr<const ByteSource> file);
    Fault try_read_page(PageFrame frame, std::span<std::byte> into) const override;
    std::optional<FileOffset> file_offset(PageFrame frame) const override;
    std::vector<PhysicalRange> memory() const override;

private:
    // 16 MB of memory of which pages are stored.
    struct KeyPage {
        uint64_t number = 0; // of its 16 MB
        uint64_t at = 0;     // file offset
        uint64_t before = 0; // pages stored before it
    };
    void read_registers(uint64_t record);
    void read_index(uint64_t at);
    Fault try_find(PageFrame frame, std::optional<FileOffset>& at) const;

    std::shared_ptr<const ByteSource> file_;
    std::vector<KeyPage> keys_; // ascending
    uint64_t storage_at_ = 0;   // file offset of the first stored page
};

VmDump::VmDump(std::shared_ptr<const ByteSource> file) : file_(std::move(file)) {
    const auto map = read_record(*file_, 2);
    if (!holds(map, 0, map_id)) throw FileError(fmt::format("{}: damaged VMDUMP: record 2 is not the map record", file_->path()));
    const uint64_t information = load<uint32_t>(map.data() + 8, ByteOrder::big),
                   access = load<uint32_t>(map.data() + 16, ByteOrder::big);
    if (!holds(read_record(*file_, access), 0, list_id))
        throw FileError(fmt::format("{}: damaged VMDUMP: record {} is not the access list", file_->path(), access));
    info_.format = "VMDUMP";
    info_.elf_machine = EM_S390;
    info_.order = ByteOrder::big;
    info_.page_size = page_bytes;
    info_.compression = "none";
    info_.machine = "s390x";
    read_registers(information);
    const auto space = read_record(*file_, access + 1);
    const uint64_t size = load<uint64_t>(space.data() + 72, ByteOrder::big);
    info_.max_frame = size / page_bytes;
    if (info_.max_frame == 0 || info_.max_frame > max_pages)
        throw FileError(fmt::format("{}: damaged VMDUMP: {} bytes of storage", file_->path(), size));
    read_index((access + 1) * page_bytes);
    vmcoreinfo_ = s390_vmcoreinfo(s390_reader(*this));
}

void VmDump::read_registers(uint64_t record) {
    const auto first = read_record(*file_, record);
    const uint8_t format = static_cast<uint8_t>(first[187]);
    if (format != format_64_big)
        throw FileError(
            fmt::format("{}: is a VMDUMP of an older form (0x{:x}: {}), which kcrash does not read; convert it with vmconvert",
                        file_->path(), format,
                        format == 0      ? "31 bit"
                        : format == 0x82 ? "64 bit, small"
                                         : "unknown"));
    for (Note& note : s390_notes(first_registers(Cursor(first, ByteOrder::big, file_->path()))))
        notes_.push_back(std::move(note));
    constexpr uint64_t other_bytes = 552, others_at = 1104;
    const uint16_t others = load<uint16_t>(first.data() + 912, ByteOrder::big);
    for (uint16_t i = 0; i < others; ++i) {
        const auto bytes = file_->read(FileOffset((record - 1) * page_bytes + others_at + i * other_bytes), other_bytes);
        for (Note& note : s390_notes(other_registers(Cursor(bytes, ByteOrder::big, file_->path()))))
            notes_.push_back(std::move(note));
    }
}

// Walks index and key pages once. The pages that exist bound the index; the storage's size bounds the walk.
void VmDump::read_index(uint64_t at) {
    uint64_t stored = 0, number = 0;
    const uint64_t wanted = (info_.max_frame + pages_per_key_page - 1) / pages_per_key_page;
    while (number < wanted) {
        check_interrupt();
        const auto index = file_->read(FileOffset(at), page_bytes);
        at += page_bytes;
        for (uint64_t bit = 0; bit < key_pages_per_index && number < wanted; ++bit, ++number) {
            if ((static_cast<unsigned>(index[bit / 8]) >> (7 - bit % 8) & 1) == 0) continue;
            const auto keys = file_->read(FileOffset(at), page_bytes);
            keys_.push_back({number, at, stored});
            at += page_bytes;
            const uint64_t here = std::min(pages_per_key_page, info_.max_frame - number * pages_per_key_page);
            stored += static_cast<uint64_t>(std::count_if(keys.begin(), keys.begin() + static_cast<std::ptrdiff_t>(here),
                                                          [](std::byte key) { return (key & std::byte{1}) != std::byte{0}; }));
        }
    }
    storage_at_ = at;
    const uint64_t needed = storage_at_ + stored * page_bytes;
    if (needed <= file_->size()) return;
    info_.truncated = true;
    info_.warnings.push_back(fmt::format("{}: truncated: needs {} bytes, has {}", file_->path(), needed, file_->size()));
}

// Where the page is stored; nothing when it is all zeroes.
Fault VmDump::try_find(PageFrame frame, std::optional<FileOffset>& at) const {
    at.reset();
    if (frame.value >= info_.max_frame) return Fault::not_in_dump;
    const uint64_t number = frame.value / pages_per_key_page, place = frame.value % pages_per_key_page;
    const auto key =
        std::lower_bound(keys_.begin(), keys_.end(), number, [](const KeyPage& k, uint64_t n) { return k.number < n; });
    if (key == keys_.end() || key->number != number) return Fault::none;
    std::byte keys[page_bytes];
    if (const Fault fault = file_->try_read(FileOffset(key->at), std::span(keys, place + 1)); fault != Fault::none) return fault;
    if ((keys[place] & std::byte{1}) == std::byte{0}) return Fault::none;
    uint64_t rank = key->before;
    for (uint64_t i = 0; i < place; ++i) rank += static_cast<uint64_t>(keys[i] & std::byte{1});
    at = FileOffset(storage_at_ + rank * page_bytes);
    return Fault::none;
}

Fault VmDump::try_read_page(PageFrame frame, std::span<std::byte> into) const {
    std::optional<FileOffset> at;
    if (const Fault fault = try_find(frame, at); fault != Fault::none) return fault;
    if (at) return file_->try_read(*at, into);
    std::fill(into.begin(), into.end(), std::byte{0});
    return Fault::none;
}

std::optional<FileOffset> VmDump::file_offset(PageFrame frame) const {
    std::optional<FileOffset> at;
    return try_find(frame, at) == Fault::none ? at : std::nullopt;
}

std::vector<PhysicalRange> VmDump::memory() const {
    return {{PhysicalAddress(0), PhysicalAddress(info_.max_frame * page_bytes)}};
}

Probe probe(std::span<const std::byte> head) {
    return holds(head, 0, symptom_id) && holds(head, 56, vmdump_id) ? Probe::mine : Probe::not_mine;
}

std::unique_ptr<Dump> open(std::vector<std::shared_ptr<const ByteSource>> files) {
    if (files.size() > 1)
        throw FileError(fmt::format("{}: a VMDUMP is one file; {} is another dump", files[0]->path(), files[1]->path()));
    return std::make_unique<VmDump>(std::move(files.front()));
}

} // namespace

extern const DumpFormat vmdump_format;
const DumpFormat vmdump_format{"VMDUMP", probe, open};

} // namespace kcrash
