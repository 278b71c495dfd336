// SPDX-License-Identifier: GPL-3.0-or-later
// Types as entries of DWARF, and the C declarations that they stand for.
#include "tests/fixtures/dwarf.hpp"
#include <doctest/doctest.h>
#include <fmt/format.h>

using namespace kcrash;
using namespace kcrash::fixtures;

namespace {

struct Fixture {
    DwarfWriter writer;
    std::unique_ptr<OpenDwarf> open;
    Fixture() {
        Entry unit{DW_TAG_compile_unit};
        unit.add({DW_TAG_base_type, {{DW_AT_name, "int"}, {DW_AT_byte_size, 4}, {DW_AT_encoding, DW_ATE_signed}}, "int"});
        unit.add({DW_TAG_base_type, {{DW_AT_name, "long unsigned int"}, {DW_AT_byte_size, 8}, {DW_AT_encoding, DW_ATE_unsigned}}, "ulong"});
        unit.add({DW_TAG_base_type, {{DW_AT_name, "char"}, {DW_AT_byte_size, 1}, {DW_AT_encoding, DW_ATE_signed_char}}, "char"});
        unit.add({DW_TAG_base_type, {{DW_AT_name, "_Bool"}, {DW_AT_byte_size, 1}, {DW_AT_encoding, DW_ATE_boolean}}, "bool"});
        unit.add({DW_TAG_const_type, {{DW_AT_type, Ref{"char"}}}, "const char"});
        unit.add({DW_TAG_pointer_type, {{DW_AT_byte_size, 8}, {DW_AT_type, Ref{"const char"}}}, "string"});
        unit.add({DW_TAG_pointer_type, {{DW_AT_byte_size, 8}, {DW_AT_type, Ref{"node"}}}, "to node"});
        unit.add({DW_TAG_typedef, {{DW_AT_name, "count_t"}, {DW_AT_type, Ref{"ulong"}}}, "count_t"});
        Entry& array = unit.add({DW_TAG_array_type, {{DW_AT_type, Ref{"int"}}}, "array"});
        array.add({DW_TAG_subrange_type, {{DW_AT_upper_bound, 1}}});
        array.add({DW_TAG_subrange_type, {{DW_AT_count, 3}}});
        Entry& open_array = unit.add({DW_TAG_array_type, {{DW_AT_type, Ref{"char"}}}, "flexible"});
        open_array.add({DW_TAG_subrange_type});
        Entry& function = unit.add({DW_TAG_subroutine_type, {{DW_AT_type, Ref{"int"}}, {DW_AT_prototyped, Flag{}}}, "function"});
        function.add({DW_TAG_formal_parameter, {{DW_AT_type, Ref{"to node"}}}});
        function.add({DW_TAG_unspecified_parameters});
        unit.add({DW_TAG_pointer_type, {{DW_AT_byte_size, 8}, {DW_AT_type, Ref{"function"}}}, "to function"});
        Entry& colour = unit.add({DW_TAG_enumeration_type, {{DW_AT_name, "colour"}, {DW_AT_byte_size, 4}, {DW_AT_encoding, DW_ATE_signed}}, "colour"});
        colour.add({DW_TAG_enumerator, {{DW_AT_name, "RED"}, {DW_AT_const_value, 0}}});
        colour.add({DW_TAG_enumerator, {{DW_AT_name, "GREEN"}, {DW_AT_const_value, 5}}});
        Entry& anonymous = unit.add({DW_TAG_union_type, {{DW_AT_byte_size, 8}}, "anonymous"});
        anonymous.add({DW_TAG_member, {{DW_AT_name, "word"}, {DW_AT_type, Ref{"ulong"}}}});
        anonymous.add({DW_TAG_member, {{DW_AT_name, "next"}, {DW_AT_type, Ref{"to node"}}}});
        Entry& node = unit.add({DW_TAG_structure_type, {{DW_AT_name, "node"}, {DW_AT_byte_size, 72}}, "node"});
        const auto member = [&](const char* name, const char* type, uint64_t offset) -> Entry& {
            return node.add({DW_TAG_member, {{DW_AT_name, name}, {DW_AT_type, Ref{type}}, {DW_AT_data_member_location, offset}}});
        };
        member("name", "string", 0);
        member("count", "count_t", 8);
        node.add({DW_TAG_member, {{DW_AT_type, Ref{"anonymous"}}, {DW_AT_data_member_location, 16}}});
        node.add({DW_TAG_member, {{DW_AT_name, "low"}, {DW_AT_type, Ref{"int"}}, {DW_AT_bit_size, 3}, {DW_AT_data_bit_offset, 192}}});
        node.add({DW_TAG_member, {{DW_AT_name, "high"}, {DW_AT_type, Ref{"int"}}, {DW_AT_bit_size, 5}, {DW_AT_data_bit_offset, 195}}});
        member("table", "array", 28);
        member("call", "to function", 56);
        member("of", "colour", 64);
        member("ready", "bool", 68);
        member("tail", "flexible", 69);
        unit.add({DW_TAG_structure_type, {{DW_AT_name, "unknown"}, {DW_AT_declaration, Flag{}}}, "unknown"});
        unit.add({DW_TAG_pointer_type, {{DW_AT_byte_size, 8}, {DW_AT_type, Ref{"unknown"}}}, "to unknown"});
        unit.add({DW_TAG_variable, {{DW_AT_name, "nodes"}, {DW_AT_type, Ref{"node"}}, {DW_AT_external, Flag{}}}});
        unit.add({DW_TAG_variable, {{DW_AT_name, "hidden"}, {DW_AT_type, Ref{"to unknown"}}}});
        Entry& walk = unit.add({DW_TAG_subprogram, {{DW_AT_name, "walk"}, {DW_AT_type, Ref{"int"}}, {DW_AT_prototyped, Flag{}}}});
        walk.add({DW_TAG_formal_parameter, {{DW_AT_name, "from"}, {DW_AT_type, Ref{"to node"}}}});
        writer.unit(unit);
        open = std::make_unique<OpenDwarf>(writer);
    }
    const TypeSource& types() const {
        kept = open->info->types();
        return *kept;
    }
    mutable std::shared_ptr<const TypeSource> kept;
};

} // namespace

TEST_CASE_FIXTURE(Fixture, "dwarf types: the members of a struct, declared as in C") {
    const Type* node = types().find(TypeKind::structure, "node");
    REQUIRE(node);
    CHECK(node->size == 72);
    std::string text;
    for (const TypeMember& m : node->members)
        text += fmt::format("{}{} {}\n", m.bit_size ? fmt::format("{}.{}", m.bit_offset / 8, m.bit_offset % 8) : fmt::format("{}", m.offset()),
                            m.bit_size ? fmt::format(":{}", m.bit_size) : "", m.name.empty() ? "-" : declare(m.type, m.name));
    CHECK(text == "0 const char *name\n8 count_t count\n16 -\n24.0:3 int low\n24.3:5 int high\n28 int table[2][3]\n"
                  "56 int (*call)(struct node *, ...)\n64 enum colour of\n68 _Bool ready\n69 char tail[]\n");
    CHECK(find_member(node, "word")->bit_offset == 128);
    CHECK(find_member(node, "table[1][2]")->bit_offset == (28 + 5 * 4) * 8);
}

TEST_CASE_FIXTURE(Fixture, "dwarf types: kinds, sizes and signs") {
    const Type* count = types().find(TypeKind::typedef_type, "count_t");
    REQUIRE(count);
    CHECK(strip(count)->kind == TypeKind::integer);
    CHECK(strip(count)->name == "unsigned long");
    CHECK_FALSE(strip(count)->is_signed);
    CHECK(types().find(TypeKind::integer, "int")->is_signed);
    CHECK(types().find(TypeKind::integer, "char")->is_char);
    const Type* colour = types().find(TypeKind::enumeration, "colour");
    REQUIRE(colour);
    REQUIRE(colour->enumerators.size() == 2);
    CHECK(colour->enumerators[1].name == "GREEN");
    CHECK(types().enumerator("GREEN") == 5);
    CHECK(types().enumerator("BLUE") == std::nullopt);
    CHECK(types().find(TypeKind::structure, "unknown") == nullptr);
}

TEST_CASE_FIXTURE(Fixture, "dwarf types: of variables and functions") {
    CHECK(type_name(types().of_variable("nodes")) == "struct node");
    CHECK(type_name(types().of_variable("hidden")) == "struct unknown *");
    CHECK(declare(types().of_function("walk"), "walk") == "int walk(struct node *)");
    CHECK(types().of_variable("walk") == nullptr);
}

TEST_CASE("dwarf types: members of DWARF 2, whose places are expressions and whose bit-fields count from the top") {
    DwarfWriter writer;
    Entry unit{DW_TAG_compile_unit};
    unit.add({DW_TAG_base_type, {{DW_AT_name, "int"}, {DW_AT_byte_size, 4}, {DW_AT_encoding, DW_ATE_signed}}, "int"});
    Entry& old = unit.add({DW_TAG_structure_type, {{DW_AT_name, "old"}, {DW_AT_byte_size, 208}}});
    const auto member = [&](const char* name, std::vector<uint8_t> expression) -> Entry& {
        return old.add({DW_TAG_member, {{DW_AT_name, name}, {DW_AT_type, Ref{"int"}}, {DW_AT_data_member_location, Expression{std::move(expression)}}}});
    };
    member("first", {DW_OP_plus_uconst, 0});
    member("far", {DW_OP_plus_uconst, 0xc8, 1}); // 200
    Entry& field = member("field", {DW_OP_plus_uconst, 0xcc, 1});
    for (const auto& [attribute, value] : {std::pair(DW_AT_byte_size, 4), std::pair(DW_AT_bit_size, 3), std::pair(DW_AT_bit_offset, 24)})
        field.attributes.emplace_back(attribute, value);
    writer.unit(unit);
    const OpenDwarf open(writer);
    const auto types = open.info->types();
    const Type* type = types->find(TypeKind::structure, "old");
    REQUIRE(type);
    REQUIRE(type->members.size() == 3);
    CHECK(type->members[0].bit_offset == 0);
    CHECK(type->members[1].bit_offset == 200 * 8);
    CHECK(type->members[2].bit_offset == 204 * 8 + 32 - 24 - 3);
    CHECK(type->members[2].bit_size == 3);
}

TEST_CASE("dwarf types: a typedef of itself and an array of itself end") {
    DwarfWriter writer;
    Entry unit{DW_TAG_compile_unit};
    unit.add({DW_TAG_typedef, {{DW_AT_name, "loop"}, {DW_AT_type, Ref{"loop"}}}, "loop"});
    Entry& array = unit.add({DW_TAG_array_type, {{DW_AT_type, Ref{"array"}}}, "array"});
    array.add({DW_TAG_subrange_type, {{DW_AT_count, 4}}});
    unit.add({DW_TAG_variable, {{DW_AT_name, "a"}, {DW_AT_type, Ref{"loop"}}}});
    unit.add({DW_TAG_variable, {{DW_AT_name, "b"}, {DW_AT_type, Ref{"array"}}}});
    writer.unit(unit);
    const OpenDwarf open(writer);
    const auto types = open.info->types();
    for (const char* name : {"a", "b"})
        if (const Type* type = types->of_variable(name)) CHECK_FALSE(type_name(type).empty());
}
