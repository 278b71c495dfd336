// SPDX-License-Identifier: GPL-3.0-or-later
// The state of a machine inside its disk image: what QEMU's "savevm", and "virsh snapshot-create" of a running domain, add to a qcow2 file.
//
//     0     "QFI\xfb"  u32 version = 2 or 3                               all integers are big-endian
//     20    u32 cluster bits, u64 bytes of the disk, u32 encryption       a cluster is 2^bits bytes
//     60    u32 number of snapshots, u64 where their table is
//     72    u64 incompatible features                                     version 3
//
//     the table, each entry at a multiple of 8:
//     0     u64 where its L1 table is, u32 entries in it, u16 length of id, u16 length of name
//     16    u32 seconds since 1970, u32 nanoseconds, u64 nanoseconds that the guest ran
//     32    u32 bytes of the state, u32 length of what is extra
//     40    extra: u64 bytes of the state, u64 bytes of the disk, ...; then id and name
//
//     L1 table            L2 table, a cluster         file
//     +-----------+       +-----------+               +---------+
//     | disk      |------>| cluster   |-------------->| bytes   |
//     | disk      |       | 0         | (zeroes)      +---------+
//     | state     |--+    +-----------+
//     | state     |  |    +-----------+               +---------+
//     +-----------+  +--->| cluster   |-------------->| QEVM... |   a migration stream: qemu_stream.cpp
//                         +-----------+               +---------+
//
// What is odd about it. The state has no table of its own: it lies behind the end of the disk in the snapshot's tables, from the
// first L1 entry that holds nothing of the disk on. The size of the disk is the one that the snapshot remembers, where it does. Of
// the sizes of the state the one of 64 bits counts, if it is there; the other is 0 when it is too small for it. A machine with
// several disks has its state in one of them; the others have snapshots of the same name without it. The backing file has no part in it.
// Extended L2 entries (feature 4) are of 16 bytes: the second eight tell for each 32nd of the cluster whether it is there (lower
// half) or zero (upper half).
//
// No table of an honest image occurs twice in one snapshot, and a state is not larger than the file: this is what bounds the work.
// Specified by QEMU's docs/interop/qcow2.rst.
#include "core/cursor.hpp"
#include "core/dump/extents.hpp"
#include "core/dump/qemu_stream.hpp"
#include "core/interrupt.hpp"
#include <algorithm>
#include <array>
#include <fmt/chrono.h>
#include <fmt/format.h>
#include <unordered_set>

namespace kcrash {
namespace {

using namespace std::string_view_literals;

constexpr std::string_view magic = "QFI\xfb"sv;
constexpr uint32_t most_snapshots = 65536;
constexpr uint64_t subclusters = 32;
constexpr uint64_t offset_mask = 0x00fffffffffffe00, compressed = uint64_t{1} << 62, reads_as_zero = 1;
enum Feature : uint64_t { dirty = 1, corrupt = 2, external_data = 4, compression_type = 8, extended_entries = 16 };

struct Header {
    unsigned cluster_bits;
    uint64_t disk_bytes;
    uint32_t snapshots;
    uint64_t table;
    uint64_t features = 0;
};

struct Snapshot {
    uint64_t table = 0; // L1
    uint32_t entries = 0, seconds = 0;
    uint64_t state_bytes = 0, disk_bytes = 0;
    std::string id, name;
};

// The state as a file: what no extent holds is zero.
class StateFile final : public ByteSource {
public:
    StateFile(std::shared_ptr<const ByteSource> file, std::vector<Extent> extents, uint64_t size)
        : file_(std::move(file)), extents_(std::move(extents)), size_(size) {}
    Fault try_read(FileOffset at, std::span<std::byte> into) const override {
        if (at.value > size_ || into.size() > size_ - at.value) return Fault::truncated;
        uint64_t offset = at.value;
        while (!into.empty()) {
            const Extent* extent = find_extent(extents_, offset);
            const bool hole = !extent || extent->begin > offset;
            const uint64_t end = !extent ? size_ : hole ? extent->begin : extent->end;
            const auto part = into.first(static_cast<size_t>(std::min<uint64_t>(into.size(), end - offset)));
            if (hole) std::fill(part.begin(), part.end(), std::byte{0});
            else if (const Fault fault = file_->try_read(FileOffset(extent->source + (offset - extent->begin)), part); fault != Fault::none)
                return fault;
            into = into.subspan(part.size());
            offset += part.size();
        }
        return Fault::none;
    }
    uint64_t size() const override { return size_; }
    const std::string& path() const override { return file_->path(); }

private:
    std::shared_ptr<const ByteSource> file_;
    std::vector<Extent> extents_;
    uint64_t size_;
};

class Image {
public:
    explicit Image(std::shared_ptr<const ByteSource> file) : file_(std::move(file)), header_(parse_header()) {}

    std::unique_ptr<Dump> open() {
        const Snapshot snapshot = last_state();
        if (snapshot.state_bytes > file_->size())
            damaged(fmt::format("{} has a state of {} bytes, the file has {}", title(snapshot), snapshot.state_bytes, file_->size()));
        map(snapshot);
        if (header_.features & corrupt)
            warnings_.push_back(fmt::format("{}: QEMU has marked this image as corrupt: not all of it may be right", file_->path()));
        if (lost_ > 0)
            warnings_.push_back(fmt::format("{}: truncated: {} bytes of the state of the machine lie behind its end", file_->path(), lost_));
        auto state = std::make_shared<StateFile>(file_, std::move(extents_), snapshot.state_bytes);
        std::array<std::byte, 4> head{};
        (void)state->try_read(FileOffset(0), head);
        if (!is_qemu_stream(head)) damaged(fmt::format("no QEMU stream begins in the state of {}", title(snapshot)));
        return open_qemu_stream(std::move(state), "QEMU savevm (qcow2)", std::move(warnings_));
    }

private:
    [[noreturn]] void refuse(const std::string& why) const { throw FileError(fmt::format("{}: {}", file_->path(), why)); }
    [[noreturn]] void damaged(const std::string& what) const { refuse("damaged qcow2 image: " + what); }
    static std::string title(const Snapshot& snapshot) { return fmt::format("snapshot \"{}\" (id {})", snapshot.name, snapshot.id); }

    Header parse_header() const {
        const auto bytes = file_->read(FileOffset(0), 72);
        Cursor cursor(bytes, ByteOrder::big, file_->path());
        cursor.seek(magic.size());
        const uint32_t version = cursor.u32();
        if (version != 2 && version != 3) refuse(fmt::format("a qcow image of version {}; kcrash reads versions 2 and 3", version));
        cursor.seek(20);
        Header header{};
        header.cluster_bits = cursor.u32();
        header.disk_bytes = cursor.u64();
        const uint32_t encryption = cursor.u32();
        cursor.seek(60);
        header.snapshots = cursor.u32();
        header.table = cursor.u64();
        if (version == 3) header.features = load<uint64_t>(file_->read(FileOffset(72), 8).data(), ByteOrder::big);
        check_features(header.features);
        if (encryption != 0)
            refuse(fmt::format("a qcow2 image that is encrypted ({}), and its snapshots with it; take the dump with \"dump-guest-memory\"",
                               encryption == 1   ? "AES"
                               : encryption == 2 ? "LUKS"
                                                 : fmt::format("method {}", encryption)));
        const unsigned least = header.features & extended_entries ? 14 : 9;
        if (header.cluster_bits < least || header.cluster_bits > 21) damaged(fmt::format("clusters of 2^{} bytes", header.cluster_bits));
        if (header.snapshots > most_snapshots) damaged(fmt::format("{} snapshots", header.snapshots));
        return header;
    }

    void check_features(uint64_t features) const {
        if (features & external_data)
            refuse("a qcow2 image whose data are in another file: it has no snapshots; take the dump with \"dump-guest-memory\"");
        if (const uint64_t unknown = features & ~uint64_t{dirty | corrupt | compression_type | extended_entries})
            refuse(fmt::format("a qcow2 image with features that kcrash does not know: 0x{:x}; take the dump with \"dump-guest-memory\"", unknown));
    }

    // New snapshots are put behind the others.
    Snapshot last_state() {
        Snapshot last;
        uint32_t states = 0;
        uint64_t at = header_.table;
        for (uint32_t n = 0; n < header_.snapshots; ++n) {
            check_interrupt();
            Snapshot one = read_snapshot(at);
            if (one.state_bytes == 0) continue;
            ++states;
            last = std::move(one);
        }
        if (states == 0)
            refuse(fmt::format("a qcow2 disk image, {}; take one with \"savevm\" (of several disks one has it), or take the dump with "
                               "\"dump-guest-memory\"",
                               header_.snapshots == 0   ? "without snapshots, in which the state of a machine would be"
                               : header_.snapshots == 1 ? "whose one snapshot has no state of the machine"
                                                        : fmt::format("none of whose {} snapshots has a state of the machine", header_.snapshots)));
        warnings_.push_back(fmt::format("{}: the memory is that of {}, taken at {:%Y-%m-%d %H:%M:%S} UTC{}", file_->path(), title(last),
                                        fmt::gmtime(static_cast<std::time_t>(last.seconds)),
                                        states == 1   ? ""
                                        : states == 2 ? "; of 1 other with a state of the machine nothing is read"
                                                      : fmt::format("; of {} others with a state of the machine nothing is read", states - 1)));
        return last;
    }

    // The one at `at`, which becomes where the next one is.
    Snapshot read_snapshot(uint64_t& at) const {
        const auto bytes = file_->read(FileOffset(at), 40);
        Cursor cursor(bytes, ByteOrder::big, file_->path(), at);
        Snapshot one;
        one.table = cursor.u64();
        one.entries = cursor.u32();
        const uint16_t id = cursor.u16(), name = cursor.u16();
        one.seconds = cursor.u32();
        cursor.seek(32);
        one.state_bytes = cursor.u32();
        const uint32_t extra = cursor.u32();
        at += bytes.size(); // below the file's size, from which two lengths of 32 bits do not wrap
        const auto sizes = file_->read(FileOffset(at), std::min<uint32_t>(extra, 16));
        if (sizes.size() >= 8) one.state_bytes = load<uint64_t>(sizes.data(), ByteOrder::big);
        one.disk_bytes = sizes.size() >= 16 ? load<uint64_t>(sizes.data() + 8, ByteOrder::big) : header_.disk_bytes;
        at += extra;
        one.id = text(at, id);
        at += id;
        one.name = text(at, name);
        at += name;
        at = (at + 7) & ~uint64_t{7};
        return one;
    }
    std::string text(uint64_t at, uint64_t length) const {
        const auto bytes = file_->read(FileOffset(at), length);
        const std::string_view all(reinterpret_cast<const char*>(bytes.data()), bytes.size());
        return std::string(all.substr(0, 255)); // QEMU's own limit
    }

    bool extended() const { return header_.features & extended_entries; }
    uint64_t cluster() const { return uint64_t{1} << header_.cluster_bits; }

    // Makes extents of the state.
    void map(const Snapshot& snapshot) {
        const uint64_t reach = cluster() / (extended() ? 16 : 8) * cluster(); // of an L2 table, bytes
        const auto tables = [&](uint64_t bytes) { return bytes / reach + (bytes % reach != 0); };
        const uint64_t first = tables(snapshot.disk_bytes), count = tables(snapshot.state_bytes);
        if (first > snapshot.entries || count > snapshot.entries - first)
            damaged(fmt::format("the L1 table of {} has {} entries, its state would be at {} to {}", title(snapshot), snapshot.entries, first,
                                first + count - 1));
        if (snapshot.table % cluster() || snapshot.table > file_->size())
            damaged(fmt::format("the L1 table of {} at 0x{:x}", title(snapshot), snapshot.table));
        const auto l1 = file_->read(FileOffset(snapshot.table + first * 8), count * 8);
        std::unordered_set<uint64_t> seen;
        for (uint64_t n = 0; n < count; ++n) {
            check_interrupt();
            const uint64_t at = load<uint64_t>(l1.data() + n * 8, ByteOrder::big) & offset_mask;
            if (at == 0) continue;
            if (at % cluster()) damaged(fmt::format("an L2 table at 0x{:x}", at));
            if (!seen.insert(at).second) damaged(fmt::format("the L2 table at 0x{:x} occurs twice", at));
            map_table(file_->read(FileOffset(at), cluster()), n * reach, snapshot.state_bytes);
        }
    }

    void map_table(std::span<const std::byte> table, uint64_t begin, uint64_t size) {
        const size_t step = extended() ? 16 : 8;
        for (size_t at = 0; at < table.size() && begin < size; at += step, begin += cluster()) {
            const uint64_t entry = load<uint64_t>(table.data() + at, ByteOrder::big), source = entry & offset_mask;
            if (entry & compressed)
                refuse(fmt::format("a qcow2 image with a compressed cluster in the state of the machine, at 0x{:x} of it: not read; take the dump "
                                   "with \"dump-guest-memory\"",
                                   begin));
            if (source % cluster()) damaged(fmt::format("the state of the machine at 0x{:x} of it is at 0x{:x}", begin, source));
            if (extended()) map_parts(load<uint64_t>(table.data() + at + 8, ByteOrder::big), source, begin, size);
            else if (source != 0 && !(entry & reads_as_zero)) add(begin, source, std::min(cluster(), size - begin));
        }
    }

    // A cluster with extended entries. there: the bits of its parts.
    void map_parts(uint64_t there, uint64_t source, uint64_t begin, uint64_t size) {
        const uint64_t part = cluster() / subclusters, stored = there & UINT32_MAX, zero = there >> 32;
        if ((stored & zero) != 0 || (stored != 0 && source == 0))
            damaged(fmt::format("the state of the machine at 0x{:x} of it has the bits 0x{:x}, and is at 0x{:x}", begin, there, source));
        for (uint64_t n = 0; n < subclusters && begin + n * part < size; ++n)
            if (stored >> n & 1) add(begin + n * part, source + n * part, std::min(part, size - begin - n * part));
    }

    void add(uint64_t begin, uint64_t source, uint64_t bytes) {
        if (source > file_->size() || bytes > file_->size() - source) lost_ += bytes;
        if (!extents_.empty() && extents_.back().end == begin && extents_.back().source + (begin - extents_.back().begin) == source)
            extents_.back().end += bytes;
        else extents_.push_back({begin, begin + bytes, source, 0});
    }

    std::shared_ptr<const ByteSource> file_;
    Header header_;
    std::vector<std::string> warnings_;
    std::vector<Extent> extents_; // of the state, ascending
    uint64_t lost_ = 0;           // bytes of them behind the end of the file
};

Probe probe(std::span<const std::byte> head) {
    return std::string_view(reinterpret_cast<const char*>(head.data()), head.size()).starts_with(magic) ? Probe::mine : Probe::not_mine;
}

std::unique_ptr<Dump> open(std::vector<std::shared_ptr<const ByteSource>> files) {
    if (files.size() > 1)
        throw FileError(fmt::format("{}: the state of a machine is in one image; {} is another dump", files[0]->path(), files[1]->path()));
    return Image(files.front()).open();
}

} // namespace

extern const DumpFormat qcow2_format;
const DumpFormat qcow2_format{"QEMU savevm (qcow2)", probe, open};

} // namespace kcrash
