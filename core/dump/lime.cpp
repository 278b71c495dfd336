// SPDX-License-Identifier: GPL-3.0-or-later
// LiME: the memory of a running machine, written by a kernel module (format=lime).
//
//     "EMiL"  version = 1  first address  last address  0          u32 u32 u64 u64 u64, 32 bytes, little-endian
//     memory from the first to the last address, both included
//     the next range ...
//
// There is no index, no end mark and nothing else: the ranges are what /proc/iomem called System RAM. The machine ran while it
// was written, so lists may be torn. VMCOREINFO is searched in memory. Specified by LiME's README and src/lime.h.
#include "core/cursor.hpp"
#include "core/dump/mapped.hpp"
#include "core/interrupt.hpp"
#include <algorithm>
#include <fmt/format.h>

namespace kcrash {
namespace {

constexpr std::string_view magic = "EMiL";
constexpr uint64_t header_bytes = 32;
constexpr size_t most_ranges = size_t{1} << 20;

Probe probe(std::span<const std::byte> head) {
    const std::string_view text(reinterpret_cast<const char*>(head.data()), head.size());
    return text.starts_with(magic) ? Probe::mine : Probe::not_mine;
}

// Appends the range whose header is at `at`; where the next one begins, or nothing when there is none.
std::optional<uint64_t> read_range(const ByteSource& file, uint64_t at, MappedParts& parts) {
    const auto warn = [&](const std::string& what) {
        parts.warnings.push_back(
            fmt::format("{}: damaged LiME header at offset 0x{:x}: {}; what follows it is not read", file.path(), at, what));
        parts.truncated = true;
        return std::nullopt;
    };
    if (file.size() - at < header_bytes) return warn(fmt::format("{} bytes are left", file.size() - at));
    const auto bytes = file.read(FileOffset(at), header_bytes);
    Cursor cursor(bytes, ByteOrder::little, file.path(), at);
    if (probe(cursor.bytes(4)) != Probe::mine) return warn("no magic number");
    if (const uint32_t version = cursor.u32(); version != 1) {
        if (at == 0) throw FileError(fmt::format("{}: a LiME file of version {}; kcrash reads version 1", file.path(), version));
        return warn(fmt::format("version {}", version));
    }
    const uint64_t first = cursor.u64(), last = cursor.u64();
    if (last < first || last >= uint64_t{1} << 62) return warn(fmt::format("a range from 0x{:x} to 0x{:x}", first, last));
    if (parts.extents.size() == most_ranges) return warn(fmt::format("more than {} ranges", most_ranges));
    const uint64_t data = at + header_bytes, size = last + 1 - first;
    parts.extents.push_back({first, last + 1, data, parts.extents.size()});
    if (size >= file.size() - data) return std::nullopt; // the last; make_mapped_dump tells if it was cut
    return data + size;
}

std::unique_ptr<Dump> open(std::vector<std::shared_ptr<const ByteSource>> files) {
    if (files.size() > 1)
        throw FileError(fmt::format("{}: a LiME dump is one file; {} is another dump", files[0]->path(), files[1]->path()));
    MappedParts parts;
    parts.format = "LiME";
    parts.bytes = files.front();
    for (std::optional<uint64_t> at = 0; at; at = read_range(*parts.bytes, *at, parts)) check_interrupt();
    return make_mapped_dump(std::move(parts));
}

} // namespace

extern const DumpFormat lime_format;
const DumpFormat lime_format{"LiME", probe, open};

} // namespace kcrash
