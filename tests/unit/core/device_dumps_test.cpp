// SPDX-License-Identifier: GPL-3.0-or-later
// Device dumps in a dump's notes.
#include "core/dump/device_dumps.hpp"
#include "tests/fixtures/elf_writer.hpp"
#include "tests/fixtures/kdump_writer.hpp"
#include "tests/fixtures/open_fixture.hpp"
#include <doctest/doctest.h>

using namespace kcrash;
using namespace kcrash::fixtures;

static Note device_note(std::string_view name, std::string_view data) {
    std::string text(name);
    text.resize(44);
    text += data;
    const auto bytes = std::as_bytes(std::span(text));
    return {"LINUX", 0x700, {bytes.begin(), bytes.end()}};
}

TEST_CASE("device dumps: each driver's note gives its name and its bytes, from ELF and kdump files") {
    const std::vector<Note> notes{device_note("cxgb4_0000:01:00.4", "registers"),
                                  device_note("", ""),
                                  {"LINUX", 0x700, std::vector<std::byte>(43)},
                                  {"LINUX", 0x304, std::vector<std::byte>(128)},
                                  device_note(std::string(44, 'x'), "y")};
    ElfOptions elf;
    elf.notes = notes;
    KdumpOptions kdump;
    kdump.notes = notes;
    const OpenFixture a(write_elf(parse_memory("0 number"), elf)), b(write_kdump(parse_memory("0 number"), kdump));
    for (const OpenFixture* fixture : {&a, &b}) {
        const auto dumps = device_dumps(*fixture->dump);
        REQUIRE(dumps.size() == 3);
        CHECK(dumps[0].name == "cxgb4_0000:01:00.4");
        CHECK(std::string(reinterpret_cast<const char*>(dumps[0].data.data()), dumps[0].data.size()) == "registers");
        std::vector<std::byte> there(dumps[0].data.size());
        REQUIRE(open_file(fixture->file.path())->try_read(FileOffset(dumps[0].offset), there) == Fault::none);
        CHECK(std::equal(there.begin(), there.end(), dumps[0].data.begin()));
        CHECK(dumps[1].name.empty());
        CHECK(dumps[1].data.empty());
        CHECK(dumps[2].name == std::string(44, 'x'));
        CHECK(dumps[2].data.size() == 1);
    }
}
