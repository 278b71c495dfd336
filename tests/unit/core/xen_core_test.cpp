// SPDX-License-Identifier: GPL-3.0-or-later
// Core dumps of Xen domains.
#include "tests/fixtures/libkdumpfile.hpp"
#include "tests/fixtures/open_fixture.hpp"
#include "tests/fixtures/xen_writer.hpp"
#include <doctest/doctest.h>
#include <fmt/format.h>

using namespace kcrash;
using namespace kcrash::fixtures;

static FixtureMemory domain() { return parse_memory("0-9f number\n 100-103 number\n 110 noise"); }

TEST_CASE("Xen core: an HVM domain is read, in any order of pages and past ballooned ones") {
    for (const bool shuffled : {false, true})
        for (const uint64_t ballooned : {0u, 3u}) {
            const OpenFixture fixture(write_xen(domain(), {.shuffled = shuffled, .ballooned = ballooned}));
            CHECK(fixture.info().format == "Xen core (ELF)");
            CHECK(fixture.info().warnings.empty());
            CHECK(fixture.info().max_frame == 0x111);
            for (const auto& [frame, page] : domain().pages) CHECK(fixture.page(frame) == page.bytes);
            CHECK(fixture.fault(0xa0) == Fault::not_in_dump);
            CHECK(fixture.fault(0x111) == Fault::not_in_dump);
            CHECK(fixture.fault(UINT64_MAX) == Fault::not_in_dump);
            REQUIRE(fixture.dump->memory().size() == 3);
            CHECK(fixture.dump->memory()[1].begin.value == 0x100000);
        }
}

TEST_CASE("Xen core: libkdumpfile reads the same pages of the ELF form") {
    const OpenFixture hvm(write_xen(domain()));
    CHECK(differs_from_libkdumpfile(*hvm.dump, {hvm.file.path()}, 0x120) == "");
}

TEST_CASE("Xen core: a paravirtual domain is read by its own frames, and knows them by the machine's") {
    const OpenFixture fixture(write_xen(domain(), {.paravirtual = true, .shuffled = true, .ballooned = 2}));
    CHECK(fixture.info().warnings.empty());
    CHECK(fixture.info().machine_frames);
    for (const auto& [frame, page] : domain().pages) {
        CHECK(fixture.page(frame) == page.bytes);
        CHECK(fixture.dump->frame_of_machine(PageFrame(frame + 0x5000)) == PageFrame(frame));
    }
    for (const uint64_t other : {uint64_t{0}, uint64_t{0x4fff}, uint64_t{0x50a0}, uint64_t{0x5111}, UINT64_MAX})
        CHECK_FALSE(fixture.dump->frame_of_machine(PageFrame(other)));
    CHECK(OpenFixture(write_xen(domain())).dump->frame_of_machine(PageFrame(7)) == PageFrame(7));
}

TEST_CASE("Xen core: the old form is read, of hosts of each word size") {
    for (const unsigned word : {4u, 8u})
        for (const bool many : {false, true}) { // many: the room that the list has tells the word size
            CAPTURE(word);
            FixtureMemory memory = domain();
            if (many)
                for (uint64_t frame = 0x1000; frame < 0x1800; ++frame) memory.pages[frame] = memory.pages[0];
            const OpenFixture hvm(write_xen(memory, {.old_word = word}));
            CHECK(hvm.info().format == "Xen core (old, HVM)");
            CHECK(hvm.info().warnings.empty());
            for (const auto& [frame, page] : memory.pages) CHECK(hvm.page(frame) == page.bytes);
            const OpenFixture paravirtual(write_xen(memory, {.paravirtual = true, .old_word = word}));
            CHECK(warning_of(paravirtual, 0) == "FILE: an old dump of a paravirtual domain: it knows machine frames only");
            for (const auto& [frame, page] : memory.pages) CHECK(paravirtual.page(frame + 0x5000) == page.bytes);
        }
}

TEST_CASE("Xen core: registers become notes; cr3 of a paravirtual domain is a frame of its own then") {
    const OpenFixture fixture(write_xen(domain(), {.vcpus = 2}));
    const auto& notes = fixture.dump->notes();
    REQUIRE(notes.size() == 5); // Xen's own in front
    const auto word = [](const Note& note, size_t at) { return load<uint64_t>(note.description.data() + at, ByteOrder::little); };
    CHECK(notes[3].name == "CORE");
    CHECK(word(notes[3], 112) == 1000);                               // r15
    CHECK(word(notes[3], 112 + 16 * 8) == 0xffffffff81000001);        // rip
    CHECK(word(notes[3], 112 + 17 * 8) == 0x10);                      // cs
    CHECK(word(notes[3], 112 + 19 * 8) == 0xffffc90000000001);        // rsp
    CHECK(word(notes[3], 112 + 22 * 8) == 0xffff888000000001);        // base of gs
    CHECK(word(notes[2], 8 + 18 * 8 + 10 * 24 + 3 * 8) == 0x2a10000); // cr3
    // 0x2a10 is a frame of the machine that the domain does not have; 0x5008 is the domain's eighth, 0x5009 its ninth.
    CHECK(OpenFixture(write_xen(domain(), {.paravirtual = true, .vcpus = 2})).dump->notes().size() == 3);
    std::vector<CpuWords> states(2);
    states[0].cr3 = 0x5008000;
    states[1].cr3 = 0x5009000;
    const OpenFixture paravirtual(write_xen(domain(), {.paravirtual = true, .states = states}));
    REQUIRE(paravirtual.dump->notes().size() == 4);
    CHECK(word(paravirtual.dump->notes()[2], 8 + 18 * 8 + 10 * 24 + 3 * 8) == 0x8000);
    CHECK(word(paravirtual.dump->notes()[3], 112 + 17 * 8) == 0xe030); // its kernel runs in ring 3; so its own frames have it
}

TEST_CASE("Xen core: cut and damaged dumps open with a warning or are refused with what is wrong") {
    const auto good = write_xen(domain());
    const OpenFixture cut{std::span(good).first(good.size() - 4096)};
    CHECK(cut.info().truncated);
    CHECK(warning_of(cut, 0) == fmt::format("FILE: truncated: needs {} bytes, has {}", good.size(), good.size() - 4096));
    CHECK(cut.has_number(0x103));
    CHECK(cut.fault(0x110) == Fault::truncated);

    const auto with = [&](size_t at, uint64_t value, size_t size) {
        auto bytes = good;
        std::memcpy(bytes.data() + at, &value, size);
        return open_error(bytes);
    };
    const size_t pfn = 64 + 4 * 64, pages = 64 + 5 * 64; // their section headers
    CHECK(with(60, 0, 2) == "FILE: an ELF core file without memory: it has neither program headers nor sections");
    CHECK(with(58, 8, 2) == "FILE: an ELF core file without memory: it has neither program headers nor sections");
    CHECK(with(62, 99, 2) == "FILE: an ELF core file without memory: it has neither program headers nor sections");
    CHECK(with(pages, 0, 4) == "FILE: a Xen core dump without section .xen_pages");
    CHECK(with(pages, 0xffffffff, 4) == "FILE: a Xen core dump without section .xen_pages");
    CHECK(with(pfn, 0, 4) == "FILE: a Xen core dump without section .xen_pfn");
    CHECK(with(pfn + 32, 0, 8) == "FILE: a Xen core dump without a page");
    CHECK(with(pfn + 24, UINT64_MAX - 7, 8) ==
          fmt::format("FILE: truncated: the list of 165 page frames at offset 0xfffffffffffffff8 is beyond the file's {} bytes",
                      good.size()));
    CHECK(with(pfn + 32, UINT64_MAX, 8).starts_with("FILE: truncated: the list of 2305843009213693951 page frames at offset 0x"));
    CHECK(with(40, UINT64_MAX, 8).starts_with("FILE: needs 384 bytes at offset 0xffffffffffffffff, the file ends at "));

    auto old = write_xen(domain(), {.old_word = 8});
    std::memset(old.data() + 4, 0, 4);
    CHECK(open_error(old) == "FILE: damaged Xen core header: 165 pages, 0 vCPUs");
    std::memset(old.data() + 4, 0xff, 8);
    CHECK(open_error(old).starts_with("FILE: "));
}
