// SPDX-License-Identifier: GPL-3.0-or-later
// .debug_frame written instruction by instruction, and the rows that it stands for (DWARF 5 specification, section 6.4.2).
#include "symbols/dwarf_cfi.hpp"
#include "tests/fixtures/dwarf.hpp"
#include <doctest/doctest.h>
#include <fmt/format.h>

using namespace kcrash;
using namespace kcrash::fixtures;
using Rule = RegisterRule::Kind;

namespace {

constexpr uint64_t text = 0xffffffff81000000;

struct Frames {
    DwarfBytes bytes;
    void block(auto fill) {
        DwarfBytes inner;
        fill(inner);
        bytes.u32(inner.image.size());
        for (const std::byte byte : inner.image.bytes) bytes.u8(static_cast<uint8_t>(byte));
    }
    // As gcc begins for x86_64: CFA = rsp + 8, the return address below it.
    void cie() {
        block([](DwarfBytes& b) {
            b.u32(0xffffffff), b.u8(1), b.text(""), b.uleb(1), b.u8(0x78), b.u8(16); // data factor -8
            b.u8(DW_CFA_def_cfa), b.uleb(7), b.uleb(8), b.u8(DW_CFA_offset | 16), b.uleb(1);
        });
    }
    void fde(uint64_t at, uint64_t size, std::initializer_list<unsigned> instructions) {
        block([&](DwarfBytes& b) {
            b.u32(0), b.u64(at), b.u64(size);
            for (const unsigned byte : instructions) b.u8(byte);
        });
    }
    std::shared_ptr<const UnwindTable> open() {
        DwarfWriter writer;
        writer.unit({DW_TAG_compile_unit});
        writer.object.add(".debug_frame", 0, 0, bytes.image.bytes);
        kept = std::make_unique<OpenDwarf>(writer, 0x1000000);
        return kept->info->cfi();
    }
    std::unique_ptr<OpenDwarf> kept;
};

// "cfa 7+8: 3=[cfa-16] 6=same 7=cfa+0 12=same ... 16=[cfa-8]", for run-time addresses.
std::string say(const std::optional<UnwindRow>& row) {
    if (!row) return "none";
    std::string said = fmt::format("cfa {}{:+}{}:", row->cfa_register, row->cfa_offset, row->cfa_dereference ? fmt::format(" deref {:+}", row->cfa_add) : "");
    for (const auto& [number, rule] : row->rules) {
        switch (rule.kind) {
        case Rule::same: said += fmt::format(" {}=same", number); break;
        case Rule::undefined: said += fmt::format(" {}=lost", number); break;
        case Rule::at_cfa: said += fmt::format(" {}=[cfa{:+}]", number, rule.offset); break;
        case Rule::cfa_plus: said += fmt::format(" {}=cfa{:+}", number, rule.offset); break;
        case Rule::in_register: said += fmt::format(" {}=r{}{:+}", number, rule.number, rule.offset); break;
        case Rule::at_register: said += fmt::format(" {}=[r{}{:+}]", number, rule.number, rule.offset); break;
        }
    }
    return said;
}

} // namespace

TEST_CASE("cfi: a function that saves rbp and rbx, row by row") {
    Frames frames;
    frames.cie();
    frames.fde(text, 0x40,
               {DW_CFA_advance_loc | 1, DW_CFA_def_cfa_offset, 16, DW_CFA_offset | 6, 2,     // push %rbp
                DW_CFA_advance_loc | 3, DW_CFA_def_cfa_register, 6,                          // mov %rsp,%rbp
                DW_CFA_advance_loc | 1, DW_CFA_offset | 3, 3,                                // push %rbx
                DW_CFA_advance_loc1, 0x20, DW_CFA_remember_state, DW_CFA_restore | 3, DW_CFA_restore | 6, DW_CFA_def_cfa, 7, 8, // pop, pop
                DW_CFA_advance_loc | 1, DW_CFA_restore_state});
    const auto table = frames.open();
    REQUIRE(table);
    const uint64_t at = text + 0x1000000;
    CHECK(say(table->find(at)) == "cfa 7+8: 3=same 6=same 7=cfa+0 12=same 13=same 14=same 15=same 16=[cfa-8]");
    CHECK(say(table->find(at + 1)) == "cfa 7+16: 3=same 6=[cfa-16] 7=cfa+0 12=same 13=same 14=same 15=same 16=[cfa-8]");
    CHECK(say(table->find(at + 4)) == "cfa 6+16: 3=same 6=[cfa-16] 7=cfa+0 12=same 13=same 14=same 15=same 16=[cfa-8]");
    CHECK(say(table->find(at + 0x24)) == "cfa 6+16: 3=[cfa-24] 6=[cfa-16] 7=cfa+0 12=same 13=same 14=same 15=same 16=[cfa-8]");
    CHECK(say(table->find(at + 0x25)) == "cfa 7+8: 3=same 6=same 7=cfa+0 12=same 13=same 14=same 15=same 16=[cfa-8]");
    CHECK(say(table->find(at + 0x26)) == "cfa 6+16: 3=[cfa-24] 6=[cfa-16] 7=cfa+0 12=same 13=same 14=same 15=same 16=[cfa-8]");
    CHECK(say(table->find(at + 0x40)) == "none");
    CHECK(say(table->find(at - 1)) == "none");
}

TEST_CASE("cfi: the outermost function, registers in registers, and a CFA that memory holds") {
    Frames frames;
    frames.cie();
    frames.fde(text + 0x100, 0x10, {DW_CFA_undefined, 16});
    frames.fde(text, 0x10, {DW_CFA_register, 3, 12, DW_CFA_same_value, 6, DW_CFA_val_offset, 14, 1});
    frames.fde(text + 0x200, 0x10, {DW_CFA_def_cfa_expression, 5, DW_OP_breg7, 8, DW_OP_deref, DW_OP_plus_uconst, 16});
    frames.fde(text + 0x300, 0x10, {DW_CFA_expression, 3, 2, DW_OP_breg6, 0x78});
    const auto table = frames.open();
    REQUIRE(table);
    const uint64_t at = text + 0x1000000;
    CHECK(table->find(at + 0x100)->frame == UnwindRow::Frame::end);
    CHECK(say(table->find(at)) == "cfa 7+8: 3=r12+0 6=same 7=cfa+0 12=same 13=same 14=cfa-8 15=same 16=[cfa-8]");
    CHECK(say(table->find(at + 0x200)).starts_with("cfa 7+8 deref +16:"));
    CHECK(say(table->find(at + 0x300)).starts_with("cfa 7+8: 3=[r6-8]"));
}

TEST_CASE("cfi: what is damaged has no rules, and does not take the others with it") {
    Frames frames;
    frames.cie();
    frames.fde(text, 0x10, {0x3f});                           // an unknown instruction
    frames.fde(text + 0x10, 0x10, {DW_CFA_restore_state});    // of nothing
    frames.fde(text + 0x20, 0x10, {DW_CFA_offset_extended, 99, 1});
    frames.fde(text + 0x30, 0x10, {DW_CFA_def_cfa, 7});       // cut
    frames.fde(text + 0x40, ~uint64_t{0}, {});                // wraps
    frames.fde(text + 0x50, 0x10, {});
    frames.bytes.u32(0x1000); // longer than what is left
    const auto table = frames.open();
    REQUIRE(table);
    const uint64_t at = text + 0x1000000;
    for (const unsigned bad : {0u, 0x10u, 0x20u, 0x30u, 0x40u}) CHECK(say(table->find(at + bad)) == "none");
    CHECK(say(table->find(at + 0x50)).starts_with("cfa 7+8:"));
}
