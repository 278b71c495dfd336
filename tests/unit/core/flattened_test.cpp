// SPDX-License-Identifier: GPL-3.0-or-later
// Flattened files.
#include "tests/fixtures/elf_writer.hpp"
#include "tests/fixtures/flattened_writer.hpp"
#include "tests/fixtures/kdump_writer.hpp"
#include "tests/fixtures/open_fixture.hpp"
#include <doctest/doctest.h>
#include <fmt/format.h>

using namespace kcrash;
using namespace kcrash::fixtures;

TEST_CASE("flattened: a kdump-compressed dump is read in place, later records winning over earlier ones") {
    const FixtureMemory memory = parse_memory("0-f number\n 10 excluded\n 20-2f noise\n 30-3f number as lzo");
    for (const uint64_t record_size : {100, 4096, 5000, 1000000})
        for (const bool overwrite : {false, true}) {
            const OpenFixture fixture(write_flattened(write_kdump(memory), {record_size, overwrite, true}));
            CHECK(fixture.info().format == "flattened kdump-compressed v6");
            CHECK(fixture.info().warnings.empty());
            for (uint64_t frame = 0; frame < 16; ++frame) CHECK(fixture.has_number(frame));
            for (uint64_t frame = 0x30; frame < 0x40; ++frame) CHECK(fixture.has_number(frame));
            CHECK(fixture.fault(0x10) == Fault::excluded);
            CHECK(fixture.page(0x2f) == memory.pages.at(0x2f).bytes);
            CHECK(fixture.dump->vmcoreinfo() == KdumpOptions().vmcoreinfo);
        }
}

TEST_CASE("flattened: an ELF dump is read in place") {
    const OpenFixture fixture(write_flattened(write_elf(parse_memory("1-f number"))));
    CHECK(fixture.info().format == "flattened ELF");
    for (uint64_t frame = 1; frame < 16; ++frame) CHECK(fixture.has_number(frame));
}

TEST_CASE("flattened: parts of a split set may be flattened") {
    const FixtureMemory memory = parse_memory("0-1f number");
    const TemporaryFile a(write_flattened(write_kdump_part(memory, 0, 9))), b(write_flattened(write_kdump_part(memory, 9, 0x20)));
    const auto dump = open_dump({b.path(), a.path()});
    std::vector<std::byte> page(4096);
    for (uint64_t frame = 0; frame < 0x20; ++frame) {
        CHECK(dump->try_read_page(PageFrame(frame), page) == Fault::none);
        CHECK(page == number_page(frame));
    }
}

TEST_CASE("flattened: without the end mark it opens with a warning, and what was not written is truncated") {
    const auto bytes = write_flattened(write_kdump(parse_memory("0-3f noise")), {4096, false, true});
    const size_t cut = bytes.size() / 2;
    const OpenFixture fixture{std::span(bytes).first(cut)};
    CHECK(fixture.info().truncated);
    CHECK(warning_of(fixture, 0).starts_with("FILE: truncated: needs more than "));
    CHECK(warning_of(fixture, 0).ends_with(fmt::format(" bytes, has {}", cut)));
    CHECK(fixture.fault(0) == Fault::none);
    CHECK(fixture.fault(0x3f) == Fault::truncated);

    const OpenFixture mark_lost{std::span(bytes).first(bytes.size() - 16)};
    CHECK(warning_of(mark_lost, 0) ==
          fmt::format("FILE: truncated: needs more than {} bytes, has {}", bytes.size() - 16, bytes.size() - 16));
    CHECK(mark_lost.fault(0x3f) == Fault::none);
}

TEST_CASE("flattened: bytes that no record wrote are zero in a whole file and lost in a cut one") {
    KdumpOptions options;
    options.method = Compression::none;
    const auto dump = write_kdump(parse_memory("0 noise\n 1 noise\n 2 noise"), options);
    const size_t hole = dump.size() - 2 * 4096; // where page 1 is
    for (const bool whole : {true, false}) {
        ByteImage image = flattened_start();
        put_record(image, hole + 4096, std::span(dump).subspan(hole + 4096));
        put_record(image, 0, std::span(dump).first(hole));
        if (whole) image.put_bytes(image.size(), std::vector<std::byte>(16, std::byte{0xff}));
        const OpenFixture fixture(image.bytes);
        CHECK(fixture.fault(0) == Fault::none);
        CHECK(fixture.fault(1) == (whole ? Fault::none : Fault::truncated));
        CHECK(fixture.fault(2) == Fault::none);
        if (whole) CHECK(fixture.page(1) == std::vector<std::byte>(4096));
    }
}

TEST_CASE("flattened: damaged, nested, empty and foreign files are refused or warned about") {
    const auto dump = write_kdump(parse_memory("0 number"));
    CHECK(open_error(write_flattened(write_flattened(dump))) == "FILE: a flattened file inside a flattened file");

    ByteImage empty = flattened_start();
    CHECK(open_error(empty.bytes) == "FILE: a flattened file that holds nothing");
    CHECK(open_error(std::span(empty.bytes).first(20)) == "FILE: needs 32 bytes at offset 0x0, the file ends at 0x14");
    empty.put<uint64_t>(24, 2);
    CHECK(open_error(empty.bytes) == "FILE: a flattened file of type 1, version 2; kcrash reads type 1, version 1");

    const std::vector<std::byte> text(100, std::byte{'x'});
    CHECK(open_error(write_flattened(text)) == "FILE: is not a dump of a format that kcrash knows");

    ByteImage wrapping = flattened_start();
    put_record(wrapping, 0, dump);
    const uint64_t at = wrapping.size();
    wrapping.put<uint64_t>(at, uint64_t{1} << 62);
    wrapping.put<uint64_t>(at + 8, uint64_t{1} << 63);
    const OpenFixture fixture(wrapping.bytes);
    CHECK(fixture.has_number(0));
    CHECK(warning_of(fixture, 0) == fmt::format("FILE: damaged record at offset 0x{:x}: what follows it is not read", at));
}

TEST_CASE("flattened: a million tiny overlapping records do not cost a million squared") {
    ByteImage image = flattened_start();
    const auto dump = write_kdump(parse_memory("0 number"));
    image.bytes.reserve(40'000'000);
    for (uint64_t i = 0; i < 1'000'000; ++i)
        put_record(image, i % dump.size(),
                   std::span(dump).subspan(i % dump.size(), std::min<size_t>(20, dump.size() - i % dump.size())));
    put_record(image, 0, dump);
    const OpenFixture fixture(image.bytes);
    CHECK(fixture.has_number(0));
    for (uint64_t i = 0; i < 50'000; ++i) put_record(image, 0, std::span(dump).first(1));
    CHECK(open_error(image.bytes) ==
          "FILE: a flattened file of more than 1048576 records; rearrange it with \"makedumpfile -R\"");
}
