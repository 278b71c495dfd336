// SPDX-License-Identifier: GPL-3.0-or-later
// ELF dumps.
#include "core/memory/physical_memory.hpp"
#include "tests/fixtures/byte_image.hpp"
#include "tests/fixtures/elf_writer.hpp"
#include "tests/fixtures/libkdumpfile.hpp"
#include "tests/fixtures/notes_writer.hpp"
#include "tests/fixtures/open_fixture.hpp"
#include <algorithm>
#include <cstring>
#include <doctest/doctest.h>
#include <fmt/format.h>

using namespace kcrash;
using namespace kcrash::fixtures;

TEST_CASE("elf: pages and notes are read in each class and byte order, and from QEMU's odd headers") {
    for (const bool elf64 : {true, false})
        for (const ByteOrder order : {ByteOrder::little, ByteOrder::big})
            for (const bool like_qemu : {false, true}) {
                ElfOptions options;
                options.elf64 = elf64;
                options.order = order;
                options.like_qemu = like_qemu;
                options.machine = elf64 ? 62 : 3;
                options.notes = {prstatus_note(5)};
                const OpenFixture fixture(write_elf(parse_memory("1-5 number\n 9 number\n 100-110 noise"), options));
                CHECK(fixture.info().format == "ELF");
                CHECK(fixture.info().word_size == (elf64 ? 8 : 4));
                CHECK(fixture.info().order == order);
                CHECK_FALSE(fixture.info().dump_level);
                CHECK_FALSE(fixture.info().partial);
                CHECK(fixture.info().max_frame == 0x111);
                CHECK(fixture.has_number(1));
                CHECK(fixture.has_number(9));
                CHECK(fixture.fault(0) == Fault::not_in_dump);
                CHECK(fixture.fault(6) == Fault::not_in_dump);
                CHECK(fixture.fault(0x110) == Fault::none);
                CHECK(fixture.fault(UINT64_MAX) == Fault::not_in_dump);
                CHECK(fixture.dump->notes().size() == 2);
                CHECK(fixture.dump->vmcoreinfo() == options.vmcoreinfo);
            }
}

TEST_CASE("elf: 70,000 segments in any order are counted through the section header and read") {
    FixtureMemory memory;
    memory.page_size = 4096;
    for (uint64_t frame = 0; frame < 140000; frame += 2) memory.pages[frame].kind = FixturePage::Kind::excluded;
    for (const uint64_t frame : {0, 2, 70000, 139998}) memory.pages[frame] = {FixturePage::Kind::stored, number_page(frame), {}};
    ElfOptions options;
    options.one_segment_per_page = true;
    options.shuffled = true;
    const OpenFixture fixture(write_elf(memory, options));
    for (const uint64_t frame : {0, 2, 70000, 139998}) CHECK(fixture.has_number(frame));
    CHECK(fixture.fault(1) == Fault::not_in_dump);
    CHECK(fixture.fault(4) == Fault::excluded_or_zero);
    CHECK(fixture.dump->memory().size() == 70000);
}

TEST_CASE("elf: what lies beyond p_filesz is excluded or zero, never zeroes") {
    const OpenFixture fixture(write_elf(parse_memory("1-3 number\n 4-8 excluded\n 9 number")));
    CHECK(fixture.info().partial);
    CHECK(fixture.has_number(3));
    CHECK(fixture.fault(4) == Fault::excluded_or_zero);
    CHECK(fixture.fault(8) == Fault::excluded_or_zero);
    CHECK(fixture.has_number(9));
    REQUIRE(fixture.dump->memory().size() == 1);
    CHECK(fixture.dump->memory()[0].begin.value == 0x1000);
    CHECK(fixture.dump->memory()[0].end.value == 0xa000);
}

TEST_CASE("elf: where segments overlap the first wins, and stored bytes win over absent ones") {
    auto bytes = write_elf(parse_memory("10-13 text first\n 20-23 text second\n 30-33 excluded\n 40-43 text third"));
    const auto move_to = [&](uint64_t segment, uint64_t address) {
        std::memcpy(bytes.data() + segment_offset(bytes, segment) + 24, &address, 8);
    };
    move_to(2, 0x12000); // second: 12-15 overlaps first, 10-13
    move_to(4, 0x32000); // third: 32-35 overlaps what is absent, 30-33
    const OpenFixture fixture(bytes);
    const auto starts = [&](uint64_t frame, const char* text) {
        const auto page = fixture.page(frame);
        return !page.empty() && std::memcmp(page.data(), text, std::strlen(text)) == 0;
    };
    CHECK(starts(0x13, "first"));
    CHECK(starts(0x14, "second"));
    CHECK(fixture.fault(0x16) == Fault::not_in_dump);
    CHECK(fixture.fault(0x31) == Fault::excluded_or_zero);
    CHECK(starts(0x32, "third"));
    CHECK(starts(0x35, "third"));
}

TEST_CASE("elf: memory that two segments have with different bytes is told, with the same bytes it is not") {
    auto bytes = write_elf(parse_memory("10-13 text first\n 20-23 text second"));
    const uint64_t address = 0x12000;
    std::memcpy(bytes.data() + segment_offset(bytes, 2) + 24, &address, 8);
    {
        const OpenFixture fixture(bytes);
        CHECK(fixture.info().double_bytes == 0x2000);
        CHECK(warning_of(fixture, 0) == "FILE: program headers overlap, and their bytes differ at physical address 0x12000; the first header's are shown");
    }
    auto same = write_elf(parse_memory("10-13 text first\n 20-23 text first"));
    std::memcpy(same.data() + segment_offset(same, 2) + 24, &address, 8);
    const OpenFixture fixture(same);
    CHECK(fixture.info().double_bytes == 0x2000);
    CHECK(fixture.info().warnings.empty());
}

TEST_CASE("elf: two million program headers are read, if the file has them") {
    auto bytes = write_elf(parse_memory("10-13 number"));
    constexpr uint64_t count = 2'000'000;
    const uint64_t table = bytes.size(), section = table + count * 56;
    std::vector<std::byte> headers(bytes.begin() + 64, bytes.begin() + 64 + 2 * 56); // notes and memory; what follows is PT_NULL
    const uint16_t extended = 0xffff;
    std::memcpy(bytes.data() + 32, &table, 8); // e_phoff
    std::memcpy(bytes.data() + 40, &section, 8);
    std::memcpy(bytes.data() + 56, &extended, 2);
    bytes.resize(section + 64);
    std::memcpy(bytes.data() + section - headers.size(), headers.data(), headers.size());
    const uint32_t n = count;
    std::memcpy(bytes.data() + section + 44, &n, 4); // sh_info
    CHECK(OpenFixture(bytes).has_number(0x13));
    bytes.resize(section - 1);
    CHECK(open_error(bytes).starts_with("FILE: damaged ELF header: the number of program headers is in a section header"));
}

TEST_CASE("elf: of a page of which the dump has only a part that part can be read") {
    auto bytes = write_elf(parse_memory("10-13 number"));
    const uint64_t size = 0x3c00;
    std::memcpy(bytes.data() + segment_offset(bytes, 1) + 32, &size, 8); // p_filesz
    std::memcpy(bytes.data() + segment_offset(bytes, 1) + 40, &size, 8); // p_memsz
    const OpenFixture fixture(bytes);
    CHECK(fixture.has_number(0x12));
    CHECK(fixture.fault(0x13) == Fault::not_in_dump);
    const PhysicalMemory memory(*fixture.dump);
    std::byte found[16];
    CHECK(memory.try_read(PhysicalAddress{0x13bf0}, found) == Fault::none);
    CHECK(std::memcmp(found, number_page(0x13).data() + 0xbf0, sizeof found) == 0);
    CHECK(memory.try_read(PhysicalAddress{0x13bf8}, found) == Fault::not_in_dump);
    CHECK(memory.try_read(PhysicalAddress{0x12ff8}, found) == Fault::none);
}

TEST_CASE("elf: a cut file opens with a warning, and says truncated where the data is gone") {
    const auto bytes = write_elf(parse_memory("0-f number"));
    const OpenFixture fixture{std::span(bytes).first(bytes.size() - 5000)};
    CHECK(fixture.info().truncated);
    CHECK(warning_of(fixture, 0) == fmt::format("FILE: truncated: needs {} bytes, has {}", bytes.size(), bytes.size() - 5000));
    CHECK(fixture.has_number(0xd));
    CHECK(fixture.fault(0xe) == Fault::truncated);
    CHECK(fixture.fault(0xf) == Fault::truncated);
}

TEST_CASE("elf: makedumpfile's mark of an incomplete dump is seen, and lost pages are incomplete") {
    ElfOptions options;
    options.flags = 1;
    const auto bytes = write_elf(parse_memory("0-f number"), options);
    const OpenFixture fixture{std::span(bytes).first(bytes.size() - 5000)};
    CHECK(fixture.info().incomplete);
    CHECK(fixture.has_number(0xd));
    CHECK(fixture.fault(0xf) == Fault::incomplete);
}

TEST_CASE("elf: the page size is VMCOREINFO's, and is never taken from nonsense") {
    ElfOptions options;
    options.machine = 183; // EM_AARCH64
    options.vmcoreinfo = "PAGESIZE=65536\n";
    CHECK(OpenFixture(write_elf(parse_memory("0-3 number", 65536), options)).info().page_size == 65536);
    for (const char* nonsense : {"PAGESIZE=0\n", "PAGESIZE=-4096\n", "PAGESIZE=4097\n", "PAGESIZE=99999999999999999999\n", ""}) {
        options.vmcoreinfo = nonsense;
        const OpenFixture fixture(write_elf(parse_memory("0-3 number"), options));
        CHECK(fixture.info().page_size == 4096);
        CHECK(fixture.info().page_size_assumed);
    }
}

TEST_CASE("elf: notes of segments that overlap count once, whole segments and parts of one") {
    ElfOptions options;
    options.notes = {prstatus_note(5), prstatus_note(6), prstatus_note(7)};
    options.one_segment_per_page = true;
    auto bytes = write_elf(parse_memory("1-4 number"), options);
    const auto word = [&](uint64_t segment, uint64_t at) { return load<uint64_t>(bytes.data() + segment_offset(bytes, segment) + at, ByteOrder::little); };
    const uint64_t at = word(0, 8), size = word(0, 32), one = 12 + 8 + 336; // bytes of a note
    // Segments 2 to 4 of the four become note segments: the same notes, those from the second one on, and half a note.
    const auto make_note = [&](uint64_t segment, uint64_t begin, uint64_t length) {
        const uint32_t type = 4;
        std::memcpy(bytes.data() + segment_offset(bytes, segment), &type, 4);
        std::memcpy(bytes.data() + segment_offset(bytes, segment) + 8, &begin, 8);
        std::memcpy(bytes.data() + segment_offset(bytes, segment) + 32, &length, 8);
    };
    make_note(2, at, size);
    make_note(3, at + one, size - one);
    make_note(4, at + one / 2, size - one / 2);
    const OpenFixture fixture(bytes);
    const auto& notes = fixture.dump->notes();
    CHECK(std::count_if(notes.begin(), notes.end(), [](const Note& note) { return note.name == "CORE" && note.description.size() == 336; }) == 3);
    CHECK(fixture.dump->vmcoreinfo() == options.vmcoreinfo);
    CHECK(warning_of(fixture, fixture.info().warnings.size() - 1) ==
          "FILE: note segments overlap: 7 notes lie in more than one of them and count once");
    CHECK(fixture.has_number(1));
}

TEST_CASE("elf: a note that claims the bytes of the next one hides that, and reads nothing behind its segment") {
    ElfOptions options;
    options.notes = {prstatus_note(5), prstatus_note(6)};
    auto bytes = write_elf(parse_memory("1-4 number"), options);
    const uint64_t at = load<uint64_t>(bytes.data() + segment_offset(bytes, 0) + 8, ByteOrder::little), one = 12 + 8 + 336;
    const auto claim = [&](uint32_t size) { std::memcpy(bytes.data() + at + 4, &size, 4); };
    claim(336 + one);
    const OpenFixture hidden(bytes);
    REQUIRE(hidden.dump->notes().size() == 2);
    CHECK(hidden.dump->notes()[0].description.size() == 336 + one);
    CHECK(hidden.dump->vmcoreinfo() == options.vmcoreinfo);
    claim(100'000);
    const OpenFixture beyond(bytes);
    CHECK(beyond.dump->notes().empty());
    CHECK(beyond.info().warnings.size() == 1);
    claim(336 - 8); // the next one begins inside of this one
    const OpenFixture inside(bytes);
    REQUIRE(inside.dump->notes().size() >= 1);
    CHECK(inside.dump->notes()[0].description.size() == 328);
    CHECK(inside.has_number(1));
}

TEST_CASE("elf: a process's core file and a file without memory are refused") {
    auto bytes = write_elf(parse_memory("1 number\n 5 number"));
    for (const uint64_t segment : {1, 2}) std::memset(bytes.data() + segment_offset(bytes, segment) + 24, 0, 8);
    CHECK(open_error(bytes) ==
          "FILE: is not a kernel dump: its program headers have no physical addresses (the core file of a process?)");
    CHECK(open_error(write_elf(parse_memory(""))) ==
          "FILE: an ELF core file without memory: no PT_LOAD program header has a physical address");
}

TEST_CASE("elf: damaged headers are refused with what is wrong") {
    const auto good = write_elf(parse_memory("1 number"));
    const auto with = [&](uint64_t at, uint64_t value, size_t size) {
        auto bytes = good;
        std::memcpy(bytes.data() + at, &value, size);
        return open_error(bytes);
    };
    CHECK(with(32, UINT64_MAX, 8) ==
          fmt::format("FILE: truncated: the program headers need 112 bytes at offset 0xffffffffffffffff, the file has {}",
                      good.size()));
    CHECK(with(54, 8, 2) == "FILE: damaged ELF header: program headers of 8 bytes, 56 are needed");
    CHECK(with(56, 0xffff, 2) ==
          "FILE: damaged ELF header: the number of program headers is in a section header, which is missing");
    CHECK(open_error(std::span(good).first(30)) == "FILE: needs 64 bytes at offset 0x0, the file ends at 0x1e");

    ElfOptions options;
    options.like_qemu = true;
    auto many = write_elf(parse_memory("1 number"), options);
    std::memset(many.data() + 56, 0xff, 2);      // e_phnum: PN_XNUM
    std::memset(many.data() + 64 + 44, 0xff, 4); // sh_info: 2^32 - 1 program headers
    CHECK(open_error(many).starts_with("FILE: truncated: the program headers need 240518168520 bytes at offset"));
}

TEST_CASE("elf: ranges that wrap are left out with a warning") {
    auto bytes = write_elf(parse_memory("1 number\n 5 number"));
    const uint64_t wrapping = UINT64_MAX - 100;
    std::memcpy(bytes.data() + segment_offset(bytes, 1) + 24, &wrapping, 8);
    const OpenFixture fixture(bytes);
    CHECK(warning_of(fixture, 0) == "FILE: 1 program headers are damaged: their ranges wrap; they are left out");
    CHECK(fixture.has_number(5));
}

TEST_CASE("elf: what makedumpfile -E erased is told, with its own list") {
    ElfOptions options;
    options.notes = {text_note("ERASEINFO", "erase keys size 8 X\n")};
    const OpenFixture fixture(write_elf(parse_memory("0 number"), options));
    CHECK(fixture.dump->erased() == "erase keys size 8 X\n");
    CHECK(warning_of(fixture, 0) == "FILE: makedumpfile erased 1 piece of data: they read as 'X' or zero");
}

TEST_CASE("elf: a netdump's pages are read, one segment from address 0, and what never arrived is truncated") {
    for (const bool elf64 : {false, true}) {
        ElfOptions options;
        options.elf64 = elf64;
        options.machine = elf64 ? 62 : 3;
        options.vmcoreinfo.clear();
        const auto bytes = write_elf(parse_memory("0-1f number"), options);
        const OpenFixture whole(bytes), incomplete{std::span(bytes).first(bytes.size() - 3 * 4096)};
        for (uint64_t frame = 0; frame < 0x20; ++frame) CHECK(whole.has_number(frame));
        CHECK(differs_from_libkdumpfile(*whole.dump, {whole.file.path()}, 0x20) == "");
        CHECK_FALSE(whole.info().truncated);
        CHECK(incomplete.info().truncated);
        CHECK(incomplete.has_number(0x1c));
        CHECK(incomplete.fault(0x1d) == Fault::truncated);
    }
}

TEST_CASE("elf: diskdump's mark of pages left out makes a dump partial") {
    ElfOptions options;
    options.notes = {{"LINUX", 0x70000001, std::vector<std::byte>(8)}};
    CHECK_FALSE(OpenFixture(write_elf(parse_memory("0 number"), options)).info().partial);
    options.notes[0].description[0] = std::byte{1};
    const OpenFixture fixture(write_elf(parse_memory("0 number"), options));
    CHECK(fixture.info().partial);
    CHECK(warning_of(fixture, 0) == "FILE: diskdump left pages out: they read as zeroes, and the file does not tell which");
}

TEST_CASE("elf: a dump of the Xen hypervisor is recognised") {
    for (const Note& note :
         {Note{"Xen", 0x1000001, std::vector<std::byte>(40)}, text_note("VMCOREINFO_XEN", "PAGESIZE=4096\n")}) {
        ElfOptions options;
        options.notes = {note};
        CHECK(warning_of(OpenFixture(write_elf(parse_memory("0 number"), options)), 0) ==
              "FILE: a dump of the Xen hypervisor: addresses are the machine's, and the memory of a domain is not looked for");
    }
}
