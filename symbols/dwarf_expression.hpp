// SPDX-License-Identifier: GPL-3.0-or-later
// DWARF expressions: where a value is, computed from a frame's registers and memory.
#pragma once
#include "symbols/debug_info.hpp"
#include "symbols/dwarf_file.hpp"
#include <functional>
#include <string>
#include <variant>
#include <vector>

namespace kcrash {

// Why an expression has no result: one of the states of VariableValue, and the word for the user.
struct NoValue {
    VariableValue::State state;
    std::string reason;
};
struct AtAddress { uint64_t address; };
struct InRegister { unsigned number; uint64_t value; };
struct Immediate { uint64_t value; };                // computed
struct Bytes { std::vector<std::byte> bytes; };      // implicit, or gathered from pieces

using Location = std::variant<NoValue, AtAddress, InRegister, Immediate, Bytes>;

// What an expression may ask of its surroundings. Looks at all of it.
struct ExpressionContext {
    const DwarfFile& file;
    const FrameContext& frame;
    std::function<Location()> frame_base;                      // of the function, for DW_OP_fbreg
    std::function<Location(unsigned number)> entry_value;      // a register's value when the function was entered
    Dwarf_Attribute* attribute = nullptr;                      // that the operations are of
};

// `size`: bytes of the value. Bounded; never throws for damaged operations.
Location evaluate(const ExpressionContext& context, std::span<const Dwarf_Op> operations, uint64_t size);

std::string register_name(const Architecture& arch, unsigned number); // "RBX"

} // namespace kcrash
