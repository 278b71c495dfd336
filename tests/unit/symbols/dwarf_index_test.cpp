// SPDX-License-Identifier: GPL-3.0-or-later
// The letters are those of dwarf_index.hpp; the entries are written as the DWARF specification has them.
#include "symbols/dwarf_index.hpp"
#include "symbols/symbol_image.hpp"
#include "tests/fixtures/dwarf.hpp"
#include "tests/fixtures/open_fixture.hpp"
#include <algorithm>
#include <doctest/doctest.h>
#include <fmt/format.h>

using namespace kcrash;
using namespace kcrash::fixtures;

namespace {

// "V jiffies" for each name, in the order of the alphabet.
std::string names(DwarfWriter& writer, bool with_types) {
    const TemporaryFile file(writer.write());
    const auto elf = ElfFile::open(file.path());
    const auto section = [&](std::string_view name) {
        const ElfSection* found = elf->section(name);
        return found ? elf->data(*found) : std::span<const std::byte>{};
    };
    const auto table = open_symbol_image(own_bytes(index_dwarf(*elf, with_types, section)), 0, "test");
    std::vector<std::string> found;
    for (size_t i = 0; i < table->size(); ++i) found.push_back(fmt::format("{} {}", table->at(i).type, table->at(i).name));
    std::sort(found.begin(), found.end());
    return fmt::format("{}", fmt::join(found, ", "));
}

Entry some_unit() {
    Entry unit{DW_TAG_compile_unit};
    unit.add({DW_TAG_variable, {{DW_AT_name, "global"}, {DW_AT_external, Flag{}}}});
    unit.add({DW_TAG_variable, {{DW_AT_name, "local"}}});
    unit.add({DW_TAG_variable, {{DW_AT_name, "declared"}, {DW_AT_external, Flag{}}, {DW_AT_declaration, Flag{}}}, "declared"});
    unit.add({DW_TAG_variable, {{DW_AT_name, "header"}, {DW_AT_external, Flag{}}, {DW_AT_declaration, Flag{}}}, "header"});
    unit.add({DW_TAG_variable, {{DW_AT_specification, Ref{"header"}}}});
    Entry& function = unit.add({DW_TAG_subprogram, {{DW_AT_name, "start_kernel"}, {DW_AT_external, Flag{}}}});
    function.add({DW_TAG_variable, {{DW_AT_name, "inside"}}}); // not outermost: not a name of the file
    unit.add({DW_TAG_subprogram, {{DW_AT_name, "helper"}}});
    unit.add({DW_TAG_subprogram, {{DW_AT_name, "elsewhere"}, {DW_AT_declaration, Flag{}}}});
    Entry& structure = unit.add({DW_TAG_structure_type, {{DW_AT_name, "list_head"}, {DW_AT_byte_size, 16}}});
    structure.add({DW_TAG_member, {{DW_AT_name, "next"}}});
    unit.add({DW_TAG_structure_type, {{DW_AT_name, "unknown"}, {DW_AT_declaration, Flag{}}}});
    Entry& colour = unit.add({DW_TAG_enumeration_type, {{DW_AT_name, "colour"}}});
    colour.add({DW_TAG_enumerator, {{DW_AT_name, "RED"}, {DW_AT_const_value, 0}}});
    colour.add({DW_TAG_enumerator, {{DW_AT_name, "GREEN"}, {DW_AT_const_value, 1}}});
    unit.add({DW_TAG_union_type, {{DW_AT_name, "either"}}});
    unit.add({DW_TAG_typedef, {{DW_AT_name, "u8"}}});
    unit.add({DW_TAG_base_type, {{DW_AT_name, "int"}}});
    return unit;
}

} // namespace

TEST_CASE("dwarf index: variables and functions of both versions, whether they are external, local or only declared") {
    for (const unsigned version : {4u, 5u}) {
        DwarfWriter writer;
        writer.version = version;
        writer.unit(some_unit());
        CHECK(names(writer, false) == "D declared, D header, F start_kernel, G elsewhere, V global, V header, f helper, v local");
    }
}

TEST_CASE("dwarf index: with types the tags, typedefs and enumerators of all units, each once") {
    DwarfWriter writer;
    writer.unit(some_unit());
    writer.unit(some_unit());
    CHECK(names(writer, true) == "D declared, D header, F start_kernel, G elsewhere, V global, V header, b int, c GREEN, c RED, e colour, f helper, "
                                 "s list_head, t u8, u either, v local, v local");
}

TEST_CASE("dwarf index: it tells how far it has come, up to the last unit") {
    DwarfWriter writer;
    for (int i = 0; i < 3; ++i) writer.unit(some_unit());
    const TemporaryFile file(writer.write());
    const auto elf = ElfFile::open(file.path());
    std::vector<uint64_t> seen;
    std::string what;
    const auto section = [&](std::string_view name) { return elf->section(name) ? elf->data(*elf->section(name)) : std::span<const std::byte>{}; };
    index_dwarf(*elf, false, section, [&](std::string_view told) -> ProgressStep {
        what = told;
        return [&](uint64_t done, uint64_t total) {
            CHECK(total == elf->section(".debug_info")->size);
            seen.push_back(done);
        };
    });
    CHECK(what.starts_with("names of "));
    REQUIRE(seen.size() == 3);
    CHECK(seen[0] == 0);
    CHECK(seen[1] * 2 == seen[2]);
}

TEST_CASE("dwarf index: damage is refused with its place") {
    const auto error = [](auto change) {
        DwarfWriter writer;
        Entry unit{DW_TAG_compile_unit};
        unit.add({DW_TAG_variable, {{DW_AT_name, "x"}}});
        writer.unit(unit);
        const auto make = [&](std::string_view name) -> std::vector<std::byte> {
            const TemporaryFile file(writer.write());
            const auto elf = ElfFile::open(file.path());
            const auto bytes = elf->data(*elf->section(name));
            return {bytes.begin(), bytes.end()};
        };
        auto info = make(".debug_info"), abbreviations = make(".debug_abbrev");
        change(info, abbreviations);
        ObjectWriter object;
        object.add(".debug_info", 0, 0, info);
        object.add(".debug_abbrev", 0, 0, abbreviations);
        const TemporaryFile file(object.write());
        const auto elf = ElfFile::open(file.path());
        const auto section = [&](std::string_view name) { return elf->section(name) ? elf->data(*elf->section(name)) : std::span<const std::byte>{}; };
        return error_of([&] { index_dwarf(*elf, false, section); });
    };
    using Bytes = std::vector<std::byte>;
    CHECK(error([](Bytes&, Bytes&) {}) == "no error");
    CHECK(error([](Bytes& info, Bytes&) { info[0] = std::byte{0xff}; }) == ".debug_info+0x0: a unit of 0xff bytes, 0x11 left");
    CHECK(error([](Bytes& info, Bytes&) { info[13] = std::byte{9}; }) == ".debug_info+0xd: an entry of unknown abbreviation 9");
    CHECK(error([](Bytes&, Bytes& abbreviations) { abbreviations[9] = std::byte{0x7f}; }).find("an attribute of unknown form 0x7f") != std::string::npos);
    CHECK(error([](Bytes&, Bytes& abbreviations) { abbreviations.resize(4); }) != "no error");
}
