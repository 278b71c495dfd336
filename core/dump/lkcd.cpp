// SPDX-License-Identifier: GPL-3.0-or-later
// LKCD, the first of Linux's dump formats: SGI's and SuSE's Linux Kernel Crash Dump, versions 1 to 10, of kernels 2.2 to 2.6.
//
//     0        header, a C struct of the machine that died
//     65536    page record: u64 address, u32 size, u32 flags; then `size` bytes      (versions 9 and 10 name the offset)
//              page record ...
//              a record whose flags say END
//
// The byte order is the machine's and shows in the magic number. What is odd:
//
//   - the header's width is not told: to version 7 the time stamp before utsname has longs, so utsname moves by 12 bytes. The
//   reading whose
//     utsname begins with the name of a system is right. From version 8 on the struct is packed and the same for all;
//
//            v1-32  v1-64  v2..7-32  v2..7-64  v8..10
//     0      magic u64, version u32, header size u32, level u32, page size u32, memory size, start, end u64
//            324    336    316       328       324     utsname, 6 * 65
//                          712       728       722     compression: 0 none, 1 RLE, 2 zlib         since version 5
//                                              734     offset of the first page, u64              since version 9
//
//   - pages come in any order and there is no index: the records are walked once when the dump is opened. Of two records for one
//   page
//     the first counts, as it does in crash;
//   - RLE: 0 is the escape: 0 0 is one zero, 0 N V is N times V. Up to version 4 pages are RLE, but version 4 was only used by
//     development kernels and no description is left: there a page may be either, and zlib's checksum tells;
//   - the two upper bits of the version say that Mission Critical Linux's variant added a cache of page headers behind the
//   header,
//     which is not needed;
//   - the registers behind the header (from version 8 on one set for each CPU) are laid out by the architecture: x86_64's are read
//     (lkcd_cpus.cpp).
//
// Specified by the LKCD project's dump.h; the offsets above are libkdumpfile's, which the tests ask as well.
//
//     index: runs of up to 32 records with ascending frames ---> extents of frames, source = run * 64 + place in the run
#include "core/cursor.hpp"
#include "core/dump/dump.hpp"
#include "core/dump/extents.hpp"
#include "core/dump/lkcd_cpus.hpp"
#include "core/dump/machines.hpp"
#include "core/dump/notes.hpp"
#include "core/interrupt.hpp"
#include "core/memory/decompress.hpp"
#include <algorithm>
#include <elf.h>
#include <fmt/format.h>

namespace kcrash {
namespace {

constexpr uint64_t magic = 0xa8190173618f23ed, magic_live = 0xa8190173618f23cd;
constexpr uint64_t header_bytes = 742;
constexpr uint64_t record_bytes = 16;
constexpr uint32_t newest_version = 10;
constexpr uint64_t max_address = uint64_t{1} << 52;
constexpr uint64_t run_pages = 32, run_places = 64;

enum class PageMethod : uint32_t { none = 0, rle = 1, zlib = 2, either = 3 };

struct Header {
    ByteOrder order = ByteOrder::little;
    uint32_t version = 0, level = 0;
    uint64_t bytes = 0, page_size = 0; // bytes: of this header
    std::string release, machine_name;
    std::optional<Machine> machine;
    unsigned word_size = 4;
    PageMethod method = PageMethod::rle;
    uint64_t first_page = 65536; // file offset
};

struct Record {
    static constexpr uint32_t raw = 1, compressed = 2, end = 4;
    uint64_t address = 0;
    uint32_t size = 0, flags = 0;
};

std::optional<ByteOrder> order_of(std::span<const std::byte> head) {
    if (head.size() < 8) return std::nullopt;
    for (const ByteOrder order : {ByteOrder::little, ByteOrder::big})
        for (const uint64_t known : {magic, magic_live})
            if (load<uint64_t>(head.data(), order) == known) return order;
    return std::nullopt;
}

std::string field(std::span<const std::byte> bytes, uint64_t at) {
    std::string text(reinterpret_cast<const char*>(bytes.data() + at), 65);
    text.resize(std::min(text.find('\0'), text.size()));
    return text;
}

// Where a header of one version and width has what differs.
struct Layout {
    uint64_t utsname, compression; // compression 0: not in this version
    unsigned word_size;
};

std::span<const Layout> layouts_of(uint32_t version) {
    static constexpr Layout v1[] = {{324, 0, 4}, {336, 0, 8}}, v2[] = {{316, 0, 4}, {328, 0, 8}},
                            v5[] = {{316, 712, 4}, {328, 728, 8}}, v8[] = {{324, 722, 8}};
    return version == 1 ? std::span<const Layout>(v1) : version < 5 ? v2 : version < 8 ? v5 : std::span<const Layout>(v8);
}

// Is there a utsname here: does each of sysname, release and machine look like a name?
bool names_a_system(std::span<const std::byte> bytes, uint64_t at) {
    for (const uint64_t which : {0, 2, 4}) {
        const std::string name = field(bytes, at + which * 65);
        const bool printable = std::all_of(name.begin(), name.end(), [](char c) { return c > ' ' && c < 127; });
        if (name.empty() || name.size() == 65 || !printable) return false;
    }
    return true;
}

PageMethod method_of(uint32_t version, uint32_t compression, const std::string& path) {
    if (version < 4) return PageMethod::rle;
    if (version == 4) return PageMethod::either;
    if (compression > 2) throw FileError(fmt::format("{}: damaged LKCD header: compression method {}", path, compression));
    return PageMethod{compression};
}

Header read_header(const ByteSource& file) {
    const auto bytes = file.read(FileOffset(0), header_bytes);
    Header header;
    header.order = *order_of(bytes);
    Cursor cursor(bytes, header.order, file.path());
    cursor.seek(8);
    header.version = cursor.u32() & ~0xc0000000u; // the variant of Mission Critical Linux
    header.bytes = cursor.u32();
    header.level = cursor.u32();
    header.page_size = cursor.u32();
    if (header.version == 0 || header.version > newest_version)
        throw FileError(
            fmt::format("{}: LKCD version {}; kcrash reads versions 1 to {}", file.path(), header.version, newest_version));
    if (!possible_page_size(header.page_size))
        throw FileError(fmt::format("{}: damaged LKCD header: page size {}", file.path(), header.page_size));
    const auto layouts = layouts_of(header.version);
    const auto found =
        std::find_if(layouts.begin(), layouts.end(), [&](const Layout& l) { return names_a_system(bytes, l.utsname); });
    if (found == layouts.end()) throw FileError(fmt::format("{}: damaged LKCD header: no name of a system in it", file.path()));
    header.release = field(bytes, found->utsname + 2 * 65);
    header.machine_name = field(bytes, found->utsname + 4 * 65);
    header.machine = machine_by_name(header.machine_name);
    header.word_size = header.machine && header.machine->word_size ? header.machine->word_size : found->word_size;
    cursor.seek(found->compression);
    header.method = method_of(header.version, found->compression ? cursor.u32() : 0, file.path());
    cursor.seek(734);
    if (header.version >= 9) header.first_page = cursor.u64();
    return header;
}

// Fills `into` exactly from run-length encoded bytes.
bool unpack_rle(std::span<const std::byte> from, std::span<std::byte> into) {
    size_t at = 0, done = 0;
    while (at < from.size()) {
        const std::byte byte = from[at++];
        if (byte != std::byte{0}) {
            if (done == into.size()) return false;
            into[done++] = byte;
            continue;
        }
        if (at == from.size()) return false;
        const size_t count = static_cast<size_t>(from[at++]);
        if (count != 0 && at == from.size()) return false;
        const std::byte value = count == 0 ? std::byte{0} : from[at++];
        const size_t n = count == 0 ? 1 : count;
        if (n > into.size() - done) return false;
        std::fill_n(into.begin() + static_cast<std::ptrdiff_t>(done), n, value);
        done += n;
    }
    return done == into.size();
}

class LkcdDump final : public Dump {
public:
    explicit LkcdDump(std::shared_ptr<const ByteSource> file);
    Fault try_read_page(PageFrame frame, std::span<std::byte> into) const override;
    std::optional<FileOffset> file_offset(PageFrame frame) const override;
    std::vector<PhysicalRange> memory() const override;

private:
    void fill_info();
    void index_pages();
    void add_page(uint64_t frame, uint64_t at);
    void close_run();
    Fault try_record(uint64_t at, Record& record) const;
    Fault try_find(PageFrame frame, uint64_t& at, Record& record) const;
    bool possible(const Record& record) const;

    std::shared_ptr<const ByteSource> file_;
    Header header_;
    std::vector<Extent> extents_;  // frames
    std::vector<uint64_t> starts_; // of runs, file offsets
    uint64_t run_begin_ = 0, run_length_ = 0;
};

LkcdDump::LkcdDump(std::shared_ptr<const ByteSource> file) : file_(std::move(file)), header_(read_header(*file_)) {
    fill_info();
    index_pages();
    if (extents_.empty()) throw FileError(fmt::format("{}: an LKCD dump without a page", file_->path()));
    info_.max_frame = extents_.back().end;
    if (header_.version >= 8 && info_.elf_machine == EM_X86_64 && info_.order == ByteOrder::little)
        notes_ = lkcd_x86_64_registers(*file_, FileOffset(header_.bytes));
}

void LkcdDump::fill_info() {
    static constexpr const char* methods[] = {"none", "RLE", "zlib", "RLE or zlib"};
    info_.format = fmt::format("LKCD v{}", header_.version);
    info_.order = header_.order;
    info_.word_size = header_.word_size;
    info_.elf_machine = header_.machine ? header_.machine->elf_machine : 0;
    info_.page_size = header_.page_size;
    info_.compression = methods[static_cast<uint32_t>(header_.method)];
    info_.release = header_.release;
    info_.machine = header_.machine_name;
    constexpr uint32_t all_memory = 8; // DUMP_LEVEL_ALL
    info_.partial = header_.level != 0 && (header_.level & all_memory) == 0;
}

Fault LkcdDump::try_record(uint64_t at, Record& record) const {
    std::byte bytes[record_bytes];
    if (const Fault fault = file_->try_read(FileOffset(at), bytes); fault != Fault::none) return fault;
    record = {load<uint64_t>(bytes, header_.order), load<uint32_t>(bytes + 8, header_.order),
              load<uint32_t>(bytes + 12, header_.order)};
    return Fault::none;
}

bool LkcdDump::possible(const Record& record) const {
    const bool raw = record.flags & Record::raw, compressed = record.flags & Record::compressed;
    if (raw == compressed || record.size == 0 || record.address >= max_address) return false;
    return raw ? record.size == header_.page_size : record.size <= header_.page_size * 2; // RLE may grow a page
}

// Walks the records once. Each is at least 17 bytes, so the file bounds their number.
void LkcdDump::index_pages() {
    uint64_t at = header_.first_page, count = 0;
    Record record;
    while (true) {
        if (++count % 4096 == 0) check_interrupt();
        const Fault fault = try_record(at, record);
        if (fault == Fault::truncated) {
            info_.truncated = true;
            info_.warnings.push_back(
                fmt::format("{}: truncated: needs more than {} bytes, has {}", file_->path(), at, file_->size()));
            break;
        }
        if (fault != Fault::none || (!(record.flags & Record::end) && !possible(record))) {
            info_.truncated = true;
            info_.warnings.push_back(
                fmt::format("{}: damaged page record at offset 0x{:x}: what follows it is not read", file_->path(), at));
            break;
        }
        if (record.flags & Record::end) break;
        add_page(record.address / header_.page_size, at);
        at += record_bytes + record.size;
    }
    close_run();
    resolve_overlaps(extents_, [](const Extent&, const Extent&) { return true; });
}

void LkcdDump::add_page(uint64_t frame, uint64_t at) {
    if (run_length_ == run_pages || frame != run_begin_ + run_length_) close_run();
    if (run_length_ == 0) {
        run_begin_ = frame;
        starts_.push_back(at);
    }
    ++run_length_;
}

void LkcdDump::close_run() {
    if (run_length_ != 0)
        extents_.push_back({run_begin_, run_begin_ + run_length_, (starts_.size() - 1) * run_places, starts_.size()});
    run_length_ = 0;
}

// The record of a page, by walking its run from the start.
Fault LkcdDump::try_find(PageFrame frame, uint64_t& at, Record& record) const {
    const Extent* extent = find_extent(extents_, frame.value);
    if (!extent || extent->begin > frame.value) return info_.truncated ? Fault::truncated : Fault::not_in_dump;
    const uint64_t place = extent->source + (frame.value - extent->begin);
    at = starts_[place / run_places];
    for (uint64_t skip = place % run_places;; --skip) {
        if (const Fault fault = try_record(at, record); fault != Fault::none) return fault;
        if (!possible(record)) return Fault::damaged; // the file changed
        if (skip == 0) return Fault::none;
        at += record_bytes + record.size;
    }
}

Fault LkcdDump::try_read_page(PageFrame frame, std::span<std::byte> into) const {
    uint64_t at;
    Record record;
    if (const Fault fault = try_find(frame, at, record); fault != Fault::none) return fault;
    if (record.flags & Record::raw) return file_->try_read(FileOffset(at + record_bytes), into);
    thread_local std::vector<std::byte> packed;
    packed.resize(record.size);
    if (const Fault fault = file_->try_read(FileOffset(at + record_bytes), packed); fault != Fault::none) return fault;
    const PageMethod method = header_.method;
    const bool zlib = method == PageMethod::zlib || method == PageMethod::either;
    const bool rle = method == PageMethod::rle || method == PageMethod::either;
    if (zlib && decompress(Compression::zlib, packed, into)) return Fault::none;
    return rle && unpack_rle(packed, into) ? Fault::none : Fault::damaged;
}

std::optional<FileOffset> LkcdDump::file_offset(PageFrame frame) const {
    uint64_t at;
    Record record;
    if (try_find(frame, at, record) != Fault::none) return std::nullopt;
    return FileOffset(at + record_bytes);
}

std::vector<PhysicalRange> LkcdDump::memory() const {
    std::vector<PhysicalRange> ranges;
    for (const Extent& extent : extents_) {
        const PhysicalAddress begin(extent.begin * info_.page_size), end(extent.end * info_.page_size);
        if (!ranges.empty() && ranges.back().end == begin) ranges.back().end = end;
        else ranges.push_back({begin, end});
    }
    return ranges;
}

Probe probe(std::span<const std::byte> head) { return order_of(head) ? Probe::mine : Probe::not_mine; }

std::unique_ptr<Dump> open(std::vector<std::shared_ptr<const ByteSource>> files) {
    if (files.size() > 1)
        throw FileError(fmt::format("{}: an LKCD dump is one file; {} is another dump", files[0]->path(), files[1]->path()));
    return std::make_unique<LkcdDump>(std::move(files.front()));
}

} // namespace

extern const DumpFormat lkcd_format;
const DumpFormat lkcd_format{"LKCD", probe, open};

} // namespace kcrash
