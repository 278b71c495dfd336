// SPDX-License-Identifier: GPL-3.0-or-later
// A file inside lzop: blocks that are packed each on its own, so a walk over their headers when it is opened makes an index.
//
//     89 "LZO" 0 \r \n 1a \n                           all numbers are big-endian
//     u16 version, u16 of the library, u16 needed, u8 method, u8 level, u32 flags
//     u32 filter if the flags say so, u32 mode, u32 u32 time, u8 length, name, u32 check
//     an extra field if the flags say so: u32 length, bytes, u32 check
//     block: u32 size, u32 stored, checks of the plain bytes, checks of the stored ones where they are fewer, bytes
//     block ...
//     u32 0
//
// Versions before 0.94 (1998) have neither "needed" nor level nor the upper half of the time. A block that did not become smaller is
// stored as it is. Its checks are passed over: LZO's decoder notices what matters, as it does in kdump. Specified by lzop's source, lzop.c
// and conf.h; the blocks by doc/LZO.TXT of the library.
#include "core/block_cache.hpp"
#include "core/cursor.hpp"
#include "core/interrupt.hpp"
#include "core/memory/decompress.hpp"
#include "core/packed_file.hpp"
#include <algorithm>
#include <cstring>
#include <fmt/format.h>
#include <mutex>

namespace kcrash {
namespace {

constexpr uint32_t plain_adler = 1 << 0, stored_adler = 1 << 1, extra_field = 1 << 6, plain_crc = 1 << 8, stored_crc = 1 << 9,
                   multipart = 1 << 10, filtered = 1 << 11;
constexpr uint32_t largest_block = uint32_t{64} << 20; // lzop's own limit
constexpr uint64_t most_expanded = 256;                // a byte of LZO1X makes a match 255 bytes longer, no more
constexpr uint64_t cache_bytes = uint64_t{64} << 20;
constexpr size_t magic_bytes = 9, header_bytes = 9 + 25 + 255 + 4 + 4; // up to the extra field's bytes

struct Block {
    uint64_t begin;        // of the unpacked bytes
    uint64_t at;           // in the file
    uint32_t size, stored; // bytes
};

struct Header {
    uint32_t flags;
    uint64_t bytes; // where the first block begins
};

Header read_header(const ByteSource& file) {
    const auto bytes = file.read(FileOffset(0), std::min<uint64_t>(header_bytes, file.size()));
    Cursor cursor(bytes, ByteOrder::big, file.path());
    cursor.seek(magic_bytes);
    constexpr unsigned with_level = 0x940;
    const unsigned version = cursor.u16();
    cursor.skip(version >= with_level ? 4 : 2);
    const unsigned method = cursor.u8();
    if (version >= with_level) cursor.skip(1);
    const uint32_t flags = cursor.u32();
    if (method < 1 || method > 3 || flags & (filtered | multipart))
        throw FileError(fmt::format("{}: is packed with lzop in a way that kcrash does not read (method {}, flags 0x{:x}); unpack it",
                                    file.path(), method, flags));
    cursor.skip(version >= with_level ? 12 : 8);
    cursor.skip(cursor.u8());
    cursor.skip(4);
    if (flags & extra_field) {
        const uint64_t length = cursor.u32();
        return {flags, cursor.offset() + length + 4};
    }
    return {flags, cursor.offset()};
}

// The index, as far as the file is whole, of so many blocks at most.
std::vector<Block> read_blocks(const ByteSource& file, const Header& header, bool& truncated, size_t most = SIZE_MAX) {
    const auto count = [&](uint32_t one, uint32_t other) { return ((header.flags & one) != 0) + ((header.flags & other) != 0); };
    const uint64_t plain_checks = 4 * count(plain_adler, plain_crc), stored_checks = 4 * count(stored_adler, stored_crc);
    std::vector<Block> blocks;
    uint64_t begin = 0;
    truncated = true;
    for (uint64_t at = header.bytes; blocks.size() < most;) {
        check_interrupt();
        std::byte words[8];
        if (file.try_read(FileOffset(at), std::span(words, 4)) != Fault::none) return blocks;
        const uint32_t size = load<uint32_t>(words, ByteOrder::big);
        if (size == 0) break;
        if (file.try_read(FileOffset(at), words) != Fault::none) return blocks;
        const uint32_t stored = load<uint32_t>(words + 4, ByteOrder::big);
        if (size > largest_block || stored == 0 || stored > size || size / most_expanded > stored) return blocks;
        at += 8 + plain_checks + (stored < size ? stored_checks : 0);
        if (at > file.size() || stored > file.size() - at) return blocks;
        blocks.push_back({begin, at, size, stored});
        begin += size;
        at += stored;
    }
    truncated = false;
    return blocks;
}

Fault unpack(const ByteSource& file, const Block& place, std::span<std::byte> into) {
    if (place.stored == place.size) return file.try_read(FileOffset(place.at), into);
    std::vector<std::byte> stored(place.stored);
    if (const Fault fault = file.try_read(FileOffset(place.at), stored); fault != Fault::none) return fault;
    return decompress(Compression::lzo, stored, into) ? Fault::none : Fault::damaged;
}

class LzopFile final : public ByteSource {
public:
    LzopFile(std::shared_ptr<const ByteSource> file, std::vector<Block> blocks) : file_(std::move(file)), blocks_(std::move(blocks)) {}

    Fault try_read(FileOffset at, std::span<std::byte> into) const override {
        uint64_t offset = at.value;
        while (!into.empty()) {
            if (offset >= size()) return Fault::truncated;
            const auto behind =
                std::upper_bound(blocks_.begin(), blocks_.end(), offset, [](uint64_t a, const Block& b) { return a < b.begin; });
            BlockCache::Block block;
            if (const Fault fault = find(static_cast<size_t>(behind - blocks_.begin()) - 1, block); fault != Fault::none) return fault;
            const size_t skip = static_cast<size_t>(offset - (behind - 1)->begin), take = std::min(into.size(), block->size() - skip);
            std::memcpy(into.data(), block->data() + skip, take);
            into = into.subspan(take);
            offset += take;
        }
        return Fault::none;
    }
    uint64_t size() const override { return blocks_.back().begin + blocks_.back().size; }
    const std::string& path() const override { return file_->path(); }
    std::optional<uint64_t> fetched() const override { return file_->fetched(); }

private:
    Fault find(size_t n, BlockCache::Block& block) const {
        if ((block = cache_.find(n))) return Fault::none;
        const std::lock_guard held(unpacking_); // two threads shall not unpack the same block
        if ((block = cache_.find(n))) return Fault::none;
        auto bytes = std::make_shared<std::vector<std::byte>>(blocks_[n].size);
        if (const Fault fault = unpack(*file_, blocks_[n], *bytes); fault != Fault::none) return fault;
        block = bytes;
        cache_.add(n, block);
        return Fault::none;
    }
    std::shared_ptr<const ByteSource> file_;
    std::vector<Block> blocks_; // at least one
    mutable std::mutex unpacking_;
    BlockCache cache_{cache_bytes};
};

} // namespace

std::vector<std::byte> lzop_head(const ByteSource& file, size_t n) {
    try {
        bool truncated = false;
        const auto blocks = read_blocks(file, read_header(file), truncated, 1);
        if (blocks.empty()) return {};
        std::vector<std::byte> bytes(blocks.front().size);
        if (unpack(file, blocks.front(), bytes) != Fault::none) return {};
        bytes.resize(std::min(n, bytes.size()));
        return bytes;
    } catch (const FileError&) { return {}; }
}

std::shared_ptr<const ByteSource> open_lzop(std::shared_ptr<const ByteSource> file, std::vector<std::string>& warnings) {
    bool truncated = false;
    auto blocks = read_blocks(*file, read_header(*file), truncated);
    if (blocks.empty()) throw FileError(fmt::format("{}: damaged lzop file: nothing can be unpacked", file->path()));
    if (truncated)
        warnings.push_back(fmt::format("{}: damaged or truncated lzop file: {} bytes can be unpacked", file->path(),
                                       blocks.back().begin + blocks.back().size));
    return std::make_shared<LzopFile>(std::move(file), std::move(blocks));
}

} // namespace kcrash
