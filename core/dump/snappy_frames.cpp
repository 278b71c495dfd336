// SPDX-License-Identifier: GPL-3.0-or-later
// Snappy's framing format: chunks of at most 65,536 bytes, each for itself, so that one can be read without the others.
//
//     type u8, length u24 little-endian, length bytes
//
//     0xff   stream identifier: "sNaPpY", may be repeated
//     0x00   masked CRC-32C of the uncompressed bytes, then raw snappy
//     0x01   masked CRC-32C, then the bytes as they are
//     0x80-0xfe   may be passed over (0xfe is padding); 0x02-0x7f may not
//
// Specified by snappy's framing_format.txt.
#include "core/dump/snappy_frames.hpp"
#include "core/block_cache.hpp"
#include "core/bytes.hpp"
#include "core/interrupt.hpp"
#include "core/memory/decompress.hpp"
#include <algorithm>
#include <array>
#include <cstring>
#include <fmt/format.h>

namespace kcrash {
namespace {

constexpr uint32_t most_in_chunk = 65536;
constexpr uint64_t cache_bytes = uint64_t{8} << 20;

// CRC-32C by eight tables, so that a check costs less than the decompression.
struct Crc32c {
    std::array<std::array<uint32_t, 256>, 8> tables{};
    constexpr Crc32c() {
        for (uint32_t i = 0; i < 256; ++i) {
            uint32_t crc = i;
            for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ (crc & 1 ? 0x82f63b78u : 0);
            tables[0][i] = crc;
        }
        for (size_t t = 1; t < 8; ++t)
            for (size_t i = 0; i < 256; ++i) tables[t][i] = (tables[t - 1][i] >> 8) ^ tables[0][tables[t - 1][i] & 255];
    }
    uint32_t of(std::span<const std::byte> bytes) const {
        uint32_t crc = UINT32_MAX;
        for (; bytes.size() >= 8; bytes = bytes.subspan(8)) {
            const uint64_t word = load<uint64_t>(bytes.data(), ByteOrder::little) ^ crc;
            crc = 0;
            for (size_t i = 0; i < 8; ++i) crc ^= tables[7 - i][word >> (8 * i) & 255];
        }
        for (const std::byte b : bytes) crc = (crc >> 8) ^ tables[0][(crc ^ static_cast<uint32_t>(b)) & 255];
        return ~crc;
    }
};
constexpr Crc32c crc32c;

uint32_t mask(uint32_t crc) { return ((crc >> 15) | (crc << 17)) + 0xa282ead8u; }

// The length that stands before raw snappy data, in groups of seven bits; nothing when there is none.
std::optional<uint32_t> length_before(std::span<const std::byte> bytes) {
    uint64_t value = 0;
    for (size_t i = 0; i < std::min<size_t>(bytes.size(), 5); ++i) {
        value |= (static_cast<uint64_t>(bytes[i]) & 127) << (7 * i);
        if ((bytes[i] & std::byte{128}) == std::byte{0})
            return value > most_in_chunk ? std::nullopt : std::optional(static_cast<uint32_t>(value));
    }
    return std::nullopt;
}

class FramedSource final : public ByteSource {
public:
    FramedSource(std::shared_ptr<const ByteSource> file, std::vector<SnappyFrames::Chunk> chunks, uint64_t size)
        : file_(std::move(file)), chunks_(std::move(chunks)), size_(size) {}

    Fault try_read(FileOffset at, std::span<std::byte> into) const override {
        uint64_t offset = at.value;
        while (!into.empty()) {
            if (offset >= size_) return Fault::truncated;
            const auto behind = std::upper_bound(chunks_.begin(), chunks_.end(), offset,
                                                 [](uint64_t a, const SnappyFrames::Chunk& c) { return a < c.begin; });
            const size_t n = static_cast<size_t>(behind - chunks_.begin()) - 1;
            BlockCache::Block block = cache_.find(n);
            if (!block) {
                auto bytes = std::make_shared<std::vector<std::byte>>(chunks_[n].size);
                if (const Fault fault = unpack(chunks_[n], *bytes); fault != Fault::none) return fault;
                block = bytes;
                cache_.add(n, block);
            }
            const size_t skip = static_cast<size_t>(offset - chunks_[n].begin),
                         take = std::min(into.size(), block->size() - skip);
            std::memcpy(into.data(), block->data() + skip, take);
            into = into.subspan(take);
            offset += take;
        }
        return Fault::none;
    }
    uint64_t size() const override { return size_; }
    const std::string& path() const override { return file_->path(); }

private:
    Fault unpack(const SnappyFrames::Chunk& chunk, std::span<std::byte> into) const {
        std::vector<std::byte> stored(chunk.stored);
        const auto target = chunk.compressed ? std::span(stored) : into;
        if (const Fault fault = file_->try_read(FileOffset(chunk.at), target); fault != Fault::none) return fault;
        if (chunk.compressed && !decompress(Compression::snappy, stored, into)) return Fault::damaged;
        return mask(crc32c.of(into)) == chunk.check ? Fault::none : Fault::damaged;
    }

    std::shared_ptr<const ByteSource> file_;
    std::vector<SnappyFrames::Chunk> chunks_;
    uint64_t size_;
    BlockCache cache_{cache_bytes};
};

} // namespace

SnappyFrames::Walk SnappyFrames::add_stream(const ByteSource& file, uint64_t at, uint64_t wanted) {
    Walk walk;
    std::array<std::byte, 13> head; // type and length, checksum, the length before snappy data
    while (walk.uncompressed < wanted && walk.error.empty()) {
        check_interrupt();
        const uint64_t here = at + walk.compressed;
        head.fill(std::byte{0});
        const uint64_t there = file.size() > here ? file.size() - here : 0;
        const auto some = std::span(head).first(std::min<uint64_t>(head.size(), there));
        if (there < 4 || file.try_read(FileOffset(here), some) != Fault::none) {
            walk.error = "the file ends";
            break;
        }
        const unsigned type = static_cast<unsigned>(head[0]);
        const uint32_t length = load<uint32_t>(head.data(), ByteOrder::little) >> 8;
        walk.compressed += 4 + uint64_t{length};
        if (type >= 0x80) continue;
        const auto size = type == 0 ? length_before(std::span(head).subspan(8)) : std::optional<uint32_t>(length - 4);
        if (type > 1 || length < 4 || !size || *size > most_in_chunk || *size > wanted - walk.uncompressed)
            walk.error = fmt::format("damaged snappy chunk at offset 0x{:x}", here);
        else if (*size) {
            chunks_.push_back(
                {size_, here + 8, length - 4, *size, load<uint32_t>(head.data() + 4, ByteOrder::little), type == 0});
            size_ += *size;
            walk.uncompressed += *size;
        }
    }
    return walk;
}

std::shared_ptr<const ByteSource> SnappyFrames::source(std::shared_ptr<const ByteSource> file) && {
    return std::make_shared<FramedSource>(std::move(file), std::move(chunks_), size_);
}

} // namespace kcrash
