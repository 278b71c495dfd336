// SPDX-License-Identifier: GPL-3.0-or-later
// kdump-compressed dumps.
#include "tests/fixtures/kdump_writer.hpp"
#include "tests/fixtures/libkdumpfile.hpp"
#include "tests/fixtures/notes_writer.hpp"
#include "tests/fixtures/open_fixture.hpp"
#include <doctest/doctest.h>
#include <fmt/format.h>

using namespace kcrash;
using namespace kcrash::fixtures;

TEST_CASE("kdump: pages of every method are read, mixed in one dump") {
    const OpenFixture fixture(write_kdump(parse_memory(R"(
        0      number as raw
        1      number as zlib
        2      number as lzo
        3      number as snappy
        4      number as zstd
        5      noise
        6      zero
        100    number)")));
    for (const uint64_t frame : {0, 1, 2, 3, 4, 0x100}) CHECK_MESSAGE(fixture.has_number(frame), frame);
    CHECK(fixture.page(5) == parse_memory("5 noise").pages[5].bytes);
    CHECK(fixture.page(6) == std::vector<std::byte>(4096));
}

TEST_CASE("kdump: an excluded page is an error, not zeroes, and not a hole") {
    const OpenFixture fixture(write_kdump(parse_memory("0 number\n 1 excluded\n 3 number")));
    CHECK(fixture.has_number(0));
    CHECK(fixture.fault(1) == Fault::excluded);
    CHECK(fixture.fault(2) == Fault::not_in_dump);
    CHECK(fixture.has_number(3));
    CHECK(fixture.fault(4) == Fault::not_in_dump);
    CHECK(fixture.fault(UINT64_MAX) == Fault::not_in_dump);
}

TEST_CASE("kdump: the 64-bit layout of a 32-bit machine, as QEMU writes it") {
    KdumpOptions options;
    options.machine = "i686";
    options.notes = {prstatus_note(1)};
    const OpenFixture fixture(write_kdump(parse_memory("0-7 number\n 900 number"), options));
    CHECK(fixture.info().word_size == 4);
    CHECK(fixture.info().machine == "i686");
    CHECK(fixture.has_number(0x900));
    CHECK(fixture.dump->notes().size() == 2);
}

TEST_CASE("kdump: every header version, word size and byte order is found out from the file") {
    struct Case {
        ByteOrder order;
        unsigned word_size;
        bool padded;
        const char* machine;
    };
    const Case cases[] = {{ByteOrder::little, 8, false, "x86_64"},  {ByteOrder::little, 4, false, "i686"},
                          {ByteOrder::little, 4, true, "armv7l"},   {ByteOrder::big, 8, false, "s390x"},
                          {ByteOrder::big, 4, true, "ppc"},         {ByteOrder::big, 4, true, "mips"},
                          {ByteOrder::little, 8, false, "unknown"}, {ByteOrder::little, 4, true, "unknown"}};
    const FixtureMemory memory = parse_memory("0-7 number\n 8 excluded\n 900 number");
    for (const Case& c : cases)
        for (uint32_t version = 1; version <= 6; ++version) {
            CAPTURE(c.machine);
            CAPTURE(version);
            KdumpOptions options;
            options.version = version;
            options.order = c.order;
            options.word_size = c.word_size;
            options.padded = c.padded;
            options.machine = c.machine;
            options.notes = {prstatus_note(1), prstatus_note(2)};
            const OpenFixture fixture(write_kdump(memory, options));
            CHECK(fixture.info().format == fmt::format("kdump-compressed v{}", version));
            CHECK(fixture.info().order == c.order);
            CHECK(fixture.info().word_size == c.word_size);
            CHECK(fixture.info().dump_level == 31);
            CHECK(fixture.info().release == "6.1.0-fixture");
            CHECK(fixture.info().machine == c.machine);
            CHECK(fixture.info().max_frame == 0x901);
            CHECK(fixture.info().warnings.empty());
            CHECK(fixture.has_number(7));
            CHECK(fixture.fault(8) == Fault::excluded);
            CHECK(fixture.has_number(0x900));
            CHECK(fixture.dump->vmcoreinfo() == (version >= 3 ? options.vmcoreinfo : ""));
            CHECK(fixture.dump->notes().size() == (version >= 4 ? 3 : 0));
        }
}

TEST_CASE("kdump: the banner's facts come from the header") {
    KdumpOptions options;
    options.method = Compression::zstd;
    options.dump_level = 17;
    const OpenFixture filtered(write_kdump(parse_memory("0-5 number"), options));
    CHECK(filtered.info().compression == "zstd");
    CHECK(filtered.info().dump_level == 17);
    CHECK(filtered.info().partial);
    CHECK_FALSE(filtered.info().incomplete);
    CHECK_FALSE(filtered.info().truncated);
    CHECK(filtered.info().elf_machine == 62);
    CHECK(filtered.info().files == std::vector{filtered.file.path()});

    options.dump_level = 0;
    options.method = Compression::none;
    const OpenFixture full(write_kdump(parse_memory("0-5 number"), options));
    CHECK(full.info().compression == "none");
    CHECK_FALSE(full.info().partial);
}

TEST_CASE("kdump: a page that the dump tool had no room for is incomplete, not zeroes") {
    KdumpOptions options;
    options.incomplete = true;
    const OpenFixture fixture(write_kdump(parse_memory("0-3 number\n 4 lost\n 5 number"), options));
    CHECK(fixture.info().incomplete);
    CHECK(fixture.has_number(3));
    CHECK(fixture.fault(4) == Fault::incomplete);
    CHECK(fixture.has_number(5));
}

TEST_CASE("kdump: a descriptor without a place is damage when the dump is complete") {
    const OpenFixture fixture(write_kdump(parse_memory("0 number\n 1 lost")));
    CHECK(fixture.fault(1) == Fault::damaged);
}

TEST_CASE("kdump: a file with only one bitmap knows holes but no exclusion") {
    KdumpOptions options;
    options.version = 1;
    options.one_bitmap = true;
    const OpenFixture fixture(write_kdump(parse_memory("0 number\n 1 excluded\n 2 number"), options));
    CHECK(fixture.has_number(0));
    CHECK(fixture.fault(1) == Fault::not_in_dump);
    CHECK(fixture.has_number(2));
}

TEST_CASE("kdump: other page sizes are read") {
    const FixtureMemory memory = parse_memory("0-3 number\n 5 number as lzo", 65536);
    KdumpOptions options;
    options.machine = "aarch64";
    const OpenFixture fixture(write_kdump(memory, options));
    CHECK(fixture.info().page_size == 65536);
    CHECK(fixture.has_number(3));
    CHECK(fixture.has_number(5));
}

TEST_CASE("kdump: memory lists what the machine had, excluded pages among it") {
    const OpenFixture fixture(write_kdump(parse_memory("1-3 number\n 4 excluded\n 10 number\n 80-ff number")));
    const auto memory = fixture.dump->memory();
    REQUIRE(memory.size() == 3);
    CHECK(memory[0].begin.value == 0x1000);
    CHECK(memory[0].end.value == 0x5000);
    CHECK(memory[1].begin.value == 0x10000);
    CHECK(memory[1].end.value == 0x11000);
    CHECK(memory[2].begin.value == 0x80000);
    CHECK(memory[2].end.value == 0x100000);
}

TEST_CASE("kdump: a file offset is where the page's data is") {
    KdumpOptions options;
    options.method = Compression::none;
    const auto bytes = write_kdump(parse_memory("0 number\n 1 text here it is\n 2 excluded"), options);
    const OpenFixture fixture(bytes);
    const auto at = fixture.dump->file_offset(PageFrame(1));
    REQUIRE(at);
    CHECK(std::memcmp(bytes.data() + at->value, "here it is", 10) == 0);
    CHECK_FALSE(fixture.dump->file_offset(PageFrame(2)));
}

TEST_CASE("kdump: a cut file opens with a warning, and says truncated where the data is gone") {
    const auto bytes = write_kdump(parse_memory("0-3f noise"));
    const OpenFixture fixture{std::span(bytes).first(bytes.size() - 4096 * 10)};
    CHECK(fixture.info().truncated);
    CHECK(warning_of(fixture, 0) ==
          fmt::format("FILE: truncated: needs {} bytes, has {}", bytes.size(), bytes.size() - 4096 * 10));
    CHECK(fixture.fault(0x35) == Fault::none);
    CHECK(fixture.fault(0x36) == Fault::truncated);
    CHECK(fixture.fault(0x3f) == Fault::truncated);
}

TEST_CASE("kdump: a file cut within its descriptors says that it needs more than it knows") {
    const auto bytes = write_kdump(parse_memory("0-3f noise"));
    const size_t descriptors = bytes.size() - 0x40 * 4096 - 0x40 * 24;
    const OpenFixture fixture{std::span(bytes).first(descriptors + 30)};
    CHECK(fixture.info().truncated);
    CHECK(warning_of(fixture, 0) ==
          fmt::format("FILE: truncated: needs more than {} bytes, has {}", descriptors + 0x40 * 24, descriptors + 30));
    CHECK(fixture.fault(0) == Fault::truncated);
    CHECK(fixture.fault(1) == Fault::truncated);
}

TEST_CASE("kdump: a file cut within its headers or bitmaps is refused with the sizes") {
    const auto bytes = write_kdump(parse_memory("0-3f noise"));
    CHECK(open_error(std::span(bytes).first(100)) == "FILE: truncated: the kdump header needs 464 bytes, the file has 100");
    CHECK(open_error(std::span(bytes).first(4100)) == "FILE: needs 104 bytes at offset 0x1000, the file ends at 0x1004");
    CHECK(open_error(std::span(bytes).first(9000)) ==
          "FILE: truncated: the headers and bitmaps need 16384 bytes, the file has 9000");
}

TEST_CASE("kdump: what makedumpfile erased is told, with its own list") {
    KdumpOptions options;
    options.erased = "erase vmlinux: cred_jar size 8 X\nerase keys size 4096 nullify\n";
    for (const uint32_t version : {4, 5, 6}) {
        options.version = version;
        const OpenFixture fixture(write_kdump(parse_memory("0 number"), options));
        CHECK(fixture.has_number(0));
        CHECK(fixture.dump->erased() == (version >= 5 ? options.erased : ""));
        CHECK(warning_of(fixture, 0) ==
              (version >= 5 ? "FILE: makedumpfile erased 2 pieces of data: they read as 'X' or zero" : "no warning"));
    }
}

TEST_CASE("kdump: libkdumpfile reads the same pages from every version and method") {
    const FixtureMemory memory = parse_memory("0-3 number\n 4 excluded\n 5 zero\n 6 noise\n 7 number as lzo\n 8 number as raw");
    for (uint32_t version = 1; version <= 6; ++version) {
        CAPTURE(version);
        KdumpOptions options;
        options.version = version;
        const OpenFixture fixture(write_kdump(memory, options));
        CHECK(differs_from_libkdumpfile(*fixture.dump, {fixture.file.path()}, 16) == "");
    }
}
