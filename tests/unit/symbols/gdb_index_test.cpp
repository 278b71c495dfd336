// SPDX-License-Identifier: GPL-3.0-or-later
// What is written is read back by the format's description in GDB's manual; tests/gdb/index.py compares with what GDB writes.
#include "symbols/gdb_index.hpp"
#include "core/bytes.hpp"
#include "tests/fixtures/dwarf.hpp"
#include "tests/fixtures/open_fixture.hpp"
#include <algorithm>
#include <doctest/doctest.h>
#include <fmt/format.h>
#include <set>

using namespace kcrash;
using namespace kcrash::fixtures;

namespace {

struct Reader {
    std::vector<std::byte> bytes;
    uint32_t u32(uint64_t at) const { return load<uint32_t>(bytes.data() + at, ByteOrder::little); }
    uint64_t u64(uint64_t at) const { return load<uint64_t>(bytes.data() + at, ByteOrder::little); }
    uint32_t units() const { return u32(4); }
    uint32_t addresses() const { return u32(12); }
    uint32_t names() const { return u32(16); }
    uint32_t pool() const { return u32(20); }

    // "function in 0 1, static type in 0" of a name.
    std::string what(std::string_view name) const {
        for (uint64_t at = names(); at < pool(); at += 8) {
            if (u32(at) == 0 && u32(at + 4) == 0) continue;
            if (name != reinterpret_cast<const char*>(bytes.data() + pool() + u32(at))) continue;
            const uint64_t set = pool() + u32(at + 4);
            std::string text;
            for (uint32_t n = 0, last = 0; n < u32(set); ++n) {
                static constexpr std::string_view kinds[] = {"none", "type", "variable", "function"};
                const uint32_t value = u32(set + 4 + 4 * n), attributes = value >> 24;
                if (n == 0 || attributes != last) text += fmt::format("{}{}{} in", n ? ", " : "", attributes & 0x80 ? "static " : "", kinds[attributes >> 4 & 3]);
                text += fmt::format(" {}", value & 0xffffff);
                last = attributes;
            }
            return text;
        }
        return "nothing";
    }
};

Entry unit_with(unsigned begin, unsigned language = DW_LANG_C11) {
    Entry unit{DW_TAG_compile_unit, {{DW_AT_language, language}, {DW_AT_low_pc, Address{begin}}, {DW_AT_high_pc, 0x100}}};
    unit.add({DW_TAG_structure_type, {{DW_AT_name, "page"}, {DW_AT_byte_size, 64}, {DW_AT_decl_line, 70}}});
    unit.add({DW_TAG_subprogram, {{DW_AT_name, "get_page"}, {DW_AT_decl_line, 8}}});
    return unit;
}

Reader index_of(DwarfWriter& writer) {
    const OpenDwarf opened(writer);
    return {make_gdb_index(*opened.dwarf)};
}

} // namespace

TEST_CASE("gdb index: units, their code, and what each name is") {
    DwarfWriter writer;
    Entry first = unit_with(0x1000), second = unit_with(0x2000);
    first.add({DW_TAG_variable, {{DW_AT_name, "jiffies"}, {DW_AT_external, Flag{}}}});
    first.add({DW_TAG_variable, {{DW_AT_name, "state"}, {DW_AT_const_value, 1}}});
    first.add({DW_TAG_subprogram, {{DW_AT_name, "schedule"}, {DW_AT_external, Flag{}}}});
    second.add({DW_TAG_variable, {{DW_AT_name, "state"}, {DW_AT_const_value, 1}}});
    second.add({DW_TAG_variable, {{DW_AT_name, "optimized_out"}}});
    for (Entry* unit : {&first, &second})
        unit->add({DW_TAG_variable, {{DW_AT_name, "of_the_linker"}, {DW_AT_external, Flag{}}, {DW_AT_declaration, Flag{}}}});
    second.add({DW_TAG_variable, {{DW_AT_name, "jiffies"}, {DW_AT_external, Flag{}}, {DW_AT_declaration, Flag{}}}});
    second.add({DW_TAG_subprogram, {{DW_AT_name, "elsewhere"}, {DW_AT_declaration, Flag{}}}});
    Entry& colour = second.add({DW_TAG_enumeration_type, {{DW_AT_name, "colour"}, {DW_AT_byte_size, 4}, {DW_AT_decl_line, 3}}});
    colour.add({DW_TAG_enumerator, {{DW_AT_name, "RED"}, {DW_AT_const_value, 0}}});
    writer.unit(first);
    writer.unit(second);
    const Reader index = index_of(writer);
    REQUIRE(!index.bytes.empty());
    CHECK(index.u32(0) == 8);
    CHECK(index.units() == 24);
    CHECK(index.u32(8) == 24 + 2 * 16);
    CHECK(index.u32(8) == index.addresses());
    CHECK(index.u64(24) == 0);
    CHECK(index.u64(24 + 16) == index.u64(32)); // the second begins where the first ends
    REQUIRE(index.names() - index.addresses() == 2 * 20);
    CHECK(index.u64(index.addresses()) == 0x1000);
    CHECK(index.u64(index.addresses() + 8) == 0x1100);
    CHECK(index.u32(index.addresses() + 36) == 1);
    CHECK(index.what("jiffies") == "variable in 0");
    CHECK(index.what("state") == "static variable in 0 1");
    CHECK(index.what("schedule") == "function in 0");
    CHECK(index.what("get_page") == "static function in 0 1");
    CHECK(index.what("RED") == "static variable in 1");
    CHECK(index.what("colour") == "static type in 1");
    CHECK(index.what("elsewhere") == "nothing");
    CHECK(index.what("optimized_out") == "nothing");
    CHECK(index.what("of_the_linker") == "variable in 0");
}

TEST_CASE("gdb index: a type stands once for each definition that differs") {
    DwarfWriter writer;
    Entry third{DW_TAG_compile_unit, {{DW_AT_language, DW_LANG_C11}}};
    third.add({DW_TAG_structure_type, {{DW_AT_name, "page"}, {DW_AT_byte_size, 56}, {DW_AT_decl_line, 70}}});
    Entry fourth{DW_TAG_compile_unit, {{DW_AT_language, DW_LANG_C11}}};
    fourth.add({DW_TAG_structure_type, {{DW_AT_name, "page"}, {DW_AT_byte_size, 64}, {DW_AT_decl_line, 71}}});
    Entry fifth{DW_TAG_compile_unit, {{DW_AT_language, DW_LANG_C11}}};
    fifth.add({DW_TAG_typedef, {{DW_AT_name, "page"}, {DW_AT_decl_line, 70}}});
    for (const Entry& unit : {unit_with(0x1000), unit_with(0x2000), third, fourth, fifth}) writer.unit(unit);
    CHECK(index_of(writer).what("page") == "static type in 0 2 3 4");
}

TEST_CASE("gdb index: enums of one name, size and line keep their own enumerators") {
    DwarfWriter writer;
    for (const char* name : {"lm75", "adm1021"}) {
        Entry unit{DW_TAG_compile_unit, {{DW_AT_language, DW_LANG_C11}}};
        Entry& chips = unit.add({DW_TAG_enumeration_type, {{DW_AT_name, "chips"}, {DW_AT_byte_size, 4}, {DW_AT_decl_line, 20}}});
        chips.add({DW_TAG_enumerator, {{DW_AT_name, name}, {DW_AT_const_value, 0}}});
        writer.unit(unit);
    }
    const Reader index = index_of(writer);
    CHECK(index.what("lm75") == "static variable in 0");
    CHECK(index.what("adm1021") == "static variable in 1");
}

TEST_CASE("gdb index: none where units include parts of others") {
    DwarfWriter writer;
    Entry unit = unit_with(0x1000);
    unit.add({DW_TAG_imported_unit, {}});
    writer.unit(unit);
    CHECK(index_of(writer).bytes.empty());
}

TEST_CASE("gdb index: none for other languages than C, whose names are nested") {
    for (const unsigned language : {unsigned{DW_LANG_Rust}, unsigned{DW_LANG_C_plus_plus}}) {
        DwarfWriter writer;
        writer.unit(unit_with(0x1000));
        writer.unit(unit_with(0x2000, language));
        CHECK(index_of(writer).bytes.empty());
    }
    DwarfWriter assembler;
    assembler.unit(unit_with(0x1000, DW_LANG_Mips_Assembler));
    CHECK(!index_of(assembler).bytes.empty());
}
