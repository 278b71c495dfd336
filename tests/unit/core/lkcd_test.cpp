// SPDX-License-Identifier: GPL-3.0-or-later
// LKCD dumps.
#include "tests/fixtures/libkdumpfile.hpp"
#include "tests/fixtures/lkcd_writer.hpp"
#include "tests/fixtures/open_fixture.hpp"
#include <doctest/doctest.h>
#include <fmt/format.h>

using namespace kcrash;
using namespace kcrash::fixtures;

static const char* const memory_text = R"(
    0-2    number
    3      zero
    4      noise
    5      number as raw
    6      fill a5
    100    number)";

TEST_CASE("LKCD: every version, word size, byte order and method is read, as libkdumpfile reads it") {
    struct Case {
        const char* machine;
        unsigned word_size;
        ByteOrder order;
    };
    const Case cases[] = {{"i686", 4, ByteOrder::little},
                          {"x86_64", 8, ByteOrder::little},
                          {"ppc64", 8, ByteOrder::big},
                          {"s390", 4, ByteOrder::big}};
    const FixtureMemory memory = parse_memory(memory_text);
    for (const Case& c : cases)
        for (uint32_t version = 1; version <= 10; ++version)
            for (const bool zlib : {false, true}) {
                CAPTURE(c.machine);
                CAPTURE(version);
                CAPTURE(zlib);
                const OpenFixture fixture(write_lkcd(
                    memory,
                    {.version = version, .order = c.order, .word_size = c.word_size, .machine = c.machine, .zlib = zlib}));
                CHECK(fixture.info().format == fmt::format("LKCD v{}", version));
                CHECK(fixture.info().machine == c.machine);
                CHECK(fixture.info().release == "2.4.21-fixture");
                CHECK(fixture.info().order == c.order);
                CHECK(fixture.info().word_size == c.word_size);
                CHECK(fixture.info().compression == (version < 4 ? "RLE" : version == 4 ? "RLE or zlib" : zlib ? "zlib" : "RLE"));
                CHECK(fixture.info().warnings.empty());
                CHECK(fixture.info().max_frame == 0x101);
                for (const auto& [frame, page] : memory.pages) CHECK(fixture.page(frame) == page.bytes);
                CHECK(fixture.fault(7) == Fault::not_in_dump);
                CHECK(fixture.fault(0x101) == Fault::not_in_dump);
                if (version != 4) CHECK(differs_from_libkdumpfile(*fixture.dump, {fixture.file.path()}, 0x110) == "");
            }
}

TEST_CASE("LKCD: pages in any order are found, and memory lists them in ascending order") {
    const FixtureMemory memory = parse_memory("0-7f number\n 90-91 number");
    const OpenFixture fixture(write_lkcd(memory, {.backwards = true}));
    for (const auto& [frame, page] : memory.pages) CHECK(fixture.has_number(frame));
    CHECK(fixture.fault(0x80) == Fault::not_in_dump);
    REQUIRE(fixture.dump->memory().size() == 2);
    CHECK(fixture.dump->memory()[0].end.value == 0x80000);
    CHECK(fixture.dump->memory()[1].begin.value == 0x90000);
    const auto at = fixture.dump->file_offset(PageFrame(5));
    REQUIRE(at);
    CHECK(*at != *fixture.dump->file_offset(PageFrame(6)));
    CHECK_FALSE(fixture.dump->file_offset(PageFrame(0x80)));
}

TEST_CASE("LKCD: the registers of x86_64's CPUs become notes") {
    LkcdOptions options{.version = 8, .word_size = 8, .machine = "x86_64", .rips = {0xffffffff80100000, 0xffffffff80200000}};
    auto bytes = write_lkcd(parse_memory("0-2 number"), options);
    const OpenFixture fixture(bytes);
    REQUIRE(fixture.dump->notes().size() == 2);
    const auto word = [&](size_t cpu, size_t n) { return load<uint64_t>(fixture.dump->notes()[cpu].description.data() + 112 + n * 8, ByteOrder::little); };
    CHECK(word(0, 16) == 0xffffffff80100000); // rip
    CHECK(word(0, 0) == 1000);                // r15
    CHECK(word(0, 19) == 1019);               // rsp
    CHECK(word(1, 16) == 0xffffffff80200000);
    CHECK(word(1, 14) == 2014); // rdi
    CHECK(fixture.has_number(2));
    const auto with = [&](size_t at, uint32_t value) {
        auto changed = bytes;
        std::memcpy(changed.data() + at, &value, 4);
        return OpenFixture(changed).dump->notes().size();
    };
    CHECK(with(0x300, 0xdeadbeef) == 0);     // no such header
    CHECK(with(0x300 + 184, UINT32_MAX) == 2); // more CPUs than there is room for; nobody wrote the others
    CHECK(with(0x300 + 12, 192 + 168 + 24) == 1);
    CHECK(with(0x300 + 12, 0) == 0);
    CHECK(with(12, UINT32_MAX) == 0); // beyond the file
}

TEST_CASE("LKCD: of two records for one page the first counts") {
    auto bytes = write_lkcd(parse_memory("0 fill 11\n 1 fill 22\n 2 fill 33"), {.zlib = false});
    const size_t second = 65536 + 16 + pack_rle(std::vector<std::byte>(4096, std::byte{0x11})).size();
    std::memset(bytes.data() + second, 0, 8); // now it is for address 0 too
    const OpenFixture fixture(bytes);
    CHECK(fixture.page(0) == std::vector<std::byte>(4096, std::byte{0x11}));
    CHECK(fixture.fault(1) == Fault::not_in_dump);
    CHECK(fixture.page(2) == std::vector<std::byte>(4096, std::byte{0x33}));
}

TEST_CASE("LKCD: a cut dump opens with a warning, and pages that it has not are truncated, not holes") {
    const auto bytes = write_lkcd(parse_memory("0-f number as raw"));
    const OpenFixture fixture{std::span(bytes).first(bytes.size() - 16 - 5000)};
    CHECK(fixture.info().truncated);
    CHECK(warning_of(fixture, 0).starts_with("FILE: truncated: needs more than "));
    CHECK(fixture.has_number(0xd));
    CHECK(fixture.fault(0xe) == Fault::truncated);
    CHECK(fixture.fault(0xf) == Fault::truncated);
    const OpenFixture without_mark(write_lkcd(parse_memory("0-f number"), {.end_mark = false}));
    CHECK(without_mark.info().truncated);
    CHECK(without_mark.has_number(0xf));
}

TEST_CASE("LKCD: a damaged record ends the reading with a warning, damaged data spoils its page only") {
    const auto good = write_lkcd(parse_memory("0-f number as raw"));
    const auto with = [&](size_t at, uint32_t value) {
        auto bytes = good;
        std::memcpy(bytes.data() + at, &value, 4);
        return OpenFixture(bytes);
    };
    const size_t third = 65536 + 2 * (16 + 4096);
    for (const auto& [at, value] : {std::pair{third + 8, 0u}, std::pair{third + 8, 0xffffffffu}, std::pair{third + 8, 4095u},
                                    std::pair{third + 12, 0u}, std::pair{third + 12, 3u}, std::pair{third + 4, 0xffffffffu}}) {
        CAPTURE(at);
        CAPTURE(value);
        const OpenFixture fixture = with(at, value);
        CHECK(fixture.has_number(1));
        CHECK(fixture.fault(2) == Fault::truncated);
        CHECK(warning_of(fixture, 0) ==
              fmt::format("FILE: damaged page record at offset 0x{:x}: what follows it is not read", third));
    }
    const OpenFixture fixture = with(third + 12, 2); // raw data that claims to be compressed
    CHECK(fixture.fault(2) == Fault::damaged);
    CHECK(fixture.has_number(3));
}

TEST_CASE("LKCD: damaged headers are refused with what is wrong") {
    const auto good = write_lkcd(parse_memory("0 number"));
    const auto with = [&](size_t at, uint64_t value, size_t size) {
        auto bytes = good;
        std::memcpy(bytes.data() + at, &value, size);
        return open_error(bytes);
    };
    CHECK(with(8, 0, 4) == "FILE: LKCD version 0; kcrash reads versions 1 to 10");
    CHECK(with(8, 11, 4) == "FILE: LKCD version 11; kcrash reads versions 1 to 10");
    CHECK(with(20, 0, 4) == "FILE: damaged LKCD header: page size 0");
    CHECK(with(20, 3000, 4) == "FILE: damaged LKCD header: page size 3000");
    CHECK(with(324, 0, 8) == "FILE: damaged LKCD header: no name of a system in it");
    CHECK(with(722, 9, 4) == "FILE: damaged LKCD header: compression method 9");
    CHECK(open_error(std::span(good).first(700)) == "FILE: needs 742 bytes at offset 0x0, the file ends at 0x2bc");
    CHECK(open_error(std::span(good).first(65536)) == "FILE: an LKCD dump without a page");
    CHECK(open_error(write_lkcd(parse_memory("0 number"), {.version = 9, .buffer_size = 0})) ==
          "FILE: an LKCD dump without a page");
}
