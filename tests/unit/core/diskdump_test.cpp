// SPDX-License-Identifier: GPL-3.0-or-later
// diskdump files.
#include "tests/fixtures/kdump_writer.hpp"
#include "tests/fixtures/libkdumpfile.hpp"
#include "tests/fixtures/open_fixture.hpp"
#include <doctest/doctest.h>

using namespace kcrash;
using namespace kcrash::fixtures;

static KdumpOptions diskdump(const char* machine = "x86_64", unsigned word_size = 8) {
    KdumpOptions options;
    options.diskdump = true;
    options.version = 1;
    options.machine = machine;
    options.word_size = word_size;
    return options;
}

TEST_CASE("diskdump: a partial dump of each word size is read, as libkdumpfile reads it") {
    for (const auto& [machine, word_size] : {std::pair{"x86_64", 8u}, std::pair{"i686", 4u}}) {
        CAPTURE(machine);
        const OpenFixture fixture(write_kdump(parse_memory("0-3 number\n 4 excluded\n 5 noise\n 6 zero\n 10 number as raw"),
                                              diskdump(machine, word_size)));
        CHECK(fixture.info().format == "diskdump v1");
        CHECK(fixture.info().word_size == word_size);
        CHECK(fixture.info().partial);
        CHECK(fixture.info().compression == "zlib");
        CHECK_FALSE(fixture.info().dump_level);
        CHECK_FALSE(fixture.info().incomplete);
        CHECK(fixture.has_number(3));
        CHECK(fixture.fault(4) == Fault::excluded);
        CHECK(fixture.fault(7) == Fault::not_in_dump);
        CHECK(fixture.has_number(0x10));
        // The registers of the CPU that died; what is not one of them is zero.
        REQUIRE(fixture.dump->notes().size() == 1);
        const Note& note = fixture.dump->notes()[0];
        CHECK(note.name == "CORE");
        CHECK(note.type == note_prstatus);
        REQUIRE(note.description.size() == (word_size == 8 ? 336 : 144));
        const size_t begin = word_size == 8 ? 112 : 72, bytes = word_size == 8 ? 27 * 8 : 17 * 4;
        for (size_t i = 0; i < note.description.size(); ++i)
            CHECK(note.description[i] == std::byte{i >= begin && i < begin + bytes ? uint8_t{0x11} : uint8_t{0}});
        CHECK(fixture.dump->vmcoreinfo().empty());
        CHECK(differs_from_libkdumpfile(*fixture.dump, {fixture.file.path()}, 0x20) == "");
    }
}

TEST_CASE("diskdump: a full dump has one bitmap") {
    KdumpOptions options = diskdump();
    options.one_bitmap = true;
    options.method = Compression::none;
    const OpenFixture fixture(write_kdump(parse_memory("0-3 number\n 8 number"), options));
    CHECK_FALSE(fixture.info().partial);
    CHECK(fixture.info().compression == "none");
    CHECK(fixture.has_number(8));
    CHECK(fixture.fault(5) == Fault::not_in_dump);
}

TEST_CASE("diskdump: the status says that the writer did not finish, in its own number") {
    KdumpOptions options = diskdump();
    options.incomplete = true;
    const OpenFixture fixture(write_kdump(parse_memory("0 number\n 1 lost"), options));
    CHECK(fixture.info().incomplete);
    CHECK(fixture.has_number(0));
    CHECK(fixture.fault(1) == Fault::incomplete);
}

TEST_CASE("diskdump: a damaged header is refused, and a cut one") {
    const auto good = write_kdump(parse_memory("0-3 number"), diskdump());
    auto bad = good;
    bad[429] = std::byte{0xff}; // block_size
    CHECK(open_error(bad) == "FILE: damaged kdump header: block size 65280 is not a page size");
    CHECK(open_error(std::span(good).first(50)) == "FILE: truncated: the kdump header needs 464 bytes, the file has 50");
}
