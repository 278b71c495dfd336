// SPDX-License-Identifier: GPL-3.0-or-later
// Dumps inside gzip, xz and lzop, and files that do not tell their size.
#include "core/packed_file.hpp"
#include "tests/fixtures/kdump_writer.hpp"
#include "tests/fixtures/open_fixture.hpp"
#include "tests/fixtures/packed_writer.hpp"
#include <algorithm>
#include <atomic>
#include <doctest/doctest.h>
#include <fmt/format.h>
#include <lzma.h>
#include <random>
#include <thread>
#include <zlib.h>

using namespace kcrash;
using namespace kcrash::fixtures;

namespace {

std::vector<std::byte> gzip(std::span<const std::byte> bytes) {
    z_stream z{};
    deflateInit2(&z, 1, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY);
    std::vector<std::byte> out(deflateBound(&z, bytes.size()));
    z.next_in = reinterpret_cast<Bytef*>(const_cast<std::byte*>(bytes.data()));
    z.avail_in = static_cast<uInt>(bytes.size());
    z.next_out = reinterpret_cast<Bytef*>(out.data());
    z.avail_out = static_cast<uInt>(out.size());
    REQUIRE(deflate(&z, Z_FINISH) == Z_STREAM_END);
    out.resize(out.size() - z.avail_out);
    deflateEnd(&z);
    return out;
}

// One stream, a block for each `block` bytes.
std::vector<std::byte> xz(std::span<const std::byte> bytes, size_t block) {
    lzma_mt options{};
    options.threads = 1;
    options.block_size = block;
    options.preset = 0;
    options.check = LZMA_CHECK_CRC64;
    lzma_stream stream = LZMA_STREAM_INIT;
    REQUIRE(lzma_stream_encoder_mt(&stream, &options) == LZMA_OK);
    std::vector<std::byte> out(lzma_stream_buffer_bound(bytes.size()) + bytes.size() / block * 200 + 65536);
    stream.next_in = reinterpret_cast<const uint8_t*>(bytes.data());
    stream.avail_in = bytes.size();
    stream.next_out = reinterpret_cast<uint8_t*>(out.data());
    stream.avail_out = out.size();
    lzma_ret result = LZMA_OK;
    while (result == LZMA_OK) result = lzma_code(&stream, LZMA_FINISH);
    REQUIRE(result == LZMA_STREAM_END);
    out.resize(out.size() - stream.avail_out);
    lzma_end(&stream);
    return out;
}

// Twelve megabytes of which some compress and some do not.
std::vector<std::byte> plain_bytes() {
    std::vector<std::byte> bytes(size_t{12} << 20);
    std::mt19937 random(7);
    for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::byte>(i >> 18 & 1 ? random() : i >> 8);
    return bytes;
}

// Reads of many sizes at many places are the bytes that were packed.
void check_reads(const ByteSource& source, std::span<const std::byte> plain) {
    if (source.size() != unknown_size) REQUIRE(source.size() == plain.size());
    std::mt19937 random(8);
    std::vector<std::byte> got;
    for (int turn = 0; turn < 60; ++turn) {
        const size_t at = random() % plain.size(),
                     n = std::min<size_t>(plain.size() - at, 1 + random() % (turn % 10 ? 9000 : 3000000));
        got.resize(n);
        REQUIRE(source.try_read(FileOffset(at), got) == Fault::none);
        REQUIRE(std::equal(got.begin(), got.end(), plain.begin() + static_cast<std::ptrdiff_t>(at)));
    }
    got.resize(2);
    CHECK(source.try_read(FileOffset(plain.size() - 1), got) == Fault::truncated);
    CHECK(source.try_read(FileOffset(UINT64_MAX), got) == Fault::truncated);
}

std::vector<std::byte> join(std::vector<std::byte> a, std::span<const std::byte> b) {
    a.insert(a.end(), b.begin(), b.end());
    return a;
}

} // namespace

TEST_CASE("gzip: any offset of one member and of several can be read") {
    const auto plain = plain_bytes();
    const std::span<const std::byte> all(plain);
    const auto one = gzip(all), several = join(join(gzip(all.first(5'000'000)), gzip({})), gzip(all.subspan(5'000'000)));
    for (const auto& packed : {one, several, join(one, std::vector<std::byte>(100))}) {
        const TemporaryFile file(packed);
        std::vector<std::string> warnings;
        check_reads(*open_gzip(open_file(file.path()), warnings), plain);
        CHECK(warnings ==
              std::vector<std::string>{file.path() + ": gzip has no index: all of it was unpacked once to make one; unpack it if "
                                                     "you open it often"});
    }
}

namespace {

// Knows how far it was read.
class Watched final : public ByteSource {
public:
    explicit Watched(std::vector<std::byte> bytes) : bytes_(std::move(bytes)) {}
    Fault try_read(FileOffset at, std::span<std::byte> into) const override {
        if (at.value > bytes_.size() || into.size() > bytes_.size() - at.value) return Fault::truncated;
        std::copy_n(bytes_.begin() + static_cast<std::ptrdiff_t>(at.value), into.size(), into.begin());
        reached = std::max(reached, at.value + into.size());
        return Fault::none;
    }
    uint64_t size() const override { return bytes_.size(); }
    const std::string& path() const override { return path_; }
    mutable uint64_t reached = 0;

private:
    std::vector<std::byte> bytes_;
    std::string path_ = "FILE";
};

} // namespace

TEST_CASE("gzip: for a quick look no more is unpacked than is read, and all of it can be") {
    const auto plain = plain_bytes();
    const auto watched = std::make_shared<const Watched>(gzip(plain));
    std::vector<std::string> warnings;
    const auto file = open_gzip(watched, warnings, true);
    CHECK(file->size() == unknown_size);
    std::vector<std::byte> head(8192);
    REQUIRE(file->try_read(FileOffset(100), head) == Fault::none);
    CHECK(std::equal(head.begin(), head.end(), plain.begin() + 100));
    CHECK(watched->reached < watched->size() / 2);
    check_reads(*file, plain);
    CHECK(watched->reached == watched->size());
    CHECK(warnings.empty());
    check_reads(*open_gzip(std::make_shared<const Watched>(gzip(plain)), warnings, true), plain); // the end first
    const auto small = open_gzip(std::make_shared<const Watched>(gzip(std::span(plain).first(100))), warnings, true);
    CHECK(small->size() == 100); // its end came at once
    auto cut = gzip(plain);
    cut.resize(cut.size() / 2);
    const auto half = open_gzip(std::make_shared<const Watched>(cut), warnings, true);
    CHECK(half->try_read(FileOffset(100), head) == Fault::none);
    CHECK(half->try_read(FileOffset(plain.size() - 8192), head) == Fault::truncated);
}

TEST_CASE("gzip: an index that has too many points drops every second one, before it is read and in between") {
    const auto plain = plain_bytes();
    std::vector<std::string> warnings;
    for (const bool quickly : {false, true}) {
        const auto file = open_gzip(std::make_shared<const Watched>(gzip(plain)), warnings, quickly, {.span = 1 << 16, .most_points = 10});
        for (const size_t at : {0u, 3'000'000u, 100u, 11'000'000u, 2'900'000u}) { // what is kept was unpacked between other points
            std::vector<std::byte> got(100'000);
            REQUIRE(file->try_read(FileOffset(at), got) == Fault::none);
            CHECK(std::equal(got.begin(), got.end(), plain.begin() + static_cast<std::ptrdiff_t>(at)));
        }
        check_reads(*file, plain);
    }
}

TEST_CASE("gzip: thousands of short members take no points, and a long one behind them opens") {
    const auto plain = plain_bytes();
    const std::span<const std::byte> all(plain);
    std::vector<std::byte> packed;
    constexpr size_t members = 4200, each = 700;
    for (size_t i = 0; i < members; ++i) packed = join(std::move(packed), gzip(all.subspan(i * each, each)));
    packed = join(std::move(packed), gzip(all.subspan(members * each)));
    const TemporaryFile file(packed);
    std::vector<std::string> warnings;
    check_reads(*open_gzip(open_file(file.path()), warnings), plain);
}

TEST_CASE("gzip: a file that was cut gives what is before the cut, and says so") {
    const auto plain = plain_bytes();
    auto packed = gzip(plain);
    packed.resize(packed.size() / 2);
    const TemporaryFile file(packed);
    std::vector<std::string> warnings;
    const auto source = open_gzip(open_file(file.path()), warnings);
    REQUIRE(warnings.size() == 2);
    CHECK(warnings[0] ==
          fmt::format("{}: damaged or truncated gzip file: {} bytes can be unpacked", file.path(), source->size()));
    check_reads(*source, std::span<const std::byte>(plain).first(source->size()));
    const auto shrinking = open_gzip(open_file(file.path()), warnings); // with nothing in its cache
    file.resize(1000);
    std::vector<std::byte> got(10);
    CHECK(shrinking->try_read(FileOffset(shrinking->size() - 100), got) == Fault::truncated);
}

TEST_CASE("xz: any offset of one stream and of several can be read") {
    const auto plain = plain_bytes();
    const std::span<const std::byte> all(plain);
    const std::vector<std::byte> padding(8);
    const auto one = xz(all, 1 << 20),
               several =
                   join(join(join(xz(all.first(5'000'000), 700'001), padding), xz(all.subspan(5'000'000), 1 << 22)), padding);
    for (const auto& packed : {one, several}) {
        const TemporaryFile file(packed);
        check_reads(*open_xz(open_file(file.path())), plain);
    }
}

TEST_CASE("xz: an index of two bytes for each block, as small as there is, is given the memory that it needs") {
    auto plain = plain_bytes();
    plain.resize(1000);
    const TemporaryFile file(xz(plain, 1));
    const auto source = open_xz(open_file(file.path()));
    std::vector<std::byte> got(plain.size());
    CHECK(source->try_read(FileOffset(0), got) == Fault::none);
    CHECK(got == plain);
}

TEST_CASE("xz: a large block, a cut file and a damaged block") {
    std::vector<std::byte> large(size_t{257} << 20);
    const TemporaryFile file(xz(large, large.size()));
    CHECK(error_of([&] { open_xz(open_file(file.path())); }, file.path()) ==
          "FILE: is packed with xz in a block of 257 MB, all of which would be unpacked for one page; unpack it, or pack it with "
          "\"xz -T0 "
          "--block-size=4MiB\"");
    const auto plain = plain_bytes();
    auto packed = xz(plain, 1 << 20);
    packed[2'000'000] ^= std::byte{1};
    const TemporaryFile damaged(packed);
    const auto source = open_xz(open_file(damaged.path()));
    size_t bad = 0;
    std::vector<std::byte> got(100);
    for (size_t at = 0; at < plain.size(); at += 1 << 20) bad += source->try_read(FileOffset(at), got) == Fault::damaged;
    CHECK(bad == 1);
    packed.resize(packed.size() - 1);
    const TemporaryFile cut(packed);
    CHECK(error_of([&] { open_xz(open_file(cut.path())); }, cut.path()).starts_with("FILE: damaged or truncated xz file: "));
}

TEST_CASE("lzop: any offset can be read, with each set of checks and with an extra field") {
    const auto plain = plain_bytes();
    for (const uint32_t flags : {3u, 0u, 0x300u, 0x303u, 0x43u}) {
        CAPTURE(flags);
        const TemporaryFile file(write_lzop(plain, 256 << 10, flags));
        std::vector<std::string> warnings;
        check_reads(*open_lzop(open_file(file.path()), warnings), plain);
        CHECK(warnings.empty());
    }
}

TEST_CASE("lzop: a cut file gives what is before the cut, a damaged block spoils itself, another method is refused") {
    const auto plain = plain_bytes();
    auto packed = write_lzop(plain, 256 << 10);
    const TemporaryFile cut(std::span<const std::byte>(packed).first(packed.size() - 5));
    std::vector<std::string> warnings;
    const auto source = open_lzop(open_file(cut.path()), warnings);
    REQUIRE(warnings.size() == 1);
    CHECK(warnings[0] == fmt::format("{}: damaged or truncated lzop file: {} bytes can be unpacked", cut.path(), source->size()));
    CHECK(source->size() == (plain.size() - 1) / (256 << 10) * (256 << 10));
    check_reads(*source, std::span<const std::byte>(plain).first(source->size()));
    constexpr size_t first_block = 9 + 25 + 4 + 4 + 8 + 8; // header with a name of four bytes, then the block's sizes and checks
    auto damaged = packed;
    std::fill_n(damaged.begin() + first_block, 40, std::byte{0});
    const TemporaryFile file(damaged);
    const auto spoiled = open_lzop(open_file(file.path()), warnings);
    std::vector<std::byte> got(100);
    CHECK(spoiled->try_read(FileOffset(0), got) == Fault::damaged);
    CHECK(spoiled->try_read(FileOffset(256 << 10), got) == Fault::none);
    packed[15] = std::byte{9};
    const TemporaryFile other(packed);
    CHECK(error_of([&] { open_lzop(open_file(other.path()), warnings); }, other.path()) ==
          "FILE: is packed with lzop in a way that kcrash does not read (method 9, flags 0x3); unpack it");
    const TemporaryFile nothing(write_lzop({}, 4096));
    CHECK(error_of([&] { open_lzop(open_file(nothing.path()), warnings); }, nothing.path()) ==
          "FILE: damaged lzop file: nothing can be unpacked");
    CHECK(lzop_head(*open_file(nothing.path()), 100).empty());
}

TEST_CASE("lzop: a block that claims more than its bytes can unpack to is not believed") {
    auto packed = write_lzop(std::vector<std::byte>(256 << 10), 256 << 10); // zeros: LZO's best case
    std::vector<std::string> warnings;
    const TemporaryFile file(packed);
    std::vector<std::byte> got(256 << 10, std::byte{1});
    CHECK(open_lzop(open_file(file.path()), warnings)->try_read(FileOffset(0), got) == Fault::none);
    CHECK(std::all_of(got.begin(), got.end(), [](std::byte b) { return b == std::byte{0}; }));
    CHECK(warnings.empty());
    constexpr size_t size_at = 9 + 25 + 4 + 4;
    packed[size_at] = std::byte{3}; // 48 MB
    const TemporaryFile other(packed);
    CHECK(error_of([&] { open_lzop(open_file(other.path()), warnings); }, other.path()) == "FILE: damaged lzop file: nothing can be unpacked");
}

TEST_CASE("packed files are safe to read from many threads") {
    const auto plain = plain_bytes();
    const TemporaryFile file(xz(plain, 1 << 20));
    const auto source = open_xz(open_file(file.path()));
    std::atomic<int> wrong = 0;
    std::vector<std::thread> threads;
    for (unsigned t = 0; t < 4; ++t)
        threads.emplace_back([&, t] {
            std::vector<std::byte> got(5000);
            for (size_t at = t * 1000; at + got.size() < plain.size(); at += 200'000)
                wrong += source->try_read(FileOffset(at), got) != Fault::none ||
                         !std::equal(got.begin(), got.end(), plain.begin() + static_cast<std::ptrdiff_t>(at));
        });
    for (auto& thread : threads) thread.join();
    CHECK(wrong == 0);
}

TEST_CASE("a dump inside gzip, xz or lzop opens, and one inside another packer is refused with advice") {
    const auto kdump = write_kdump(parse_memory("0-f number"));
    const OpenFixture zipped(gzip(kdump)), packed(xz(kdump, 4096)), lzop(write_lzop(kdump, 10000));
    CHECK(lzop.info().format == "lzop kdump-compressed v6");
    CHECK(lzop.has_number(5));
    CHECK(looks_like_dump(*open_file(lzop.file.path())));
    CHECK(zipped.info().format == "gzip kdump-compressed v6");
    CHECK(packed.info().format == "xz kdump-compressed v6");
    CHECK(zipped.has_number(5));
    CHECK(packed.has_number(5));
    CHECK(looks_like_dump(*open_file(packed.file.path())));
    const TemporaryFile text(gzip(std::as_bytes(std::span("just text"))));
    CHECK_FALSE(looks_like_dump(*open_file(text.path())));
    const TemporaryFile zstd(std::string_view("\x28\xb5\x2f\xfd and so on"));
    CHECK(error_of([&] { open_dump({zstd.path()}); }, zstd.path()) ==
          "FILE: is packed with zstd, in which nothing can be found without unpacking all of it; unpack it");
}

TEST_CASE("files of /proc that tell no size are read all the same") {
    const auto file = open_file("/proc/self/status");
    CHECK(file->size() == unknown_size);
    CHECK(file->read(FileOffset(0), 5) ==
          std::vector<std::byte>{std::byte{'N'}, std::byte{'a'}, std::byte{'m'}, std::byte{'e'}, std::byte{':'}});
    CHECK(error_of([] { open_dump({"/proc/self/status"}); }) == "/proc/self/status: is not a dump of a format that kcrash knows");
    CHECK_FALSE(file->live());
    CHECK_FALSE(file->fetched());
}
