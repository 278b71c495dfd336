// SPDX-License-Identifier: GPL-3.0-or-later
// A file inside gzip: no index comes with it, so one is made by unpacking all of it once, when it is opened.
//
// At every megabyte or so of output a point is kept: where in the file the decoder stood (a byte and a bit of it) and the 32 KiB
// of output before it, which is all the state that deflate has between two of its blocks. From the point before an offset, at
// most a few megabytes are unpacked to reach it, and kept. The points are bounded: when there are 4,096 (128 MiB of windows)
// every second one is dropped. Where a gzip member begins behind another, as in what pigz and bgzip write, a point needs no window;
// members that are shorter than the distance of points are unpacked together. Specified by RFC 1951 and 1952; the way of doing it is that of zlib's examples/zran.c.
#include "core/block_cache.hpp"
#include "core/error.hpp"
#include "core/interrupt.hpp"
#include "core/packed_file.hpp"
#include <algorithm>
#include <array>
#include <cstring>
#include <fmt/format.h>
#include <zlib.h>

namespace kcrash {
namespace {

constexpr size_t window_bytes = 32768, most_points = 4096, input_bytes = size_t{256} << 10;
constexpr uint64_t first_span = uint64_t{1} << 20, largest_piece = uint64_t{64} << 20, cache_bytes = uint64_t{256} << 20;

struct Point {
    uint64_t out = 0;              // bytes of the unpacked file before it
    uint64_t in = 0;               // bytes of the packed file before it
    int bits = 0;                  // of the byte before `in`, those that are not used yet
    std::vector<std::byte> window; // the output before it; empty: a member begins here, with its header
};

// A z_stream that ends itself.
struct Inflater {
    explicit Inflater(int window) { good = inflateInit2(&stream, window) == Z_OK; }
    ~Inflater() { inflateEnd(&stream); }
    Inflater(const Inflater&) = delete;
    Inflater& operator=(const Inflater&) = delete;
    z_stream stream{};
    bool good = false;
};

// One pass over the file.
class Indexer {
public:
    explicit Indexer(const ByteSource& file) : file_(file), input_(input_bytes), window_(2 * window_bytes) {}

    std::vector<Point> run(uint64_t& total, bool& truncated) {
        Inflater inflater(15 + 16);
        if (!inflater.good) throw FileError(fmt::format("{}: zlib cannot start", file_.path()));
        z_stream& z = inflater.stream;
        add_member();
        while (true) {
            check_interrupt();
            if (z.avail_in == 0 && !refill(z)) break;
            // The window is the second half of the buffer: it fills, and moves down.
            if (z.avail_out == 0) {
                std::memmove(window_.data(), window_.data() + window_bytes, window_bytes);
                z.next_out = reinterpret_cast<Bytef*>(window_.data() + window_bytes);
                z.avail_out = window_bytes;
            }
            const uInt in_before = z.avail_in, out_before = z.avail_out;
            const int result = inflate(&z, Z_BLOCK);
            in_ += in_before - z.avail_in;
            out_ += out_before - z.avail_out;
            if (result == Z_STREAM_END) {
                if (!next_member(z)) {
                    ended_ = true;
                    break;
                }
                continue;
            }
            if (result != Z_OK && result != Z_BUF_ERROR) break; // damaged: what is before it can be read
            if (out_ - points_.back().out > largest_piece)
                throw FileError(fmt::format("{}: is packed with gzip in blocks that are too large to find anything in; unpack it",
                                            file_.path()));
            if ((z.data_type & 128) && !(z.data_type & 64) && out_ - points_.back().out >= span_) add_point(z);
        }
        total = out_;
        truncated = !ended_;
        return std::move(points_);
    }

private:
    bool refill(z_stream& z) {
        const uint64_t n = std::min<uint64_t>(input_.size(), file_.size() - std::min(file_.size(), in_));
        if (n == 0 || file_.try_read(FileOffset(in_), std::span(input_).first(n)) != Fault::none) return false;
        z.next_in = reinterpret_cast<Bytef*>(input_.data());
        z.avail_in = static_cast<uInt>(n);
        return true;
    }
    // Behind a member: another one, or padding, or the end.
    bool next_member(z_stream& z) {
        std::array<std::byte, 2> magic{};
        if (file_.size() - std::min(file_.size(), in_) < 18 || file_.try_read(FileOffset(in_), magic) != Fault::none)
            return false;
        if (packer_of(magic) != "gzip") return false;
        inflateReset(&z);
        if (out_ - points_.back().out >= span_) add_member();
        return true;
    }
    void add_member() { points_.push_back({out_, in_, 0, {}}); }
    void add_point(const z_stream& z) {
        if (windows_ >= most_points) thin_out();
        ++windows_;
        Point point{out_, in_, z.data_type & 7, std::vector<std::byte>(window_bytes)};
        const std::byte* end = reinterpret_cast<const std::byte*>(z.next_out); // the bytes before it are the latest output
        std::memcpy(point.window.data(), end - window_bytes, window_bytes);
        points_.push_back(std::move(point));
    }
    void thin_out() {
        span_ *= 2;
        if (span_ > largest_piece / 2)
            throw FileError(fmt::format("{}: is packed with gzip and larger than {} GB; unpack it", file_.path(), out_ >> 30));
        size_t kept = 0, n = 0;
        for (Point& point : points_)
            if (point.window.empty() || n++ % 2) points_[kept++] = std::move(point);
        points_.resize(kept);
        windows_ = n / 2;
    }

    const ByteSource& file_;
    std::vector<std::byte> input_, window_;
    std::vector<Point> points_;
    size_t windows_ = 0; // points that have one
    uint64_t in_ = 0, out_ = 0, span_ = first_span;
    bool ended_ = false;
};

class GzipFile final : public ByteSource {
public:
    GzipFile(std::shared_ptr<const ByteSource> file, std::vector<Point> points, uint64_t size)
        : file_(std::move(file)), points_(std::move(points)), size_(size) {}

    Fault try_read(FileOffset at, std::span<std::byte> into) const override {
        uint64_t offset = at.value;
        while (!into.empty()) {
            if (offset >= size_) return Fault::truncated;
            const auto behind =
                std::upper_bound(points_.begin(), points_.end(), offset, [](uint64_t a, const Point& p) { return a < p.out; });
            const size_t n = static_cast<size_t>(behind - points_.begin()) - 1;
            BlockCache::Block piece = cache_.find(n);
            if (!piece) {
                const std::lock_guard held(unpacking_);
                piece = cache_.find(n);
                if (!piece) {
                    const uint64_t end = behind == points_.end() ? size_ : behind->out;
                    auto bytes = std::make_shared<std::vector<std::byte>>(end - points_[n].out);
                    if (const Fault fault = unpack(points_[n], *bytes); fault != Fault::none) return fault;
                    piece = bytes;
                    cache_.add(n, piece);
                }
            }
            const size_t skip = static_cast<size_t>(offset - points_[n].out), take = std::min(into.size(), piece->size() - skip);
            std::memcpy(into.data(), piece->data() + skip, take);
            into = into.subspan(take);
            offset += take;
        }
        return Fault::none;
    }
    uint64_t size() const override { return size_; }
    const std::string& path() const override { return file_->path(); }
    std::optional<uint64_t> fetched() const override { return file_->fetched(); }

private:
    Fault unpack(const Point& point, std::span<std::byte> into) const {
        bool raw = !point.window.empty();
        Inflater inflater(raw ? -15 : 15 + 16);
        if (!inflater.good) return Fault::damaged;
        z_stream& z = inflater.stream;
        if (point.bits) {
            std::array<std::byte, 1> before;
            if (const Fault fault = file_->try_read(FileOffset(point.in - 1), before); fault != Fault::none) return fault;
            inflatePrime(&z, point.bits, static_cast<int>(before[0]) >> (8 - point.bits));
        }
        if (!point.window.empty()) inflateSetDictionary(&z, reinterpret_cast<const Bytef*>(point.window.data()), window_bytes);
        std::vector<std::byte> input(input_bytes);
        z.next_out = reinterpret_cast<Bytef*>(into.data());
        z.avail_out = static_cast<uInt>(into.size());
        for (uint64_t in = point.in; z.avail_out > 0;) {
            const uint64_t n = std::min<uint64_t>(input.size(), file_->size() - std::min(file_->size(), in));
            if (n == 0) return Fault::truncated;
            if (const Fault fault = file_->try_read(FileOffset(in), std::span(input).first(n)); fault != Fault::none)
                return fault;
            z.next_in = reinterpret_cast<Bytef*>(input.data());
            z.avail_in = static_cast<uInt>(n);
            in += n;
            const int result = inflate(&z, Z_NO_FLUSH);
            if (result != Z_OK && result != Z_STREAM_END) return Fault::damaged;
            if (result != Z_STREAM_END || z.avail_out == 0) continue;
            in -= z.avail_in; // the next member, behind the checksum and the length, which only a decoder of the header has read
            if (raw) in += 8;
            raw = false;
            if (inflateReset2(&z, 15 + 16) != Z_OK) return Fault::damaged;
        }
        return Fault::none;
    }

    std::shared_ptr<const ByteSource> file_;
    std::vector<Point> points_;
    uint64_t size_;
    mutable std::mutex unpacking_;
    BlockCache cache_{cache_bytes};
};

} // namespace

std::shared_ptr<const ByteSource> open_gzip(std::shared_ptr<const ByteSource> file, std::vector<std::string>& warnings) {
    uint64_t size = 0;
    bool truncated = false;
    auto points = Indexer(*file).run(size, truncated);
    if (size == 0) throw FileError(fmt::format("{}: damaged gzip file: nothing can be unpacked", file->path()));
    if (truncated)
        warnings.push_back(fmt::format("{}: damaged or truncated gzip file: {} bytes can be unpacked", file->path(), size));
    warnings.push_back(fmt::format(
        "{}: gzip has no index: all of it was unpacked once to make one; unpack it if you open it often", file->path()));
    return std::make_shared<GzipFile>(std::move(file), std::move(points), size);
}

} // namespace kcrash
