// SPDX-License-Identifier: GPL-3.0-or-later
// ELF notes.
#include "core/dump/notes.hpp"
#include "tests/fixtures/notes_writer.hpp"
#include <doctest/doctest.h>

using namespace kcrash;
using namespace kcrash::fixtures;

TEST_CASE("notes: names and descriptions are cut out in both byte orders") {
    for (const ByteOrder order : {ByteOrder::little, ByteOrder::big}) {
        std::vector<std::string> warnings;
        const auto notes = parse_notes(
            write_notes({prstatus_note(1), prstatus_note(2, 335), text_note("VMCOREINFO", "A=1\n")}, order), order, warnings);
        REQUIRE(notes.size() == 3);
        CHECK(warnings.empty());
        CHECK(notes[0].name == "CORE");
        CHECK(notes[0].type == note_prstatus);
        CHECK(notes[0].description == std::vector<std::byte>(336, std::byte{1}));
        CHECK(notes[1].description.size() == 335);
        CHECK(vmcoreinfo_text(notes) == "A=1\n");
    }
}

TEST_CASE("notes: zeroes behind the last note end the list quietly") {
    auto area = write_notes({prstatus_note(1)}, ByteOrder::little);
    area.resize(area.size() + 500);
    std::vector<std::string> warnings;
    CHECK(parse_notes(area, ByteOrder::little, warnings).size() == 1);
    CHECK(warnings.empty());
}

TEST_CASE("notes: a note that claims more than there is, is left out with a warning") {
    auto area = write_notes({prstatus_note(1), prstatus_note(2)}, ByteOrder::little);
    const size_t second = area.size() / 2;
    std::vector<std::string> warnings;
    CHECK(parse_notes(std::span(area).first(area.size() - 4), ByteOrder::little, warnings).size() == 1);
    CHECK(warnings == std::vector<std::string>{"notes+0x164: a note needs 341 bytes, 340 left; it is left out"});
    for (const size_t field : {second, second + 4}) {
        auto damaged = area;
        std::fill_n(damaged.begin() + static_cast<std::ptrdiff_t>(field), 4, std::byte{0xff});
        warnings.clear();
        CHECK(parse_notes(damaged, ByteOrder::little, warnings).size() == 1);
        CHECK(warnings.size() == 1);
    }
    warnings.clear();
    CHECK(parse_notes({}, ByteOrder::little, warnings).empty());
    CHECK(warnings.empty());
}

TEST_CASE("notes: the page size of VMCOREINFO is used only when it can be one") {
    CHECK(vmcoreinfo_page_size("PAGESIZE=65536\n") == 65536);
    CHECK(vmcoreinfo_page_size("PAGESIZE=0\n") == 0);
    CHECK(vmcoreinfo_page_size("PAGESIZE=6000\n") == 0);
    CHECK(vmcoreinfo_page_size("OSRELEASE=6.1\n") == 0);
}
