// SPDX-License-Identifier: GPL-3.0-or-later
// AVML: the memory of a running machine, compressed, written from user space through /proc/kcore or /dev/mem.
//
//     "AVML"  version = 2  first address  last address  0          u32 u32 u64 u64 u64, 32 bytes, little-endian
//     the memory as a snappy framed stream                          chunks of 65,536 bytes
//     u64: how many bytes the stream had
//     the next range ...
//
// The header is LiME's; AVML writes a long range as several. The length of a stream stands behind it, so the index is made by
// walking the chunk headers: 13 bytes are read of each 64 KiB of memory. What is known of a range whose stream is damaged is
// kept, and the walk ends there. Version 1 is LiME's own format, with LiME's magic number. Specified by AVML's src/image.rs.
#include "core/cursor.hpp"
#include "core/dump/mapped.hpp"
#include "core/dump/snappy_frames.hpp"
#include <fmt/format.h>

namespace kcrash {
namespace {

constexpr uint64_t header_bytes = 32, trailer_bytes = 8;

Probe probe(std::span<const std::byte> head) {
    const std::string_view text(reinterpret_cast<const char*>(head.data()), head.size());
    return text.starts_with("AVML") ? Probe::mine : Probe::not_mine;
}

class Walker {
public:
    explicit Walker(std::shared_ptr<const ByteSource> file) : file_(std::move(file)) {}

    std::unique_ptr<Dump> open() {
        for (std::optional<uint64_t> at = 0; at && *at < file_->size();) at = range(*at);
        parts_.format = "AVML";
        parts_.compression = "snappy";
        parts_.offsets_are_of_the_file = false;
        parts_.bytes = std::move(frames_).source(file_);
        return make_mapped_dump(std::move(parts_));
    }

private:
    std::nullopt_t warn(uint64_t at, const std::string& what) {
        parts_.warnings.push_back(
            fmt::format("{}: damaged AVML range at offset 0x{:x}: {}; what follows is not read", file_->path(), at, what));
        parts_.truncated = true;
        return std::nullopt;
    }
    // The range at `at`; where the next one begins, or nothing when no more can be read.
    std::optional<uint64_t> range(uint64_t at) {
        if (file_->size() - at < header_bytes) return warn(at, fmt::format("{} bytes are left", file_->size() - at));
        const auto bytes = file_->read(FileOffset(at), header_bytes);
        Cursor cursor(bytes, ByteOrder::little, file_->path(), at);
        if (probe(cursor.bytes(4)) != Probe::mine) return warn(at, "no magic number");
        if (const uint32_t version = cursor.u32(); version != 2) {
            if (at == 0)
                throw FileError(fmt::format("{}: an AVML file of version {}; kcrash reads version 2", file_->path(), version));
            return warn(at, fmt::format("version {}", version));
        }
        const uint64_t first = cursor.u64(), last = cursor.u64();
        if (last < first || last >= uint64_t{1} << 62) return warn(at, fmt::format("from 0x{:x} to 0x{:x}", first, last));
        const uint64_t source = frames_.size();
        const auto walk = frames_.add_stream(*file_, at + header_bytes, last + 1 - first);
        if (walk.uncompressed) parts_.extents.push_back({first, first + walk.uncompressed, source, parts_.extents.size()});
        if (!walk.error.empty()) return warn(at, walk.error);
        const uint64_t end = at + header_bytes + walk.compressed;
        if (end > file_->size() || file_->size() - end < trailer_bytes)
            return warn(at, "the file ends before the length of the stream");
        const auto trailer = file_->read(FileOffset(end), trailer_bytes);
        if (const uint64_t told = load<uint64_t>(trailer.data(), ByteOrder::little); told != walk.compressed)
            return warn(at, fmt::format("its stream has {} bytes, and says {}", walk.compressed, told));
        return end + trailer_bytes;
    }

    std::shared_ptr<const ByteSource> file_;
    SnappyFrames frames_;
    MappedParts parts_;
};

std::unique_ptr<Dump> open(std::vector<std::shared_ptr<const ByteSource>> files) {
    if (files.size() > 1)
        throw FileError(fmt::format("{}: an AVML dump is one file; {} is another dump", files[0]->path(), files[1]->path()));
    return Walker(files.front()).open();
}

} // namespace

extern const DumpFormat avml_format;
const DumpFormat avml_format{"AVML", probe, open};

} // namespace kcrash
