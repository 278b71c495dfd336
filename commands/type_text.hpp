// SPDX-License-Identifier: GPL-3.0-or-later
// Definitions of types as crash prints them: struct, whatis, and a type's name without a verb.
#pragma once
#include "commands/report/report.hpp"
#include "symbols/type.hpp"
#include <optional>
#include <string>
#include <vector>

namespace kcrash {

// One line between the braces of a definition.
struct DefinitionLine {
    unsigned depth = 0;               // of nesting: 0 for the struct's own members
    std::string text;                 // "struct list_head *prev;", "union {", "} key;"
    std::optional<uint64_t> offset;   // bytes from the start of the outer type, where crash shows one
    const TypeMember* member = nullptr; // null: a brace
    bool direct = true;               // reached without going through a named member: `offset` is for it alone
};

// All lines of a struct or union. Anonymous structs are unfolded as gdb does.
std::vector<DefinitionLine> definition_lines(const Type& compound);

struct DefinitionStyle {
    bool offsets = false;                  // [8] before each member
    std::optional<uint64_t> address;       // instead of offsets: addresses, for an object that begins here
    unsigned radix = 10;                   // of offsets and SIZE
};
// "struct list_head {" ... "}" and "SIZE: 16"; enums with their values; typedefs with what they stand for.
void print_definition(Report& report, const Type& type, const DefinitionStyle& style);
// The lines of one member (by path) inside "struct name {" and "}". False: there is no such member.
bool print_member_definition(Report& report, const Type& type, std::string_view path, const DefinitionStyle& style);

// `text` with its braces doubled, to stand in a layout.
std::string literal(std::string_view text);

} // namespace kcrash
