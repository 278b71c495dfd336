// SPDX-License-Identifier: GPL-3.0-or-later
// sadumps.
#include "tests/fixtures/libkdumpfile.hpp"
#include "tests/fixtures/open_fixture.hpp"
#include "tests/fixtures/sadump_writer.hpp"
#include <doctest/doctest.h>
#include <fmt/format.h>

using namespace kcrash;
using namespace kcrash::fixtures;

namespace {

constexpr size_t part_header = 4096; // of a single partition: its size

FixtureMemory dump_memory() { return parse_memory("0-7 number\n 8-9 excluded\n a-2f number\n 1000 number\n 1001 noise"); }

uint64_t word(const Note& note, size_t at) { return load<uint64_t>(note.description.data() + at, ByteOrder::little); }

struct OpenDisks {
    OpenDisks(const std::vector<std::vector<std::byte>>& disks, const std::vector<size_t>& order) {
        for (const size_t i : order) {
            files.push_back(std::make_unique<TemporaryFile>(disks[i]));
            paths.push_back(files.back()->path());
        }
    }
    std::vector<std::unique_ptr<TemporaryFile>> files;
    std::vector<std::string> paths;
};

void check_pages(const Dump& dump, const FixtureMemory& memory) {
    std::vector<std::byte> bytes(4096);
    for (const auto& [frame, page] : memory.pages) {
        const bool stored = page.kind == FixturePage::Kind::stored;
        CHECK(dump.try_read_page(PageFrame(frame), bytes) == (stored ? Fault::none : Fault::excluded));
        if (stored) CHECK(bytes == page.bytes);
    }
    CHECK(dump.try_read_page(PageFrame(0x30), bytes) == Fault::not_in_dump);
    CHECK(dump.try_read_page(PageFrame(memory.end()), bytes) == Fault::not_in_dump);
}

} // namespace

TEST_CASE("sadump: a single partition and a media backup are read, of both header versions") {
    for (const bool media : {false, true})
        for (const uint32_t version : {0u, 1u}) {
            const OpenFixture fixture(write_sadump(dump_memory(), {.media = media, .version = version})[0]);
            CHECK(fixture.info().format == fmt::format("sadump v{} ({})", version, media ? "media backup" : "single partition"));
            CHECK(fixture.info().machine == "x86_64");
            CHECK(fixture.info().partial);
            CHECK(fixture.info().warnings.empty());
            CHECK(fixture.info().max_frame == 0x1002);
            check_pages(*fixture.dump, dump_memory());
            REQUIRE(fixture.dump->memory().size() == 2);
            CHECK(fixture.dump->memory()[0].end.value == 0x30000);
        }
}

// libkdumpfile 0.5 loses its place within a run of pages, so only pages that stand alone are compared.
TEST_CASE("sadump: libkdumpfile reads the same pages") {
    const FixtureMemory memory = parse_memory("0 number\n 2 number\n 7 noise\n 9 number\n 101 number");
    const OpenFixture single(write_sadump(memory)[0]), media(write_sadump(memory, {.media = true})[0]);
    CHECK(differs_from_libkdumpfile(*single.dump, {single.file.path()}, 0x110) == "");
    CHECK(differs_from_libkdumpfile(*media.dump, {media.file.path()}, 0x110) == "");
    const OpenDisks set(write_sadump(memory, {.disks = {2, 1}}), {0, 1, 2});
    CHECK(differs_from_libkdumpfile(*open_dump(set.paths), set.paths, 0x110) == "");
}

TEST_CASE("sadump: the disks of a set are put together in any order") {
    const auto disks = write_sadump(dump_memory(), {.disks = {5, 20}});
    const OpenDisks set(disks, {1, 2, 0});
    const auto dump = open_dump(set.paths);
    CHECK(dump->info().format == "sadump v1 (disk set)");
    CHECK(dump->info().split);
    CHECK(dump->info().warnings.empty());
    check_pages(*dump, dump_memory());
}

TEST_CASE("sadump: a set that is not whole is refused with what is missing") {
    const auto disks = write_sadump(dump_memory(), {.disks = {5, 20}});
    const auto error = [&](const std::vector<size_t>& order, size_t named) {
        const OpenDisks set(disks, order);
        return error_of([&] { open_dump(set.paths); }, set.paths[named]);
    };
    CHECK(error({0, 1}, 0) == "FILE: is a set of 3 disks, 2 are given; name all of them");
    CHECK(error({0}, 0) == "FILE: is a set of 3 disks, 1 is given; name all of them");
    CHECK(error({0, 2}, 1) == "FILE: is disk 3 of a set; disk 2 is missing");
    CHECK(error({1, 2}, 0) == "FILE: is disk 2 of a set; disk 1 is missing");
    auto foreign = disks;
    foreign[1][88] = std::byte{'S'};
    const OpenDisks set(foreign, {0, 1, 2});
    CHECK(error_of([&] { open_dump(set.paths); }, set.paths[1]) == "FILE: is not of the same dump as " + set.paths[0]);
    const OpenDisks two({write_sadump(dump_memory())[0], write_sadump(dump_memory())[0]}, {0, 1});
    CHECK(error_of([&] { open_dump(two.paths); }, two.paths[0]) == "FILE: is a whole sadump; open one dump at a time");
}

TEST_CASE("sadump: registers become notes as QEMU writes them") {
    const OpenFixture fixture(write_sadump(dump_memory())[0]);
    const auto& notes = fixture.dump->notes();
    REQUIRE(notes.size() == 4);
    CHECK(notes[2].name == "CORE");
    CHECK(notes[2].description.size() == 336);
    CHECK(word(notes[2], 112) == 1015);                        // r15
    CHECK(word(notes[2], 112 + 10 * 8) == 1500);               // rax
    CHECK(word(notes[2], 112 + 16 * 8) == 0xffffffff81000001); // rip
    CHECK(word(notes[2], 112 + 17 * 8) == 0x10);               // cs
    CHECK(word(notes[2], 112 + 19 * 8) == 1504);               // rsp
    CHECK(notes[1].name == "QEMU");
    CHECK(notes[1].description.size() == 440);
    CHECK(word(notes[1], 8 + 18 * 8 + 10 * 24 + 3 * 8) == 0x2a10000);      // cr3
    CHECK(word(notes[1], 8 + 18 * 8 + 10 * 24 + 4 * 8) == 0x1000);         // cr4
    CHECK(word(notes[1], 8 + 18 * 8 + 9 * 24 + 16) == 0xfffffe0000001000); // base of the IDT
}

TEST_CASE("sadump: a 32-bit kernel is told by its CPUs") {
    const OpenFixture fixture(write_sadump(dump_memory(), {.long_mode = false})[0]);
    CHECK(fixture.info().word_size == 4);
    CHECK(fixture.info().machine == "i686");
    CHECK(warning_of(fixture, 0) == "FILE: a 32-bit kernel's sadump: registers are left out");
}

TEST_CASE("sadump: a cut dump opens with a warning") {
    const auto bytes = write_sadump(dump_memory())[0];
    const OpenFixture fixture{std::span(bytes).first(bytes.size() - 4096)};
    CHECK(fixture.info().truncated);
    CHECK(warning_of(fixture, 0) == fmt::format("FILE: truncated: needs {} bytes, has {}", bytes.size(), bytes.size() - 4096));
    CHECK(fixture.has_number(0x1000));
    CHECK(fixture.fault(0x1001) == Fault::truncated);
}

TEST_CASE("sadump: damaged headers are refused with what is wrong") {
    const auto good = write_sadump(dump_memory())[0];
    const auto with = [&](size_t at, uint64_t value, size_t size) {
        auto bytes = good;
        std::memcpy(bytes.data() + at, &value, size);
        return open_error(bytes);
    };
    CHECK(with(200, 0, 4) == "FILE: damaged sadump: its magic numbers end at offset 0xc8, which is no block size");
    CHECK(with(part_header, 0, 8) == "FILE: damaged sadump header at offset 0x1000: no signature");
    CHECK(with(part_header + 40, 8192, 4) ==
          "FILE: damaged sadump header at offset 0x1000: block size 8192, the magic numbers say 4096");
    CHECK(with(part_header + 52, 0, 4) ==
          "FILE: damaged sadump header at offset 0x1000: a bitmap has 0 bits for 4098 page frames");
    CHECK(with(part_header + 88, 0, 8) == "FILE: damaged sadump header at offset 0x1000: 0 page frames");
    CHECK(with(part_header + 88, UINT64_MAX, 8) ==
          "FILE: damaged sadump header at offset 0x1000: 18446744073709551615 page frames");
    const uint64_t huge = with(part_header + 56, 0xffffffff, 4).size();
    CHECK(huge != 0); // opens with nothing stored, or is refused: never allocates by it
    auto media = write_sadump(dump_memory(), {.media = true})[0];
    media[3] = std::byte{'X'};
    CHECK(open_error(media) == "FILE: damaged sadump: the media header is not of this dump");
    for (const uint32_t cpus : {3u, 1000u, 0xffffffffu}) {
        auto bytes = good;
        std::memcpy(bytes.data() + part_header + 80, &cpus, 4);
        const OpenFixture fixture(bytes);
        CHECK(fixture.dump->notes().empty());
        CHECK(warning_of(fixture, 0) ==
              fmt::format("FILE: damaged sadump: {} CPU states of {} bytes in a sub header of 8192; registers are left out", cpus,
                          2048 / cpus));
        CHECK(fixture.has_number(3));
    }
}
