// SPDX-License-Identifier: GPL-3.0-or-later
// A file inside gzip: no index comes with it, so one is made by unpacking all of it once, when it is opened; for a quick look only as far
// as it is read.
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

constexpr size_t window_bytes = 32768, input_bytes = size_t{256} << 10;
constexpr uint64_t largest_piece = uint64_t{64} << 20, cache_bytes = uint64_t{256} << 20;

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

// One pass over the file, in as many steps as it takes.
class Indexer {
public:
    Indexer(std::shared_ptr<const ByteSource> source, const GzipIndex& density)
        : source_(std::move(source)), file_(*source_), input_(input_bytes), window_(2 * window_bytes), most_points_(density.most_points),
          span_(density.span), inflater_(15 + 16) {
        if (!inflater_.good) throw FileError(fmt::format("{}: zlib cannot start", file_.path()));
        add_member();
    }

    const ByteSource& file() const { return file_; }
    const std::vector<Point>& points() const { return points_; } // ascending; there is one at 0
    uint64_t out() const { return out_; }                        // bytes that are unpacked so far
    uint64_t thinned() const { return thinned_; }                // how often points were dropped: numbers of points hold until then
    bool over() const { return over_; }
    bool truncated() const { return over_ && !ended_; }

    // On to a point that is behind this byte, or to the end.
    void run(uint64_t until) {
        z_stream& z = inflater_.stream;
        while (!over_ && points_.back().out <= until) {
            check_interrupt();
            if ((over_ = z.avail_in == 0 && !refill(z))) break;
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
                if (next_member(z)) continue;
                over_ = ended_ = true;
                break;
            }
            if ((over_ = result != Z_OK && result != Z_BUF_ERROR)) break; // damaged: what is before it can be read
            if (out_ - points_.back().out > largest_piece)
                throw FileError(fmt::format("{}: is packed with gzip in blocks that are too large to find anything in; unpack it",
                                            file_.path()));
            if ((z.data_type & 128) && !(z.data_type & 64) && out_ - points_.back().out >= span_) add_point(z);
        }
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
        if (windows_ >= most_points_) thin_out();
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
        ++thinned_;
    }

    std::shared_ptr<const ByteSource> source_;
    const ByteSource& file_;
    std::vector<std::byte> input_, window_;
    std::vector<Point> points_;
    size_t windows_ = 0; // points that have one
    const size_t most_points_;
    uint64_t span_, in_ = 0, out_ = 0, thinned_ = 0;
    bool over_ = false, ended_ = false; // at the end, or where it is damaged; at the end
    Inflater inflater_;
};

class GzipFile final : public ByteSource {
public:
    explicit GzipFile(std::unique_ptr<Indexer> index) : index_(std::move(index)), file_(index_->file()) {}

    Fault try_read(FileOffset at, std::span<std::byte> into) const override {
        std::unique_lock<std::mutex> growing; // held while the index is not whole: it is one thread's then
        if (!whole_) {
            growing = std::unique_lock(growth_);
            uint64_t end = 0;
            index_->run(__builtin_add_overflow(at.value, into.size(), &end) ? UINT64_MAX : end);
        }
        const std::vector<Point>& points = index_->points();
        const uint64_t size = index_->out();
        uint64_t offset = at.value;
        while (!into.empty()) {
            if (offset >= size) return Fault::truncated;
            const auto behind =
                std::upper_bound(points.begin(), points.end(), offset, [](uint64_t a, const Point& p) { return a < p.out; });
            const size_t n = static_cast<size_t>(behind - points.begin()) - 1;
            const uint64_t id = index_->thinned() << 32 | n;
            BlockCache::Block piece = cache_.find(id);
            if (!piece) {
                const std::lock_guard held(unpacking_);
                piece = cache_.find(id);
                if (!piece) {
                    const uint64_t end = behind == points.end() ? size : behind->out;
                    auto bytes = std::make_shared<std::vector<std::byte>>(end - points[n].out);
                    if (const Fault fault = unpack(points[n], *bytes); fault != Fault::none) return fault;
                    piece = bytes;
                    cache_.add(id, piece);
                }
            }
            const size_t skip = static_cast<size_t>(offset - points[n].out), take = std::min(into.size(), piece->size() - skip);
            std::memcpy(into.data(), piece->data() + skip, take);
            into = into.subspan(take);
            offset += take;
        }
        return Fault::none;
    }
    uint64_t size() const override { return whole_ ? index_->out() : unknown_size; }
    const std::string& path() const override { return file_.path(); }
    std::optional<uint64_t> fetched() const override { return file_.fetched(); }

private:
    Fault unpack(const Point& point, std::span<std::byte> into) const {
        bool raw = !point.window.empty();
        Inflater inflater(raw ? -15 : 15 + 16);
        if (!inflater.good) return Fault::damaged;
        z_stream& z = inflater.stream;
        if (point.bits) {
            std::array<std::byte, 1> before;
            if (const Fault fault = file_.try_read(FileOffset(point.in - 1), before); fault != Fault::none) return fault;
            inflatePrime(&z, point.bits, static_cast<int>(before[0]) >> (8 - point.bits));
        }
        if (!point.window.empty()) inflateSetDictionary(&z, reinterpret_cast<const Bytef*>(point.window.data()), window_bytes);
        std::vector<std::byte> input(input_bytes);
        z.next_out = reinterpret_cast<Bytef*>(into.data());
        z.avail_out = static_cast<uInt>(into.size());
        for (uint64_t in = point.in; z.avail_out > 0;) {
            const uint64_t n = std::min<uint64_t>(input.size(), file_.size() - std::min(file_.size(), in));
            if (n == 0) return Fault::truncated;
            if (const Fault fault = file_.try_read(FileOffset(in), std::span(input).first(n)); fault != Fault::none)
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

    std::unique_ptr<Indexer> index_;
    const ByteSource& file_;
    const bool whole_ = index_->over();
    mutable std::mutex growth_, unpacking_;
    BlockCache cache_{cache_bytes};
};

} // namespace

std::shared_ptr<const ByteSource> open_gzip(std::shared_ptr<const ByteSource> file, std::vector<std::string>& warnings, bool quickly, const GzipIndex& density) {
    const std::string path = file->path();
    auto index = std::make_unique<Indexer>(std::move(file), density);
    index->run(quickly ? 0 : UINT64_MAX);
    const uint64_t size = index->out();
    if (size == 0) throw FileError(fmt::format("{}: damaged gzip file: nothing can be unpacked", path));
    if (index->truncated()) warnings.push_back(fmt::format("{}: damaged or truncated gzip file: {} bytes can be unpacked", path, size));
    if (!quickly)
        warnings.push_back(fmt::format("{}: gzip has no index: all of it was unpacked once to make one; unpack it if you open it often", path));
    return std::make_shared<GzipFile>(std::move(index));
}

} // namespace kcrash
