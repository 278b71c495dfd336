// SPDX-License-Identifier: GPL-3.0-or-later
// The rank index over a bitmap.
#include "core/dump/frame_bitmap.hpp"
#include "core/error.hpp"
#include "tests/fixtures/temporary_file.hpp"
#include <doctest/doctest.h>
#include <random>

using namespace kcrash;
using namespace kcrash::fixtures;

static std::vector<std::byte> random_bits(size_t bytes, unsigned sparse) {
    std::mt19937 random(3);
    std::vector<std::byte> bits(bytes);
    for (std::byte& byte : bits) byte = random() % sparse ? std::byte{0} : static_cast<std::byte>(random());
    return bits;
}

TEST_CASE("frame bitmap: each bit and its rank are what counting says, up to an end that is no multiple of anything") {
    for (const uint64_t frames : {1u, 7u, 8u, 63u, 64u, 65u, 511u, 512u, 513u, 100'003u}) {
        const auto bits = random_bits(20'000, 3);
        const TemporaryFile file(bits);
        const FrameBitmap bitmap({open_file(file.path()), FileOffset(5), frames});
        uint64_t rank = 0;
        bool right = true;
        for (uint64_t frame = 0; frame < frames; ++frame) {
            FrameBitmap::Answer answer;
            const bool set = static_cast<unsigned>(bits[5 + frame / 8]) >> frame % 8 & 1;
            right &= bitmap.try_find(PageFrame(frame), answer) == Fault::none && answer.set == set && answer.rank == rank;
            rank += set;
        }
        CHECK(right);
        CHECK(bitmap.count() == rank);
        FrameBitmap::Answer beyond;
        CHECK(bitmap.try_find(PageFrame(frames), beyond) == Fault::none);
        CHECK_FALSE(beyond.set);
        CHECK(beyond.rank == rank);
    }
}

TEST_CASE("frame bitmap: one too large to keep is read from the file and gives the same answers") {
    const TemporaryFile file(random_bits(100'000, 2));
    const uint64_t frames = uint64_t{600} << 20; // 75 MB of bitmap, mostly a hole in the file
    file.resize(frames / 8);
    const auto source = open_file(file.path());
    const FrameBitmap large({source, FileOffset(0), frames}), small({source, FileOffset(0), 800'000});
    CHECK(large.count() == small.count());
    for (uint64_t frame = 0; frame < 800'000; frame += 37) {
        FrameBitmap::Answer a, b;
        REQUIRE(large.try_find(PageFrame(frame), a) == Fault::none);
        REQUIRE(small.try_find(PageFrame(frame), b) == Fault::none);
        CHECK(a.set == b.set);
        CHECK(a.rank == b.rank);
    }
    FrameBitmap::Answer last;
    CHECK(large.try_find(PageFrame(frames - 1), last) == Fault::none);
    CHECK(last.rank == large.count());
}

TEST_CASE("frame bitmap: one beyond the file is refused before anything is allocated") {
    const TemporaryFile file("short");
    CHECK_THROWS_AS(FrameBitmap({open_file(file.path()), FileOffset(0), uint64_t{1} << 34}), FileError);
    CHECK_THROWS_AS(FrameBitmap({open_file(file.path()), FileOffset(UINT64_MAX), 8}), FileError);
}

TEST_CASE("frame bitmap: runs are listed, and past the limit the last reaches to the end") {
    const TemporaryFile file(std::string_view("\x0f\xff\x01\x00\x00\x00\x00\x00\x00\x80\x01", 11));
    const auto source = open_file(file.path());
    using Runs = std::vector<std::pair<uint64_t, uint64_t>>;
    CHECK(bitmap_runs({source, FileOffset(0), 88}, 100) == Runs{{0, 4}, {8, 17}, {79, 81}});
    CHECK(bitmap_runs({source, FileOffset(0), 16}, 100) == Runs{{0, 4}, {8, 16}});
    CHECK(bitmap_runs({source, FileOffset(0), 88}, 2) == Runs{{0, 4}, {8, 88}});
}

TEST_CASE("frame bitmap: bits numbered from the highest give the answers of the same bits turned around") {
    auto bits = random_bits(3000, 2);
    const TemporaryFile low(bits);
    for (std::byte& byte : bits) {
        unsigned turned = 0;
        for (unsigned bit = 0; bit < 8; ++bit) turned |= (static_cast<unsigned>(byte) >> bit & 1) << (7 - bit);
        byte = static_cast<std::byte>(turned);
    }
    const TemporaryFile high(bits);
    const BitmapPlace a{open_file(low.path()), FileOffset(0), 23'997},
        b{open_file(high.path()), FileOffset(0), 23'997, BitOrder::high_first};
    const FrameBitmap first(a), second(b);
    CHECK(first.count() == second.count());
    for (uint64_t frame = 0; frame < 24'000; ++frame) {
        FrameBitmap::Answer x, y;
        REQUIRE(first.try_find(PageFrame(frame), x) == Fault::none);
        REQUIRE(second.try_find(PageFrame(frame), y) == Fault::none);
        REQUIRE(x.set == y.set);
        REQUIRE(x.rank == y.rank);
    }
    CHECK(bitmap_runs(a, 100'000) == bitmap_runs(b, 100'000));
}

TEST_CASE("frame bitmap: 2^40 frames in a file that is mostly one hole cost next to nothing, and are counted right") {
    const TemporaryFile file(std::string_view("\x03", 1));
    const uint64_t frames = uint64_t{1} << 40, far = (uint64_t{5} << 31) + 1000;
    file.resize(frames / 8);
    file.write(far / 8, std::string_view("\xff", 1));
    const BitmapPlace place{open_file(file.path()), FileOffset(0), frames};
    const FrameBitmap bitmap(place);
    CHECK(bitmap.count() == 10);
    const auto answer = [&](uint64_t frame) {
        FrameBitmap::Answer found;
        REQUIRE(bitmap.try_find(PageFrame(frame), found) == Fault::none);
        return std::pair(found.set, found.rank);
    };
    CHECK(answer(1) == std::pair(true, uint64_t{1}));
    CHECK(answer(2) == std::pair(false, uint64_t{2}));
    CHECK(answer(uint64_t{3} << 31) == std::pair(false, uint64_t{2}));
    CHECK(answer(far - 1) == std::pair(false, uint64_t{2}));
    CHECK(answer(far + 3) == std::pair(true, uint64_t{5}));
    CHECK(answer(far + 8) == std::pair(false, uint64_t{10}));
    CHECK(answer(frames - 1) == std::pair(false, uint64_t{10}));
    using Runs = std::vector<std::pair<uint64_t, uint64_t>>;
    CHECK(bitmap_runs(place, 100) == Runs{{0, 2}, {far, far + 8}});
}

TEST_CASE("frame bitmap: one whose file shrank since it was opened is refused, not taken for empty") {
    const TemporaryFile file("x");
    file.resize(uint64_t{100} << 20);
    const auto source = open_file(file.path());
    file.resize(1);
    CHECK_THROWS_AS(FrameBitmap({source, FileOffset(0), uint64_t{800} << 20}), FileError);
}
