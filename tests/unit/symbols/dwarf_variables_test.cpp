// SPDX-License-Identifier: GPL-3.0-or-later
// Arguments and locals of a frame, and what its caller passed. Code: caller() at 0xffffffff81000000, callee() 0x100 above it.
#include "tests/fixtures/dwarf.hpp"
#include <doctest/doctest.h>
#include <fmt/format.h>

using namespace kcrash;
using namespace kcrash::fixtures;

namespace {

constexpr uint64_t text = 0xffffffff81000000;

Expression of(std::initializer_list<unsigned> bytes) {
    Expression expression;
    for (const unsigned byte : bytes) expression.bytes.push_back(static_cast<uint8_t>(byte));
    return expression;
}

// A parameter of the call: the register, and the expression of its value.
Entry passes(unsigned reg, Expression value) {
    return {DW_TAG_call_site_parameter, {{DW_AT_location, of({DW_OP_reg0 + reg})}, {DW_AT_call_value, std::move(value)}}};
}

struct Fixture {
    DwarfWriter writer;
    std::unique_ptr<OpenDwarf> open;
    Registers caller_registers, callee_registers;
    FrameContext caller, callee;
    std::optional<CallSite> call;
    Fixture() {
        Entry unit{DW_TAG_compile_unit, {{DW_AT_low_pc, Address{text}}, {DW_AT_high_pc, 0x200}}};
        unit.add({DW_TAG_base_type, {{DW_AT_name, "int"}, {DW_AT_byte_size, 4}, {DW_AT_encoding, DW_ATE_signed}}, "int"});
        Entry& makes = unit.add({DW_TAG_subprogram, {{DW_AT_name, "caller"}, {DW_AT_low_pc, Address{text}}, {DW_AT_high_pc, 0x100}}});
        Entry& site = makes.add({DW_TAG_call_site, {{DW_AT_call_return_pc, Address{text + 0x20}}, {DW_AT_call_origin, Ref{"callee"}}}});
        site.add(passes(5, of({DW_OP_lit7})));        // rdi: a constant
        site.add(passes(4, of({DW_OP_breg3, 1})));    // rsi: rbx + 1
        site.add(passes(1, of({DW_OP_breg2, 0})));    // rdx: rcx, which nobody saved
        Entry& other = makes.add({DW_TAG_call_site, {{DW_AT_call_return_pc, Address{text + 0x40}}, {DW_AT_call_target, of({DW_OP_addr, 0, 1, 0, 0x81, 0xff, 0xff, 0xff, 0xff})}}});
        other.add(passes(5, of({DW_OP_lit9})));
        Entry& called = unit.add({DW_TAG_subprogram, {{DW_AT_name, "callee"}, {DW_AT_low_pc, Address{text + 0x100}}, {DW_AT_high_pc, 0x100}}, "callee"});
        const auto variable = [&](unsigned tag, const char* name, Expression where) {
            called.add({tag, {{DW_AT_name, name}, {DW_AT_type, Ref{"int"}}, {DW_AT_location, std::move(where)}}});
        };
        variable(DW_TAG_formal_parameter, "first", of({DW_OP_entry_value, 1, DW_OP_reg5, DW_OP_stack_value}));
        variable(DW_TAG_formal_parameter, "second", of({DW_OP_entry_value, 1, DW_OP_reg4, DW_OP_stack_value}));
        variable(DW_TAG_formal_parameter, "third", of({DW_OP_entry_value, 1, DW_OP_reg1, DW_OP_stack_value}));
        variable(DW_TAG_formal_parameter, "fourth", of({DW_OP_entry_value, 1, DW_OP_reg2, DW_OP_stack_value}));
        variable(DW_TAG_variable, "kept", of({DW_OP_reg3}));
        variable(DW_TAG_variable, "lost", of({DW_OP_reg0}));
        called.add({DW_TAG_variable, {{DW_AT_name, "constant"}, {DW_AT_type, Ref{"int"}}, {DW_AT_const_value, 3}}});
        called.add({DW_TAG_variable, {{DW_AT_name, "nowhere"}, {DW_AT_type, Ref{"int"}}}, "nowhere"});
        called.add({DW_TAG_variable, {{DW_AT_name, "pointer"}, {DW_AT_type, Ref{"int"}}}});
        writer.unit(unit);
        open = std::make_unique<OpenDwarf>(writer);
        caller_registers.set(3, 41), callee_registers.set(3, 12);
        caller.pc = text + 0x1f, caller.registers = &caller_registers;
        callee.pc = text + 0x150, callee.registers = &callee_registers;
    }
    std::string variables() const {
        constexpr const char* states[] = {"value", "in memory", "optimized out", "not recovered", "unreadable", "unsupported", "synthetic"};
        std::string said;
        for (const VariableValue& v : open->info->variables(callee)) {
            const std::string shown = v.bytes.empty() ? v.reason : fmt::format("{}", load_unsigned(v.bytes, ByteOrder::little));
            said += fmt::format("{}: {}{}{}\n", v.name, states[static_cast<size_t>(v.state)], shown.empty() ? "" : " ", shown);
        }
        return said;
    }
};

} // namespace

TEST_CASE_FIXTURE(Fixture, "dwarf variables: what the caller passed, computed in its frame") {
    call = open->info->call_site(caller);
    REQUIRE(call);
    CHECK(call->function == "callee");
    callee.call = &*call;
    CHECK(variables() == "first: value 7\nsecond: value 42\nthird: not recovered RCX\nfourth: not recovered RCX at entry\nkept: value 12\n"
                         "lost: not recovered RAX\nconstant: value 3\nnowhere: optimized out\npointer: optimized out\n");
}

TEST_CASE_FIXTURE(Fixture, "dwarf variables: without a caller, or with a call of another function, nothing is known of it") {
    const std::string unknown = "first: not recovered RDI at entry\nsecond: not recovered RSI at entry\n";
    CHECK(variables().starts_with(unknown));
    call = open->info->call_site(caller);
    REQUIRE(call);
    call->function = "another";
    callee.call = &*call;
    CHECK(variables().starts_with(unknown));
}

TEST_CASE_FIXTURE(Fixture, "dwarf variables: a call through a pointer counts if the pointer leads here") {
    caller.pc = text + 0x3f;
    call = open->info->call_site(caller);
    REQUIRE(call);
    CHECK(call->function.empty());
    REQUIRE(call->target);
    CHECK(*call->target == text + 0x100);
    callee.call = &*call;
    CHECK(variables().starts_with("first: value 9\nsecond: not recovered RSI at entry\n"));
    *call->target += 8;
    CHECK(variables().starts_with("first: not recovered RDI at entry\n"));
}

TEST_CASE_FIXTURE(Fixture, "dwarf variables: an address between calls is in none") {
    caller.pc = text + 0x30;
    CHECK_FALSE(open->info->call_site(caller));
    caller.pc = text + 0x1000;
    CHECK_FALSE(open->info->call_site(caller));
}
