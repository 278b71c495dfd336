// SPDX-License-Identifier: GPL-3.0-or-later
// Each operation against section 2.5 of the DWARF 5 specification.
#include "symbols/dwarf_expression.hpp"
#include "tests/fixtures/dwarf.hpp"
#include <doctest/doctest.h>
#include <fmt/format.h>

using namespace kcrash;
using namespace kcrash::fixtures;

namespace {

struct Fixture {
    DwarfWriter writer;
    std::unique_ptr<OpenDwarf> open;
    Registers registers;
    FrameContext frame;
    Fixture() {
        writer.unit({DW_TAG_compile_unit});
        open = std::make_unique<OpenDwarf>(writer, 0x1000000);
        registers.set(3, 0x100), registers.set(5, 7), registers.set(7, 0x2000);
        frame.registers = &registers;
        frame.cfa = 0x3000;
        // Memory: each byte of 0x2000-0x20ff is the low half of its address.
        frame.read = [](uint64_t address, std::span<std::byte> into) {
            if (address < 0x2000 || address + into.size() > 0x2100) return Fault::excluded;
            for (size_t i = 0; i < into.size(); ++i) into[i] = static_cast<std::byte>(address + i);
            return Fault::none;
        };
    }
    // "value 12", "at 2008", "in RBX 100", "bytes 01 02", or "not_recovered RCX" and its like.
    std::string run(std::vector<Dwarf_Op> operations, uint64_t size = 8) const {
        const ExpressionContext context{*open->dwarf, frame, [] { return Location(AtAddress{0x5000}); }, {}, nullptr};
        const Location found = evaluate(context, operations, size);
        if (const auto* at = std::get_if<AtAddress>(&found)) return fmt::format("at {:x}", at->address);
        if (const auto* in = std::get_if<InRegister>(&found)) return fmt::format("in {} {:x}", register_name(open->arch, in->number), in->value);
        if (const auto* value = std::get_if<Immediate>(&found)) return fmt::format("value {:x}", value->value);
        if (const auto* bytes = std::get_if<Bytes>(&found)) {
            std::string text = "bytes";
            for (const std::byte byte : bytes->bytes) text += fmt::format(" {:02x}", static_cast<unsigned>(byte));
            return text;
        }
        constexpr const char* states[] = {"value", "in_memory", "optimized_out", "not_recovered", "unreadable", "unsupported", "synthetic"};
        const auto& none = std::get<NoValue>(found);
        return fmt::format("{} {}", states[static_cast<size_t>(none.state)], none.reason);
    }
    // What the operations leave on the stack.
    std::string value(std::vector<Dwarf_Op> operations) const {
        operations.push_back({DW_OP_stack_value, 0, 0, 0});
        return run(std::move(operations));
    }
};

Dwarf_Op op(uint8_t atom, uint64_t number = 0, uint64_t number2 = 0) { return {atom, number, number2, 0}; }
constexpr uint64_t minus(uint64_t n) { return ~n + 1; }

} // namespace

TEST_CASE_FIXTURE(Fixture, "dwarf expression: places") {
    CHECK(run({op(DW_OP_reg3)}) == "in RBX 100");
    CHECK(run({op(DW_OP_regx, 5)}) == "in RDI 7");
    CHECK(run({op(DW_OP_breg7, 8)}) == "at 2008");
    CHECK(run({op(DW_OP_bregx, 7, minus(16))}) == "at 1ff0");
    CHECK(run({op(DW_OP_fbreg, minus(8))}) == "at 4ff8");
    CHECK(run({op(DW_OP_call_frame_cfa)}) == "at 3000");
    CHECK(run({op(DW_OP_addr, 0xffffffff81000000)}) == "at ffffffff82000000"); // moved as the file is
    CHECK(run({op(DW_OP_breg7, 0), op(DW_OP_deref)}) == "at 706050403020100");
    CHECK(value({op(DW_OP_breg7, 4), op(DW_OP_deref_size, 2)}) == "value 504");
}

TEST_CASE_FIXTURE(Fixture, "dwarf expression: arithmetic") {
    const auto two = [&](uint64_t a, uint64_t b, uint8_t atom) { return value({op(DW_OP_constu, a), op(DW_OP_constu, b), op(atom)}); };
    CHECK(two(7, 3, DW_OP_plus) == "value a");
    CHECK(two(7, 3, DW_OP_minus) == "value 4");
    CHECK(two(7, 3, DW_OP_mul) == "value 15");
    CHECK(two(minus(7), 2, DW_OP_div) == fmt::format("value {:x}", minus(3)));
    CHECK(two(7, 3, DW_OP_mod) == "value 1");
    CHECK(two(6, 3, DW_OP_and) == "value 2");
    CHECK(two(6, 3, DW_OP_or) == "value 7");
    CHECK(two(6, 3, DW_OP_xor) == "value 5");
    CHECK(two(1, 8, DW_OP_shl) == "value 100");
    CHECK(two(1, 64, DW_OP_shl) == "value 0");
    CHECK(two(minus(1), 60, DW_OP_shr) == "value f");
    CHECK(two(minus(16), 2, DW_OP_shra) == fmt::format("value {:x}", minus(4)));
    CHECK(two(1, 0, DW_OP_div) == "unsupported a division by zero in a DWARF expression");
    CHECK(two(minus(1), 1, DW_OP_lt) == "value 1"); // generic values compare as signed ones
    CHECK(two(1, minus(1), DW_OP_ge) == "value 1");
    CHECK(two(5, 5, DW_OP_eq) == "value 1");
    CHECK(value({op(DW_OP_lit5), op(DW_OP_neg)}) == fmt::format("value {:x}", minus(5)));
    CHECK(value({op(DW_OP_lit0), op(DW_OP_not)}) == "value ffffffffffffffff");
    CHECK(value({op(DW_OP_consts, minus(9)), op(DW_OP_abs)}) == "value 9");
    CHECK(value({op(DW_OP_lit1), op(DW_OP_plus_uconst, 41)}) == "value 2a");
}

TEST_CASE_FIXTURE(Fixture, "dwarf expression: the stack") {
    const Dwarf_Op a = op(DW_OP_lit1), b = op(DW_OP_lit2), c = op(DW_OP_lit3);
    CHECK(value({a, b, op(DW_OP_dup), op(DW_OP_plus)}) == "value 4");
    CHECK(value({a, b, op(DW_OP_over)}) == "value 1");
    CHECK(value({a, b, c, op(DW_OP_pick, 2)}) == "value 1");
    CHECK(value({a, b, op(DW_OP_drop)}) == "value 1");
    CHECK(value({a, b, op(DW_OP_swap)}) == "value 1");
    CHECK(value({a, b, c, op(DW_OP_rot)}) == "value 2");                  // the third from the top is 3 now
    CHECK(value({a, b, c, op(DW_OP_rot), op(DW_OP_drop)}) == "value 1");
    CHECK(value({a, b, c, op(DW_OP_rot), op(DW_OP_drop), op(DW_OP_drop)}) == "value 3");
    CHECK(value({op(DW_OP_drop)}) == "unsupported a damaged DWARF expression");
    CHECK(value({a, op(DW_OP_pick, 1)}) == "unsupported a damaged DWARF expression");
}

TEST_CASE_FIXTURE(Fixture, "dwarf expression: jumps are in bytes, and a circle ends") {
    // 0: lit1; 1: bra +1 (to 5); 4: lit7; 5: lit9
    CHECK(value({{DW_OP_lit1, 0, 0, 0}, {DW_OP_bra, 1, 0, 1}, {DW_OP_lit7, 0, 0, 4}, {DW_OP_lit9, 0, 0, 5}}) == "value 9");
    CHECK(run({{DW_OP_lit1, 0, 0, 0}, {DW_OP_skip, minus(4), 0, 1}}) == "unsupported a DWARF expression that grows without end");
    CHECK(run({{DW_OP_skip, minus(3), 0, 0}}) == "unsupported an endless DWARF expression");
}

TEST_CASE_FIXTURE(Fixture, "dwarf expression: values in pieces") {
    CHECK(run({op(DW_OP_reg5), op(DW_OP_piece, 2), op(DW_OP_breg7, 0), op(DW_OP_piece, 2)}, 4) == "bytes 07 00 00 01");
    CHECK(run({op(DW_OP_lit5), op(DW_OP_stack_value), op(DW_OP_piece, 4)}, 4) == "bytes 05 00 00 00");
    CHECK(run({op(DW_OP_reg5), op(DW_OP_piece, 4), op(DW_OP_piece, 4)}) == "optimized_out parts of it");
    CHECK(run({op(DW_OP_piece, 4), op(DW_OP_piece, 4)}) == "optimized_out ");
    CHECK(run({op(DW_OP_reg5), op(DW_OP_piece, uint64_t{1} << 40)}) == "unsupported a piece of impossible size");
}

TEST_CASE_FIXTURE(Fixture, "dwarf expression: what has no value says why") {
    CHECK(run({}) == "optimized_out ");
    CHECK(run({op(DW_OP_reg2)}) == "not_recovered RCX");
    CHECK(run({op(DW_OP_breg2, 8)}) == "not_recovered RCX");
    CHECK(run({op(DW_OP_breg3, 0), op(DW_OP_deref)}) == "unreadable 0x100: page excluded from the dump by makedumpfile");
    CHECK(run({op(DW_OP_form_tls_address)}) == "unsupported DWARF operation 0x9b");
    frame.cfa = 0;
    CHECK(run({op(DW_OP_call_frame_cfa)}) == "not_recovered CFA");
}
