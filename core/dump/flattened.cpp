// SPDX-License-Identifier: GPL-3.0-or-later
// Flattened files: a dump that was written to a pipe (makedumpfile -F, and every kdump dump of QEMU).
//
//     0      "makedumpfile"  type = 1  version = 1        16 bytes and two i64, padded to 4096
//     4096   offset  size  data                           records in the order of writing
//            offset  size  data
//            -1      -1                                   the end mark
//
// All integers are big-endian, whatever the dump inside is. Writers go back: a later record overwrites what earlier
// ones wrote (headers are written more than once). So the index is: one extent per record, of which the last wins,
// resolved into ranges without overlaps. It is made in one pass that reads record headers only.
//
// In a whole file, bytes that no record wrote are zero, as they are in the sparse file that makedumpfile -R makes. Without the
// end mark they may have been lost on the way, and are not readable. Specified by makedumpfile's IMPLEMENTATION.
#include "core/dump/flattened.hpp"
#include "core/bytes.hpp"
#include "core/dump/extents.hpp"
#include "core/error.hpp"
#include "core/interrupt.hpp"
#include <algorithm>
#include <cstring>
#include <fmt/format.h>

namespace kcrash {
namespace {

constexpr std::string_view signature("makedumpfile\0\0\0\0", 16);
constexpr uint64_t first_record = 4096, record_header = 16;
constexpr uint64_t near = 16 << 10;        // records of at most this many bytes are read through, of others only the headers
constexpr uint64_t read_ahead = 256 << 10; // bytes at once where records are near
constexpr uint64_t end_mark = UINT64_MAX;

class FlattenedFile final : public ByteSource {
public:
    FlattenedFile(std::shared_ptr<const ByteSource> file, std::vector<Extent> extents, bool whole)
        : file_(std::move(file)), extents_(std::move(extents)), whole_(whole) {}

    Fault try_read(FileOffset at, std::span<std::byte> into) const override {
        if (at.value > size() || into.size() > size() - at.value) return Fault::truncated;
        uint64_t offset = at.value;
        while (!into.empty()) {
            const Extent* extent = find_extent(extents_, offset); // there is one: offset is below size()
            const bool gap = extent->begin > offset;
            if (gap && !whole_) return Fault::truncated;
            const size_t n = static_cast<size_t>(std::min<uint64_t>(into.size(), (gap ? extent->begin : extent->end) - offset));
            if (gap) std::fill_n(into.begin(), n, std::byte{0});
            else if (const Fault fault = file_->try_read(FileOffset(extent->source + (offset - extent->begin)), into.first(n));
                     fault != Fault::none)
                return fault;
            into = into.subspan(n);
            offset += n;
        }
        return Fault::none;
    }
    uint64_t size() const override { return extents_.empty() ? 0 : extents_.back().end; }
    const std::string& path() const override { return file_->path(); }
    FileOffset next_data(FileOffset at) const override {
        const Extent* extent = whole_ ? find_extent(extents_, at.value) : nullptr;
        return extent && extent->begin > at.value ? FileOffset(extent->begin) : at;
    }

private:
    std::shared_ptr<const ByteSource> file_;
    std::vector<Extent> extents_; // by offset of what is inside, without overlaps
    bool whole_;                  // the end mark was there
};

// Record headers, read through a small buffer.
class HeaderReader {
public:
    explicit HeaderReader(const ByteSource& file) : file_(file) {}
    // The two numbers at `at`; false when the file ends before them.
    bool get(uint64_t at, uint64_t& offset, uint64_t& size) {
        if (at > file_.size() || file_.size() - at < record_header) return false;
        if (at < begin_ || at + record_header > begin_ + buffer_.size()) {
            const uint64_t wanted = at - last_ <= near ? read_ahead : record_header;
            buffer_.resize(std::min<uint64_t>(wanted, file_.size() - at));
            file_.read(FileOffset(at), std::span(buffer_));
            begin_ = at;
        }
        last_ = at;
        offset = load<uint64_t>(buffer_.data() + (at - begin_), ByteOrder::big);
        size = load<uint64_t>(buffer_.data() + (at - begin_) + 8, ByteOrder::big);
        return true;
    }

private:
    const ByteSource& file_;
    std::vector<std::byte> buffer_;
    uint64_t begin_ = 0, last_ = 0;
};

struct Index {
    std::vector<Extent> extents;
    bool whole = false;
};

// Walks the records. Their number is bounded by the file: each costs 32 bytes of memory, and honest writers put thousands of
// bytes into one. None is empty, so that a file which is one hole ends the walk.
Index read_records(const ByteSource& file, std::vector<std::string>& warnings) {
    Index index;
    HeaderReader reader(file);
    const uint64_t limit = std::max<uint64_t>(uint64_t{1} << 20, file.size() / 64);
    uint64_t at = first_record, offset, size;
    while (reader.get(at, offset, size)) {
        check_interrupt();
        if (offset == end_mark && size == end_mark) {
            index.whole = true;
            return index;
        }
        uint64_t end;
        if (size == 0 || __builtin_add_overflow(offset, size, &end) || end > static_cast<uint64_t>(INT64_MAX)) {
            warnings.push_back(fmt::format("{}: damaged record at offset 0x{:x}: what follows it is not read", file.path(), at));
            return index;
        }
        if (index.extents.size() == limit)
            throw FileError(fmt::format("{}: a flattened file of more than {} records; rearrange it with \"makedumpfile -R\"",
                                        file.path(), limit));
        const uint64_t there = std::min(size, file.size() - at - record_header);
        if (index.extents.size() == 1000) index.extents.reserve(std::min(limit, file.size() / at * 1200)); // growing would copy
        if (there) index.extents.push_back({offset, offset + there, at + record_header, end_mark - index.extents.size()});
        if (there < size) {
            at += record_header + size; // what the file needs at least
            break;
        }
        at += record_header + size;
    }
    warnings.push_back(
        fmt::format("{}: truncated: needs more than {} bytes, has {}", file.path(), std::max(at, file.size()), file.size()));
    return index;
}

bool all_alike(const Extent&, const Extent&) { return true; }

} // namespace

bool is_flattened(std::span<const std::byte> head) {
    return head.size() >= signature.size() && std::memcmp(head.data(), signature.data(), signature.size()) == 0;
}

std::shared_ptr<const ByteSource> open_flattened(std::shared_ptr<const ByteSource> file, std::vector<std::string>& warnings,
                                                 bool& truncated) {
    const auto head = file->read(FileOffset(0), 32);
    const uint64_t type = load<uint64_t>(head.data() + 16, ByteOrder::big),
                   version = load<uint64_t>(head.data() + 24, ByteOrder::big);
    if (type != 1 || version != 1)
        throw FileError(fmt::format("{}: a flattened file of type {}, version {}; kcrash reads type 1, version 1", file->path(),
                                    type, version));
    Index index = read_records(*file, warnings);
    if (index.extents.empty()) throw FileError(fmt::format("{}: a flattened file that holds nothing", file->path()));
    resolve_overlaps(index.extents, all_alike);
    truncated = !index.whole;
    return std::make_shared<FlattenedFile>(std::move(file), std::move(index.extents), index.whole);
}

} // namespace kcrash
