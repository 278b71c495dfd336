// SPDX-License-Identifier: GPL-3.0-or-later
// Split sets of kdump-compressed dumps.
#include "tests/fixtures/kdump_writer.hpp"
#include "tests/fixtures/open_fixture.hpp"
#include <doctest/doctest.h>

using namespace kcrash;
using namespace kcrash::fixtures;

namespace {

const FixtureMemory memory = parse_memory("0-f number\n 10 excluded\n 11-2f number\n 40-4f number as lzo");

struct Parts {
    TemporaryFile first{write_kdump_part(memory, 0, 0x15)}, second{write_kdump_part(memory, 0x15, 0x42)},
        third{write_kdump_part(memory, 0x42, 0x50)}, empty{write_kdump_part(memory, 0x50, 0x50)};
};

Fault read(const Dump& dump, uint64_t frame, bool& right) {
    std::vector<std::byte> page(4096);
    const Fault fault = dump.try_read_page(PageFrame(frame), page);
    right = page == number_page(frame);
    return fault;
}

void check_all(const Dump& dump) {
    bool right = false;
    for (const auto& [frame, page] : memory.pages) {
        CAPTURE(frame);
        const Fault fault = read(dump, frame, right);
        CHECK(fault == (page.kind == FixturePage::Kind::excluded ? Fault::excluded : Fault::none));
        if (fault == Fault::none) CHECK(right);
    }
}

} // namespace

TEST_CASE("split: parts are read in any order, empty ones among them") {
    const Parts parts;
    for (const auto& paths : {std::vector{parts.first.path(), parts.second.path(), parts.third.path()},
                              std::vector{parts.third.path(), parts.empty.path(), parts.first.path(), parts.second.path()}}) {
        const auto dump = open_dump(paths);
        CHECK(dump->info().split);
        CHECK(dump->info().warnings.empty());
        CHECK(dump->info().files == paths);
        check_all(*dump);
    }
}

TEST_CASE("split: a missing part is an error for its range only, and is named") {
    const Parts parts;
    const auto dump = open_dump({parts.third.path(), parts.first.path()});
    REQUIRE(dump->info().warnings.size() == 1);
    CHECK(dump->info().warnings[0] ==
          "a part of the split dump is missing: physical addresses 0x15000 to 0x41fff cannot be read");
    bool right = false;
    CHECK(read(*dump, 0x14, right) == Fault::none);
    CHECK(right);
    CHECK(read(*dump, 0x15, right) == Fault::not_in_dump);
    CHECK(read(*dump, 0x41, right) == Fault::not_in_dump);
    CHECK(read(*dump, 0x42, right) == Fault::none);
    CHECK(right);
    CHECK(read(*dump, 0x10, right) == Fault::excluded); // both bitmaps are in every part
}

TEST_CASE("split: the first and the last part may be missing") {
    const Parts parts;
    const auto dump = open_dump({parts.second.path()});
    REQUIRE(dump->info().warnings.size() == 2);
    CHECK(dump->info().warnings[0] == "a part of the split dump is missing: physical addresses 0x0 to 0x14fff cannot be read");
    CHECK(dump->info().warnings[1] ==
          "a part of the split dump is missing: physical addresses 0x42000 to 0x4ffff cannot be read");
    bool right = false;
    CHECK(read(*dump, 0x20, right) == Fault::none);
    CHECK(right);
}

TEST_CASE("split: a part given twice, a part of another dump and a whole dump are refused") {
    const Parts parts;
    const TemporaryFile again(write_kdump_part(memory, 0, 0x15)), whole(write_kdump(memory));
    KdumpOptions options;
    options.dump_level = 1;
    const TemporaryFile other(write_kdump_part(memory, 0x15, 0x42, options));
    const auto opened = [&](const TemporaryFile& a, const TemporaryFile& b) {
        return error_of([&] { open_dump({a.path(), b.path()}); });
    };
    CHECK(opened(parts.first, again) == again.path() + ": has the same pages as " + parts.first.path() + "; give each part once");
    CHECK(opened(parts.first, other) == other.path() + ": is not of the same dump as " + parts.first.path());
    CHECK(opened(parts.first, whole) == whole.path() + ": is not a part of a split dump; open one dump at a time");
    CHECK(opened(whole, whole) == whole.path() + ": is not a part of a split dump; open one dump at a time");
}
