// SPDX-License-Identifier: GPL-3.0-or-later
// s390 stand-alone dumps and VMDUMP.
#include "tests/fixtures/libkdumpfile.hpp"
#include "tests/fixtures/open_fixture.hpp"
#include "tests/fixtures/s390_writer.hpp"
#include <atomic>
#include <doctest/doctest.h>
#include <fmt/format.h>
#include <thread>

using namespace kcrash;
using namespace kcrash::fixtures;

namespace {

uint64_t register_of(const Note& prstatus, size_t index) { // psw mask, address, general registers
    return load<uint64_t>(prstatus.description.data() + 112 + index * 8, ByteOrder::big);
}

// Several volumes of one dump.
struct OpenVolumes {
    explicit OpenVolumes(const std::vector<std::vector<std::byte>>& volumes, const std::vector<size_t>& order) {
        for (const size_t i : order) {
            files.push_back(std::make_unique<TemporaryFile>(volumes[i]));
            paths.push_back(files.back()->path());
        }
    }
    std::vector<std::unique_ptr<TemporaryFile>> files;
    std::vector<std::string> paths;
};

bool has_number(const Dump& dump, uint64_t frame) {
    std::vector<std::byte> page(4096);
    return dump.try_read_page(PageFrame(frame), page) == Fault::none && page == number_page(frame);
}

Fault fault(const Dump& dump, uint64_t frame) {
    std::vector<std::byte> page(4096);
    return dump.try_read_page(PageFrame(frame), page);
}

FixtureMemory sparse_memory() { return parse_memory("0-ff number\n 400-4ff number\n 8ff number"); }

} // namespace

TEST_CASE("s390: a stand-alone dump of each word size is read, as libkdumpfile reads it") {
    for (const uint32_t arch : {1u, 2u}) {
        const OpenFixture fixture(write_s390(parse_memory("0-1f number\n 22 noise"), {.arch = arch})[0]);
        CHECK(fixture.info().format == "s390 dump v5");
        CHECK(fixture.info().word_size == (arch == 1 ? 4 : 8));
        CHECK(fixture.info().order == ByteOrder::big);
        CHECK(fixture.info().elf_machine == 22);
        CHECK(fixture.info().warnings.empty());
        CHECK(fixture.info().max_frame == 0x23);
        CHECK(fixture.has_number(0x1f));
        CHECK(fixture.page(0x20) == std::vector<std::byte>(4096));
        CHECK(fixture.fault(0x23) == Fault::not_in_dump);
        CHECK(fixture.dump->file_offset(PageFrame(2)) == FileOffset(3 * 4096));
        CHECK(differs_from_libkdumpfile(*fixture.dump, {fixture.file.path()}, 0x23) == "");
    }
}

TEST_CASE("s390: each CPU's registers come from its lowcore, VMCOREINFO from where absolute 0xe0c points") {
    FixtureMemory memory = parse_memory("0-3f zero");
    put_stored_status(memory, 0x10000, 5000);
    put_stored_status(memory, 0x14000, 9000);
    put_vmcoreinfo(memory, 0x20ff4, "OSRELEASE=6.1.0-s390x\nPAGESIZE=4096\n");
    for (const bool extended : {false, true}) {
        const OpenFixture fixture(write_s390(memory, {.extended = extended, .prefixes = {0x10000, 0x14000}})[0]);
        CHECK(fixture.dump->vmcoreinfo() == "OSRELEASE=6.1.0-s390x\nPAGESIZE=4096\n");
        const auto& notes = fixture.dump->notes();
        REQUIRE(notes.size() == 6);
        CHECK(notes[0].name == "CORE");
        CHECK(notes[0].type == note_prstatus);
        CHECK(notes[0].description.size() == 336);
        CHECK(register_of(notes[0], 0) == 0x0404c00180000000);
        CHECK(register_of(notes[0], 1) == 6000 + 0xc18);
        CHECK(register_of(notes[0], 2 + 15) == 5015);
        CHECK(register_of(notes[3], 2) == 9000);
        CHECK(notes[1].type == 0x304); // control registers
        CHECK(load<uint64_t>(notes[1].description.data() + 8, ByteOrder::big) == 5201);
        CHECK(notes[5].type == 0x305); // prefix
        CHECK(load<uint32_t>(notes[5].description.data(), ByteOrder::big) == 0x14000);
    }
}

TEST_CASE("s390: a CPU whose lowcore is not in the dump has no registers, and that is told") {
    const OpenFixture fixture(write_s390(parse_memory("0-1f number"), {.prefixes = {0x7f000000, 0}})[0]);
    CHECK(fixture.dump->notes().empty());
    CHECK(warning_of(fixture, 0) == "FILE: the registers of 2 CPUs cannot be read");
}

TEST_CASE("s390: an extended dump leaves out zeroes and nothing else") {
    const OpenFixture fixture(write_s390(sparse_memory(), {.extended = true})[0]);
    CHECK(fixture.info().format == "s390 dump extended v5");
    CHECK(fixture.info().warnings.empty());
    for (const auto& [frame, page] : sparse_memory().pages) CHECK(fixture.has_number(frame));
    CHECK(fixture.page(0x100) == std::vector<std::byte>(4096)); // between segments
    CHECK(fixture.page(0x801) == std::vector<std::byte>(4096)); // within one
    CHECK_FALSE(fixture.dump->file_offset(PageFrame(0x100)));
    CHECK(fixture.fault(0x900) == Fault::not_in_dump);
    REQUIRE(fixture.dump->memory().size() == 1);
    CHECK(fixture.dump->memory()[0].end.value == 0x900000);
}

TEST_CASE("s390: the volumes of one dump are put together in any order, and one that is missing is named") {
    for (const bool extended : {false, true}) {
        const auto volumes = write_s390(sparse_memory(), {.extended = extended, .volumes = {0x200, 0x300}});
        REQUIRE(volumes.size() == 3);
        const OpenVolumes all(volumes, {2, 0, 1});
        const auto dump = open_dump(all.paths);
        CHECK(dump->info().split);
        CHECK(dump->info().warnings.empty());
        for (const auto& [frame, page] : sparse_memory().pages) CHECK(has_number(*dump, frame));

        const OpenVolumes first(volumes, {0, 1});
        const auto part = open_dump(first.paths);
        CHECK(part->info().truncated);
        CHECK(has_number(*part, 0x4ff));
        CHECK(fault(*part, 0x8ff) == Fault::truncated);
        CHECK(part->info().warnings[0] ==
              (extended
                   ? first.paths[1] +
                         ": truncated: no segment says that it is the last; physical addresses from 0x500000 on cannot be read"
                   : "a volume of the dump is missing: physical addresses 0x500000 to 0x8fffff cannot be read"));

        const OpenVolumes without_first(volumes, {1, 2});
        CHECK(error_of([&] { open_dump(without_first.paths); }, without_first.paths[0]) ==
              "FILE: is volume 1 of a multi-volume dump; volume 0 is missing");
        const OpenVolumes twice(volumes, {0, 0});
        CHECK(error_of([&] { open_dump(twice.paths); }, twice.paths[1]) ==
              "FILE: is volume 0 of a multi-volume dump; volume 1 is missing");
    }
    const OpenVolumes two_dumps({write_s390(sparse_memory())[0], write_s390(sparse_memory())[0]}, {0, 1});
    CHECK(error_of([&] { open_dump(two_dumps.paths); }, two_dumps.paths[0]) ==
          "FILE: is not a volume of a multi-volume dump; open one dump at a time");
}

TEST_CASE("s390: a dump without its end mark was cut or not finished") {
    const auto bytes = write_s390(parse_memory("0-1f number"))[0];
    const OpenFixture cut{std::span(bytes).first(bytes.size() - 5000)};
    CHECK(cut.info().truncated);
    CHECK(warning_of(cut, 0) == fmt::format("FILE: truncated: needs {} bytes, has {}", bytes.size(), bytes.size() - 5000));
    CHECK(cut.has_number(0x1d));
    CHECK(cut.fault(0x1f) == Fault::truncated);

    auto unfinished = bytes;
    std::memset(unfinished.data() + unfinished.size() - 16, 0, 16);
    const OpenFixture fixture(unfinished);
    CHECK(fixture.info().incomplete);
    CHECK(warning_of(fixture, 0) ==
          fmt::format("FILE: no end mark at offset 0x{:x}: the dump was not finished", unfinished.size() - 16));

    const auto extended = write_s390(sparse_memory(), {.extended = true})[0];
    const OpenFixture cut_extended{std::span(extended).first(extended.size() - (1 << 20) - 8192)};
    CHECK(cut_extended.info().truncated);
    CHECK(cut_extended.has_number(0x4ff - 2));
    CHECK(cut_extended.fault(0x8ff) == Fault::truncated);
}

TEST_CASE("s390: damaged headers and segments are refused with what is wrong") {
    const auto good = write_s390(parse_memory("0-1f number"), {.prefixes = {0}})[0];
    const auto with = [&](size_t at, uint64_t value, size_t size) {
        auto bytes = good;
        for (size_t i = 0; i < size; ++i) bytes[at + i] = static_cast<std::byte>(value >> (size - 1 - i) * 8);
        return open_error(bytes);
    };
    CHECK(with(12, 0, 4) == "FILE: damaged s390 dump header: header size 0");
    CHECK(with(12, 0xfffff000, 4) == "FILE: damaged s390 dump header: header size 4294963200");
    CHECK(with(20, 8192, 4) == "FILE: damaged s390 dump header: page size 8192");
    CHECK(with(24, 0, 8) == "FILE: an s390 dump without memory");
    CHECK(with(24, UINT64_MAX, 8) == "FILE: damaged s390 dump header: memory from 0x0, 18446744073709551615 bytes");
    CHECK(with(32, uint64_t{1} << 63, 8) == "FILE: damaged s390 dump header: memory from 0x8000000000000000, 131072 bytes");
    CHECK(with(72, 7, 4) == "FILE: damaged s390 dump header: architecture 7");
    CHECK(with(93, 513, 2) == "FILE: damaged s390 dump header: 513 CPUs");
    CHECK(open_error(std::span(good).first(100)) == "FILE: needs 4096 bytes at offset 0x0, the file ends at 0x64");

    auto extended = write_s390(sparse_memory(), {.extended = true})[0];
    extended[4096 + 7] = std::byte{1}; // the first segment's start is no multiple of a page
    CHECK(open_error(extended) == "FILE: damaged s390 dump: the segment at offset 0x1000 has memory from 0x1, 1048576 bytes");
    extended[4096 + 7] = std::byte{0};
    extended[4096 + 5] = std::byte{0x40}; // now it is where the second one is
    CHECK(open_error(extended) == "FILE: damaged s390 dump: two segments have memory at 0x400000");
}

TEST_CASE("s390: a packed dump is read as a plain one, whatever the blocks of its disk are") {
    const FixtureMemory memory = parse_memory("0-ff number\n 100-1ff noise\n 200-2ff number\n 4ff number\n 5ff number\n 680 number");
    const OpenFixture plain(write_s390(memory)[0]);
    for (const uint64_t block : {512u, 1024u, 2048u, 4096u}) {
        CAPTURE(block);
        const OpenFixture fixture(write_s390(memory, {.extended = true, .zlib = true, .block_bytes = block})[0]);
        CHECK(fixture.info().format == "s390 dump extended v2");
        CHECK(fixture.info().compression == "zlib");
        CHECK(fixture.info().warnings.empty());
        for (uint64_t frame = 0; frame < 0x681; ++frame) CHECK(fixture.page(frame) == plain.page(frame));
        CHECK(fixture.fault(0x681) == Fault::not_in_dump);
        CHECK(fixture.dump->file_offset(PageFrame(2)) == FileOffset(4 * 4096)); // the first megabyte is not packed
        CHECK(fixture.dump->file_offset(PageFrame(0x102)) == FileOffset((2 + 0x100 + 1 + 2) * 4096)); // this one does not shrink
        CHECK_FALSE(fixture.dump->file_offset(PageFrame(0x202)));
        CHECK_FALSE(fixture.dump->file_offset(PageFrame(0x302)));
    }
}

TEST_CASE("s390: a dump of a tool that could pack and did not is a plain one") {
    const OpenFixture small(write_s390(parse_memory("0-f number"), {.extended = true, .zlib = true})[0]);
    CHECK(small.info().compression == "none");
    CHECK(small.info().warnings.empty());
    CHECK(small.has_number(0xf));
    const OpenVolumes volumes(write_s390(sparse_memory(), {.extended = true, .volumes = {0x200}, .zlib = true}), {0, 1});
    const auto dump = open_dump(volumes.paths);
    CHECK(dump->info().compression == "none");
    for (const auto& [frame, page] : sparse_memory().pages) CHECK(has_number(*dump, frame));
}

TEST_CASE("s390: many threads read a packed dump") {
    const OpenFixture fixture(write_s390(sparse_memory(), {.extended = true, .zlib = true, .entry_bytes = 16384})[0]);
    std::atomic<unsigned> wrong = 0;
    std::vector<std::thread> threads;
    for (unsigned n = 0; n < 4; ++n)
        threads.emplace_back([&] {
            for (uint64_t frame = 0x400; frame < 0x500; ++frame) wrong += !fixture.has_number(frame);
        });
    for (std::thread& thread : threads) thread.join();
    CHECK(wrong == 0);
}

namespace {

// 16 pages of plain memory, a segment with entries of 4 pages: 0x10 to 0x13, 0x14 to 0x17, which do not shrink, 0x18 to 0x1b.
constexpr size_t packed_segment = (1 + 1 + 16) * 4096, first_entry = packed_segment + 52;

std::vector<std::byte> small_packed(size_t at = 0, uint64_t value = 0, size_t size = 0) {
    auto bytes = write_s390(parse_memory("0-13 number\n 14-17 noise\n 18-1b number"),
                            {.extended = true, .zlib = true, .plain_pages = 16, .entry_bytes = 16384})[0];
    for (size_t i = 0; i < size; ++i) bytes[at + i] = static_cast<std::byte>(value >> (size - 1 - i) * 8);
    return bytes;
}

} // namespace

TEST_CASE("s390: a damaged entry costs its own pages and no others") {
    const OpenFixture good(small_packed());
    const auto check = [&](const std::vector<std::byte>& bytes, uint64_t bad, Fault fault) {
        const OpenFixture fixture(bytes);
        for (uint64_t frame = 0; frame < 0x1c; ++frame) {
            CAPTURE(frame);
            if (frame >= bad && frame < bad + 4) CHECK(fixture.fault(frame) == fault);
            else CHECK(fixture.page(frame) == good.page(frame));
        }
    };
    check(small_packed(packed_segment + 4096, 0xffff, 2), 0x10, Fault::damaged);          // no zlib stream
    check(small_packed(packed_segment + 4096 + 100, ~uint64_t{0}, 8), 0x10, Fault::damaged); // one that was changed
    check(small_packed(first_entry, 0x7fffffff, 4), 0x10, Fault::damaged);                // behind its segment
    check(small_packed(first_entry, 1, 4), 0x10, Fault::damaged);                         // what is there does not unpack
    check(small_packed(first_entry + 4, 0xffffffff, 4), 0x14, Fault::damaged);            // plain, behind its segment
    check(small_packed(first_entry + 8, 0, 4), 0x18, Fault::none);                        // another's place: its bytes, as the file says
}

TEST_CASE("s390: a packed dump that was cut gives what it has") {
    const auto whole = small_packed();
    const OpenFixture fixture{std::span(whole).first(packed_segment + 2 * 4096 + 100)};
    CHECK(fixture.info().truncated);
    CHECK(fixture.has_number(0x11));
    CHECK(fixture.fault(0x15) == Fault::truncated);
    CHECK(fixture.fault(0x19) == Fault::truncated);
}

TEST_CASE("s390: packed segments and headers that cannot be are refused with what is wrong") {
    const std::string advice = "convert it with zgetdump, which needs the disk itself and not a copy";
    CHECK(open_error(small_packed(97, 2, 1)) ==
          "FILE: an s390 dump packed with zlib, version 2 of it; kcrash reads version 1; " + advice);
    CHECK(open_error(small_packed(8, 3, 4)) == "FILE: an s390 dump v3 packed with zlib; kcrash reads those of v2; " + advice);
    CHECK(open_error(small_packed(98, 0, 4)) == "FILE: damaged s390 dump header: 0 bytes of memory in a packed entry");
    CHECK(open_error(small_packed(98, 4097, 4)) == "FILE: damaged s390 dump header: 4097 bytes of memory in a packed entry");
    CHECK(open_error(small_packed(98, 0xfffff000, 4)) == "FILE: damaged s390 dump header: 4294963200 bytes of memory in a packed entry");
    for (const uint64_t count : {uint64_t{2}, uint64_t{0}, uint64_t{0xffffffff}})
        CHECK(open_error(small_packed(packed_segment + 48, count, 4)) ==
              fmt::format("FILE: damaged s390 dump: the segment at offset 0x12000 has {} packed entries for 49152 bytes of memory", count));
    const OpenFixture large(small_packed(packed_segment + 24, 0xffffffff, 4)); // its size: the file ends before
    CHECK(large.info().truncated);
    CHECK(large.has_number(0x13));
}

TEST_CASE("VMDUMP: pages, zeroes and the registers of every CPU are read") {
    FixtureMemory memory = parse_memory("0-20 number\n 1005 number\n 3000 number\n 12345 number\n 12346 noise");
    put_vmcoreinfo(memory, 0x1005ff0, "OSRELEASE=6.1.0-zvm\n");
    const OpenFixture fixture(write_vmdump(memory, {.prefixes = {0x10000, 0x20000, 0x30000}}));
    CHECK(fixture.info().format == "VMDUMP");
    CHECK(fixture.info().machine == "s390x");
    CHECK(fixture.info().warnings.empty());
    CHECK(fixture.info().max_frame == 0x12347);
    for (const auto& [frame, page] : memory.pages) CHECK(fixture.page(frame) == page.bytes);
    CHECK(fixture.page(0x21) == std::vector<std::byte>(4096));
    CHECK(fixture.page(0x8000) == std::vector<std::byte>(4096));
    CHECK(fixture.fault(0x12347) == Fault::not_in_dump);
    CHECK(fixture.dump->vmcoreinfo() == "OSRELEASE=6.1.0-zvm\n");
    CHECK_FALSE(fixture.dump->file_offset(PageFrame(0x21)));
    CHECK(fixture.dump->file_offset(PageFrame(1))->value - fixture.dump->file_offset(PageFrame(0))->value == 4096);
    const auto& notes = fixture.dump->notes();
    REQUIRE(notes.size() == 9);
    CHECK(register_of(notes[0], 1) == 0x123456);
    CHECK(register_of(notes[0], 2 + 15) == 115);
    CHECK(register_of(notes[6], 2 + 3) == 303);
    CHECK(load<uint32_t>(notes[8].description.data(), ByteOrder::big) == 0x30000);
}

TEST_CASE("VMDUMP: a cut dump opens with a warning; older forms and damage are refused with what is wrong") {
    const auto good = write_vmdump(parse_memory("0-f number"));
    const OpenFixture cut{std::span(good).first(good.size() - 4096)};
    CHECK(cut.info().truncated);
    CHECK(warning_of(cut, 0) == fmt::format("FILE: truncated: needs {} bytes, has {}", good.size(), good.size() - 4096));
    CHECK(cut.has_number(0xe));
    CHECK(cut.fault(0xf) == Fault::truncated);

    CHECK(open_error(write_vmdump(parse_memory("0 number"), {.format = 0})) ==
          "FILE: is a VMDUMP of an older form (0x0: 31 bit), which kcrash does not read; convert it with vmconvert");
    CHECK(open_error(write_vmdump(parse_memory("0 number"), {.format = 0x82})) ==
          "FILE: is a VMDUMP of an older form (0x82: 64 bit, small), which kcrash does not read; convert it with vmconvert");
    const auto with = [&](size_t at, uint8_t value) {
        auto bytes = good;
        bytes[at] = std::byte{value};
        return open_error(bytes);
    };
    CHECK(with(4096, 0) == "FILE: damaged VMDUMP: record 2 is not the map record");
    CHECK(with(4096 + 19, 0) == "FILE: damaged VMDUMP: a record number is 0");
    CHECK(with(4096 + 19, 7) == "FILE: damaged VMDUMP: record 7 is not the access list");
    CHECK(with(4096 + 8, 0xff) ==
          fmt::format("FILE: needs 4096 bytes at offset 0x{:x}, the file ends at 0x{:x}", 0xff000002ull * 4096, good.size()));
    CHECK(with(8 * 4096 + 72, 0xff) == "FILE: damaged VMDUMP: 18374686479671689216 bytes of storage");
    CHECK(open_error(write_vmdump(parse_memory(""))) == "FILE: damaged VMDUMP: 0 bytes of storage");
    CHECK(open_error(std::span(good).first(9 * 4096)) == "FILE: needs 4096 bytes at offset 0x9000, the file ends at 0x9000");
}
