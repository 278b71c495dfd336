// SPDX-License-Identifier: GPL-3.0-or-later
// A file inside xz: the index at its end tells where each block lies and what it holds, so only the blocks that are touched are
// unpacked.
//
//     stream header 12 | block | block | ... | index | footer 12 (backward size: where the index begins) | padding, the next
//     stream
//
// A block is the least that can be unpacked. "xz -T0" and pixz write blocks of some megabytes; plain "xz" of Debian 12 writes one
// block, whatever the size, and such a file is refused when the block is large. Specified by the .xz file format, version 1.1.0.
#include "core/block_cache.hpp"
#include "core/error.hpp"
#include "core/interrupt.hpp"
#include "core/packed_file.hpp"
#include <algorithm>
#include <array>
#include <cstring>
#include <fmt/format.h>
#include <lzma.h>
#include <mutex>

namespace kcrash {
namespace {

constexpr uint64_t largest_block = uint64_t{256} << 20; // bytes unpacked; xz -9 -T0 writes 192 MiB
constexpr uint64_t cache_bytes = uint64_t{512} << 20, decoder_bytes = uint64_t{512} << 20;
constexpr uint64_t largest_index = uint64_t{256} << 20;

struct Block {
    uint64_t begin, size; // of the unpacked bytes
    uint64_t at, stored;  // in the file: with header and check, without the padding between them
    lzma_check check;
};

class XzFile final : public ByteSource {
public:
    XzFile(std::shared_ptr<const ByteSource> file, std::vector<Block> blocks)
        : file_(std::move(file)), blocks_(std::move(blocks)) {}

    Fault try_read(FileOffset at, std::span<std::byte> into) const override {
        uint64_t offset = at.value;
        while (!into.empty()) {
            if (offset >= size()) return Fault::truncated;
            const auto behind =
                std::upper_bound(blocks_.begin(), blocks_.end(), offset, [](uint64_t a, const Block& b) { return a < b.begin; });
            const size_t n = static_cast<size_t>(behind - blocks_.begin()) - 1;
            BlockCache::Block block = cache_.find(n);
            if (!block) {
                const std::lock_guard held(unpacking_); // two threads shall not unpack the same block
                block = cache_.find(n);
                if (!block) {
                    auto bytes = std::make_shared<std::vector<std::byte>>(blocks_[n].size);
                    if (const Fault fault = unpack(blocks_[n], *bytes); fault != Fault::none) return fault;
                    block = bytes;
                    cache_.add(n, block);
                }
            }
            const size_t skip = static_cast<size_t>(offset - blocks_[n].begin),
                         take = std::min(into.size(), block->size() - skip);
            std::memcpy(into.data(), block->data() + skip, take);
            into = into.subspan(take);
            offset += take;
        }
        return Fault::none;
    }
    uint64_t size() const override { return blocks_.empty() ? 0 : blocks_.back().begin + blocks_.back().size; }
    const std::string& path() const override { return file_->path(); }
    std::optional<uint64_t> fetched() const override { return file_->fetched(); }

private:
    Fault unpack(const Block& place, std::span<std::byte> into) const {
        std::vector<std::byte> stored((place.stored + 3) & ~uint64_t{3}); // padding stands before the check
        if (const Fault fault = file_->try_read(FileOffset(place.at), stored); fault != Fault::none) return fault;
        const auto* bytes = reinterpret_cast<const uint8_t*>(stored.data());
        std::array<lzma_filter, LZMA_FILTERS_MAX + 1> filters;
        lzma_block block{};
        block.version = 1;
        block.check = place.check;
        block.filters = filters.data();
        if (stored.empty() || bytes[0] == 0) return Fault::damaged;
        block.header_size = lzma_block_header_size_decode(bytes[0]);
        if (block.header_size > stored.size() || lzma_block_header_decode(&block, nullptr, bytes) != LZMA_OK)
            return Fault::damaged;
        size_t in = block.header_size, out = 0;
        lzma_ret result = LZMA_MEMLIMIT_ERROR;
        if (lzma_raw_decoder_memusage(filters.data()) <= decoder_bytes &&
            lzma_block_compressed_size(&block, place.stored) == LZMA_OK)
            result = lzma_block_buffer_decode(&block, nullptr, bytes, &in, stored.size(), reinterpret_cast<uint8_t*>(into.data()),
                                              &out, into.size());
        lzma_filters_free(filters.data(), nullptr);
        return result == LZMA_OK && out == into.size() ? Fault::none : Fault::damaged;
    }

    std::shared_ptr<const ByteSource> file_;
    std::vector<Block> blocks_;
    mutable std::mutex unpacking_;
    BlockCache cache_{cache_bytes};
};

// The streams from the last to the first, as their footers lead.
class IndexReader {
public:
    explicit IndexReader(const ByteSource& file) : file_(file) {}

    std::vector<Block> read() {
        uint64_t end = file_.size();
        while (end > 0) {
            check_interrupt();
            std::array<std::byte, 4> tail;
            if (end < 4) damaged("it does not begin with a stream");
            read_at(end - 4, tail);
            const bool padding = std::all_of(tail.begin(), tail.end(), [](std::byte b) { return b == std::byte{0}; });
            end = padding ? end - 4 : stream(end);
        }
        std::reverse(blocks_.begin(), blocks_.end());
        uint64_t begin = 0;
        for (Block& block : blocks_) {
            block.begin = begin;
            if (__builtin_add_overflow(begin, block.size, &begin)) damaged("it holds more than 2^64 bytes");
        }
        return std::move(blocks_);
    }

private:
    [[noreturn]] void damaged(std::string_view why) const {
        throw FileError(fmt::format("{}: damaged or truncated xz file: {}", file_.path(), why));
    }
    void read_at(uint64_t at, std::span<std::byte> into) const {
        if (file_.try_read(FileOffset(at), into) != Fault::none) damaged("it cannot be read");
    }

    // The stream that ends at `end`; where it begins.
    uint64_t stream(uint64_t end) {
        std::array<std::byte, LZMA_STREAM_HEADER_SIZE> bytes;
        lzma_stream_flags footer{};
        if (end < 2 * bytes.size()) damaged("no stream ends where it ends");
        read_at(end - bytes.size(), bytes);
        if (lzma_stream_footer_decode(&footer, reinterpret_cast<const uint8_t*>(bytes.data())) != LZMA_OK)
            damaged("no stream ends where it ends");
        const uint64_t index_end = end - bytes.size();
        if (footer.backward_size > index_end || footer.backward_size > largest_index) damaged("its index is larger than it");
        std::vector<std::byte> index_bytes(footer.backward_size);
        read_at(index_end - footer.backward_size, index_bytes);
        // A record takes two bytes at least: a count that more would need is not given memory.
        uint64_t limit = std::min<uint64_t>(largest_index * 4, lzma_index_memusage(1, index_bytes.size() / 2));
        size_t at = 0;
        lzma_index* index = nullptr;
        if (lzma_index_buffer_decode(&index, &limit, nullptr, reinterpret_cast<const uint8_t*>(index_bytes.data()), &at,
                                     index_bytes.size()) != LZMA_OK)
            damaged("its index");
        const std::unique_ptr<lzma_index, void (*)(lzma_index*)> owner(index, [](lzma_index* i) { lzma_index_end(i, nullptr); });
        const uint64_t size = lzma_index_stream_size(index);
        if (size > end) damaged("its index tells of more than there is");
        add_blocks(*index, end - size, footer.check);
        return end - size;
    }

    void add_blocks(const lzma_index& index, uint64_t stream_at, lzma_check check) {
        std::vector<Block> blocks;
        lzma_index_iter iter;
        lzma_index_iter_init(&iter, &index);
        while (!lzma_index_iter_next(&iter, LZMA_INDEX_ITER_NONEMPTY_BLOCK)) {
            if (iter.block.uncompressed_size > largest_block || iter.block.unpadded_size > 2 * largest_block)
                throw FileError(fmt::format(
                    "{}: is packed with xz in a block of {} MB, all of which would be unpacked for one page; unpack it, or "
                    "pack it with \"xz -T0 --block-size=4MiB\"",
                    file_.path(), iter.block.uncompressed_size >> 20));
            blocks.push_back({0, iter.block.uncompressed_size, stream_at + iter.block.compressed_file_offset,
                              iter.block.unpadded_size, check});
        }
        blocks_.insert(blocks_.end(), blocks.rbegin(), blocks.rend());
    }

    const ByteSource& file_;
    std::vector<Block> blocks_; // the last first, while they are read
};

} // namespace

std::shared_ptr<const ByteSource> open_xz(std::shared_ptr<const ByteSource> file) {
    auto blocks = IndexReader(*file).read();
    if (blocks.empty()) throw FileError(fmt::format("{}: an xz file that holds nothing", file->path()));
    return std::make_shared<XzFile>(std::move(file), std::move(blocks));
}

} // namespace kcrash
