// SPDX-License-Identifier: GPL-3.0-or-later
// What a dump's registers and its memory say of the kernel, where its headers do not.
#include "kernel/own_note.hpp"
#include "core/memory/physical_memory.hpp"
#include "tests/fixtures/elf_writer.hpp"
#include "tests/fixtures/kdump_writer.hpp"
#include "tests/fixtures/memory_files.hpp"
#include "tests/fixtures/notes_writer.hpp"
#include "tests/fixtures/open_fixture.hpp"
#include <doctest/doctest.h>
#include <elf.h>

using namespace kcrash;
using namespace kcrash::fixtures;

namespace {

std::string told_by(const std::vector<std::byte>& dump) {
    const OpenFixture fixture(dump);
    const PhysicalMemory memory(*fixture.dump);
    OwnNote own(memory);
    const Architecture* arch = own.architecture();
    return arch ? arch->name : "nothing";
}

// As QEMU writes it for a guest that offers no VMCOREINFO.
KdumpOptions unknown(ByteOrder order, std::vector<Note> notes) {
    KdumpOptions options;
    options.order = order;
    options.machine = "Unknown";
    options.vmcoreinfo = "";
    options.notes = std::move(notes);
    return options;
}

// An NT_PRSTATUS of POWER: 32 general registers from 112 on, then nip and msr.
Note power_note(ByteOrder order, uint64_t msr) {
    ByteImage image(order);
    image.grow(504);
    image.put<uint64_t>(112 + 8, 0xc000000001230000);      // r1
    image.put<uint64_t>(112 + 32 * 8, 0xc000000000100000); // nip
    image.put<uint64_t>(112 + 33 * 8, msr);
    return {"CORE", note_prstatus, image.bytes};
}

} // namespace

TEST_CASE("own note: the size of the registers' notes tells the machine of a kdump that calls it Unknown") {
    const FixtureMemory memory = parse_memory("0-f number");
    const auto told = [&](ByteOrder order, size_t bytes) { return told_by(write_kdump(memory, unknown(order, {prstatus_note(1, bytes), prstatus_note(2, bytes)}))); };
    CHECK(told(ByteOrder::big, 336) == "s390x");
    CHECK(told(ByteOrder::little, 336) == "x86_64");
    CHECK(told(ByteOrder::little, 376) == "riscv64");
    CHECK(told(ByteOrder::little, 392) == "arm64");
    CHECK(told(ByteOrder::little, 480) == "loongarch64");
    CHECK(told(ByteOrder::little, 504) == "ppc64le");
    CHECK(told(ByteOrder::little, 999) == "nothing");
    CHECK(told_by(write_kdump(memory, unknown(ByteOrder::little, {prstatus_note(1, 336), prstatus_note(1, 392)}))) == "nothing");
    CHECK(told_by(write_kdump(memory, unknown(ByteOrder::little, {}))) == "nothing");
}

TEST_CASE("own note: QEMU calls a POWER machine big-endian, and its registers say which order the kernel runs in") {
    constexpr uint64_t little_endian = 0x8000000000001033, big_endian = 0x8000000000001032;
    ElfOptions options;
    options.order = ByteOrder::big;
    options.machine = EM_PPC64;
    options.vmcoreinfo = "";
    const FixtureMemory memory = parse_memory("0-f number");
    options.notes = {power_note(ByteOrder::big, little_endian)};
    CHECK(told_by(write_elf(memory, options)) == "ppc64le");
    options.notes = {power_note(ByteOrder::big, big_endian)};
    CHECK(told_by(write_elf(memory, options)) == "nothing");
}

TEST_CASE("own note: where registers do not tell, the note in memory does; it is looked for once") {
    FixtureMemory memory = parse_memory("0-f number\n 20 zero");
    memory.pages[0x20].bytes = note_page("OSRELEASE=6.6.0-own\nPAGESIZE=4096\nNUMBER(phys_ram_base)=0x80000000\n");
    const OpenFixture fixture(write_kdump(memory, unknown(ByteOrder::little, {})));
    const PhysicalMemory physical(*fixture.dump);
    OwnNote own(physical);
    REQUIRE(own.architecture());
    CHECK(std::string_view(own.architecture()->name) == "riscv64");
    CHECK(own.pointed_at(*own.architecture()).empty());
    CHECK(own.searched().value("OSRELEASE") == "6.6.0-own");
    CHECK_FALSE(own.cut());
}

TEST_CASE("own note: memory is looked through from its likely places on, and no further than is allowed") {
    // Four windows of a megabyte each; the note is in the last one.
    FixtureMemory memory = parse_memory("0-2ff number\n 300 zero\n 301-3ff number");
    memory.pages[0x300].bytes = note_page();
    const OpenFixture fixture(write_kdump(memory, unknown(ByteOrder::little, {})));
    constexpr uint64_t mib = uint64_t{1} << 20;
    NoteSearch two{.most = 2 * mib}, four{.most = 4 * mib}, all;
    CHECK_FALSE(find_memory_note(*fixture.dump, two));
    CHECK(two.cut);
    // A quarter of what is allowed goes to each likely place; the last is the end of memory.
    CHECK(find_memory_note(*fixture.dump, four));
    CHECK(find_memory_note(*fixture.dump, all));
    CHECK_FALSE(all.cut);
    FixtureMemory without = memory;
    without.pages[0x300].bytes = number_page(0x300);
    NoteSearch whole{.most = 5 * mib};
    CHECK_FALSE(find_memory_note(*OpenFixture(write_kdump(without, unknown(ByteOrder::little, {}))).dump, whole));
    CHECK_FALSE(whole.cut);
}

TEST_CASE("own note: a note that lies over the border of a likely place is found") {
    constexpr uint64_t mib = uint64_t{1} << 20;
    FixtureMemory memory = parse_memory("0-3ff number");
    // Its header is in the last bytes of the first megabyte: an old kernel's note is not at the beginning of a page.
    const auto note = note_page(fixture_vmcoreinfo, 4096 - 24);
    auto& pages = memory.pages;
    pages[0xff].bytes.assign(note.begin(), note.begin() + 4096);
    std::copy(note.begin() + 4096, note.end(), pages[0x100].bytes.begin());
    NoteSearch search{.most = 4 * mib};
    CHECK(find_memory_note(*OpenFixture(write_kdump(memory, unknown(ByteOrder::little, {}))).dump, search));
}
