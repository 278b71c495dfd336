// SPDX-License-Identifier: GPL-3.0-or-later
// The bounds-checked reader.
#include "core/cursor.hpp"
#include "core/file.hpp"
#include "tests/fixtures/open_fixture.hpp"
#include <doctest/doctest.h>

using namespace kcrash;
using namespace kcrash::fixtures;

static const std::byte bytes[] = {std::byte{1},    std::byte{2},    std::byte{3},    std::byte{4},   std::byte{0xff},
                                  std::byte{0xff}, std::byte{0xff}, std::byte{0xff}, std::byte{'a'}, std::byte{0}};

TEST_CASE("cursor: integers are read in the byte order it was given") {
    Cursor little(bytes, ByteOrder::little, "test"), big(bytes, ByteOrder::big, "test");
    CHECK(little.u32() == 0x04030201);
    CHECK(big.u32() == 0x01020304);
    CHECK(little.s16() == -1);
    CHECK(big.word(4) == 0xffffffff);
    CHECK(big.string() == "a");
    CHECK(big.at_end());
}

TEST_CASE("cursor: a read beyond the end names the place, what it needs and what is left") {
    Cursor cursor(bytes, ByteOrder::little, ".debug_line", 0x1e8);
    cursor.seek(8);
    CHECK(error_of([&] { cursor.u32(); }) == ".debug_line+0x1f0: needs 4 bytes, 2 left");
    CHECK(error_of([&] { cursor.bytes(UINT64_MAX); }) == ".debug_line+0x1f0: needs 18446744073709551615 bytes, 2 left");
    CHECK(error_of([&] { cursor.seek(11); }) == ".debug_line: offset 0x1f3 is beyond the end, 0x1f2");
    cursor.seek(0);
    CHECK(cursor.left() == 10);
    Cursor open_ended{std::span(bytes).first(8), ByteOrder::little, "names"};
    CHECK(error_of([&] { open_ended.string(); }) == "names+0x0: a string has no end");
}

TEST_CASE("cursor: LEB128 numbers are read, and endless ones refused") {
    const std::byte numbers[] = {std::byte{0xe5}, std::byte{0x8e}, std::byte{0x26}, std::byte{0x7f}};
    Cursor cursor(numbers, ByteOrder::little, "leb");
    CHECK(cursor.uleb128() == 624485);
    CHECK(cursor.sleb128() == -1);
    const std::vector<std::byte> endless(20, std::byte{0x80});
    Cursor never(endless, ByteOrder::little, "leb");
    CHECK(error_of([&] { never.uleb128(); }) == "leb+0xa: a LEB128 number has no end");
}

TEST_CASE("file: reads beyond the end are refused before anything is allocated") {
    const TemporaryFile temporary("0123456789");
    const auto file = open_file(temporary.path());
    CHECK(file->size() == 10);
    CHECK(error_of([&] { (void)file->read(FileOffset(8), 3); }, temporary.path()) ==
          "FILE: needs 3 bytes at offset 0x8, the file ends at 0xa");
    CHECK(error_of([&] { (void)file->read(FileOffset(0), UINT64_MAX); }, temporary.path()) ==
          "FILE: needs 18446744073709551615 bytes at offset 0x0, the file ends at 0xa");
    std::byte byte;
    CHECK(file->try_read(FileOffset(10), std::span(&byte, 1)) == Fault::truncated);
    CHECK(file->try_read(FileOffset(UINT64_MAX), std::span(&byte, 1)) == Fault::truncated);
    temporary.resize(5); // it shrinks while it is open
    CHECK(file->try_read(FileOffset(7), std::span(&byte, 1)) == Fault::truncated);
}
