// SPDX-License-Identifier: GPL-3.0-or-later
// ORC tables written as text, one row per line: address, offsets, the 16 bits of registers and type.
#include "symbols/orc.hpp"
#include "symbols/sources.hpp"
#include "tests/fixtures/btf.hpp"
#include "tests/fixtures/word_memory.hpp"
#include <doctest/doctest.h>
#include <elf.h>
#include <fmt/format.h>
#include <sstream>

using namespace kcrash;
using fixtures::WordMemory;

namespace {

constexpr uint64_t ips = 0x10000, entries = 0x20000, code = 0x100000, code_end = 0x200000;

const Architecture& x86_64() { return *find_architecture(EM_X86_64, ByteOrder::little, 8); }

// Lines of "address sp_offset bp_offset bits", hexadecimal but for the offsets.
std::unique_ptr<UnwindTable> open_table(WordMemory& memory, const char* rows, const TypeSource* types = nullptr) {
    std::istringstream lines(rows);
    std::string address, bits;
    int sp, bp;
    uint64_t count = 0;
    while (lines >> address >> sp >> bp >> bits) {
        const uint64_t ip_at = ips + count * 4, entry_at = entries + count * 6;
        memory.put(ip_at, std::stoull(address, nullptr, 16) - ip_at, 4);
        memory.put(entry_at, static_cast<uint16_t>(sp), 2);
        memory.put(entry_at + 2, static_cast<uint16_t>(bp), 2);
        memory.put(entry_at + 4, std::stoull(bits, nullptr, 16), 2);
        ++count;
    }
    return open_orc(memory.space(), {ips, ips + count * 4, entries, code, code_end}, nullptr, 0, types, x86_64());
}

std::string say(const UnwindTable& table, uint64_t address) {
    const auto row = table.find(address);
    if (!row) return "no row";
    constexpr const char* frames[] = {"call", "exception", "partial", "end", "undefined"};
    std::string text = frames[static_cast<int>(row->frame)];
    if (row->frame == UnwindRow::Frame::end || row->frame == UnwindRow::Frame::undefined) return text;
    text += row->cfa_dereference ? fmt::format(" cfa *(r{}{:+}){:+}", row->cfa_register, row->cfa_offset, row->cfa_add)
                                 : fmt::format(" cfa r{}{:+}", row->cfa_register, row->cfa_offset);
    for (const auto& [number, rule] : row->rules) {
        if (number != orc::rbp) continue;
        if (rule.kind == RegisterRule::Kind::same) text += " bp same";
        if (rule.kind == RegisterRule::Kind::undefined) text += " bp lost";
        if (rule.kind == RegisterRule::Kind::at_cfa) text += fmt::format(" bp cfa{:+}", rule.offset);
        if (rule.kind == RegisterRule::Kind::at_register) text += fmt::format(" bp r{}{:+}", rule.number, rule.offset);
    }
    return text;
}

// function entry, push rbp, mov rbp; a gap; registers saved by an exception; an interrupt's stack; the end of all stacks
constexpr const char* linux_6_1 = R"(
    100000    8    0    5
    100001   16  -16   15
    100004   16  -16   14
    100040    0    0    0
    100080    8    0    5
    1000c0    0    0  105
    100100    0    0  205
    100140    8  -16   19
    100180   -8   16   48
    1001c0    0    0  400
    100200    8    0    5
)";

constexpr const char* linux_6_4 = R"(
    100000    8    0  205
    100001   16  -16  215
    100004   16  -16  214
    100040    0    0    0
    100080    8    0  205
    1000c0    0    0  b05
    100100    0    0  c05
    100140    8  -16  219
    100180   -8   16  248
    1001c0    0    0  100
    100200    8    0  205
)";

constexpr const char* linux_7_1 = R"(
    100000    8    0  203
    100001   16  -16  283
    100004   16  -16  284
    100040    0    0    0
    100080    8    0  203
    1000c0    0    0  b03
    100100    0    0  c03
    100140    8  -16  289
    100180   -8   16  24a
    1001c0    0    0  100
    100200    8    0  203
)";

} // namespace

TEST_CASE("ORC: every layout says the same of the same code") {
    for (const char* rows : {linux_6_1, linux_6_4, linux_7_1}) {
        WordMemory memory;
        const auto table = open_table(memory, rows);
        REQUIRE(table);
        CHECK(say(*table, 0x100000) == "call cfa r7+8 bp same");
        CHECK(say(*table, 0x100003) == "call cfa r7+16 bp cfa-16");
        CHECK(say(*table, 0x10003f) == "call cfa r6+16 bp cfa-16");
        CHECK(say(*table, 0x100040) == "undefined");
        CHECK(say(*table, 0x1000c0) == "exception cfa r7+0");
        CHECK(say(*table, 0x100100) == "partial cfa r7+0 bp same");
        CHECK(say(*table, 0x100140) == "call cfa *(r7+0)+8 bp cfa-16");
        CHECK(say(*table, 0x100180) == "call cfa *(r6-8)+0 bp r6+16");
        CHECK(say(*table, 0x1001c0) == "end");
    }
}

TEST_CASE("ORC: bit 43 is the end where it is set in an old layout (6.3), else bit 42 (6.1)") {
    constexpr const char* linux_6_3 = R"(
        100000    8    0    5
        100040    0    0  505
        100080    0    0  800
        1000c0    8    0    5
    )";
    WordMemory memory;
    const auto table = open_table(memory, linux_6_3);
    REQUIRE(table);
    CHECK(say(*table, 0x100040) == "exception cfa r7+0");
    CHECK(say(*table, 0x100080) == "end");
}

TEST_CASE("ORC: the fields are where BTF says, whatever the content looks like") {
    const auto btf = fixtures::make_btf(R"(
        int short 2 signed
        int unsigned 4 unsigned
        struct orc_entry 6 sp_offset:1:0 bp_offset:1:16 sp_reg:2:32:4 bp_reg:2:36:4 type:2:40:3 signal:2:43:1
    )");
    const auto types = open_btf(btf.bytes, nullptr, "BTF");
    WordMemory memory;
    const auto table = open_table(memory, "100000 8 0 105", types.get());
    REQUIRE(table);
    CHECK(say(*table, 0x100000) == "end");
}

TEST_CASE("ORC: nothing outside of the text, before the first row, or where the table is not in the dump") {
    WordMemory memory;
    const auto table = open_table(memory, linux_6_4);
    REQUIRE(table);
    CHECK(say(*table, code_end) == "no row");
    CHECK(say(*table, code - 1) == "no row");
    WordMemory empty;
    CHECK(open_orc(empty.space(), {ips, ips + 400, entries, code, code_end}, nullptr, 0, nullptr, x86_64()) == nullptr);
    CHECK(open_orc(empty.space(), {ips, ips, entries, code, code_end}, nullptr, 0, nullptr, x86_64()) == nullptr);
    WordMemory half; // the addresses are there, the rules are not
    half.put(ips, code - ips, 4);
    CHECK(open_orc(half.space(), {ips, ips + 4, entries, code, code_end}, nullptr, 0, nullptr, x86_64()) == nullptr);
}

// ---- loongarch64: 8 bytes, with a rule for the return address

namespace {

constexpr unsigned loongarch_ra = 1, loongarch_sp = 3, loongarch_fp = 22, loongarch_pc = 64;

// One row at `code`: three offsets and the 16 bits of registers and type.
std::optional<UnwindRow> loongarch_row(int sp, int fp, int ra, uint64_t bits) {
    WordMemory memory;
    memory.put(ips, code - ips, 4);
    const int offsets[] = {sp, fp, ra};
    for (size_t i = 0; i < 3; ++i) memory.put(entries + 2 * i, static_cast<uint16_t>(offsets[i]), 2);
    memory.put(entries + 6, bits, 2);
    const auto table = open_orc(memory.space(), {ips, ips + 4, entries, code, code_end}, nullptr, 0, nullptr, *find_architecture(258, ByteOrder::little, 8));
    REQUIRE(table);
    return table->find(code + 8);
}

const RegisterRule* rule_of(const UnwindRow& row, unsigned number) {
    for (const UnwindRow::Rule& rule : row.rules)
        if (rule.number == number) return &rule.rule;
    return nullptr;
}

} // namespace

TEST_CASE("ORC of loongarch64: a function that saved its return address and its caller's frame pointer") {
    const auto row = loongarch_row(32, -16, -8, 0x2112); // sp, prev_sp, prev_sp, call
    REQUIRE(row);
    CHECK(row->frame == UnwindRow::Frame::call);
    CHECK(row->cfa_register == loongarch_sp);
    CHECK(row->cfa_offset == 32);
    REQUIRE(rule_of(*row, loongarch_pc));
    CHECK(rule_of(*row, loongarch_pc)->kind == RegisterRule::Kind::at_cfa);
    CHECK(rule_of(*row, loongarch_pc)->offset == -8);
    CHECK(rule_of(*row, loongarch_fp)->kind == RegisterRule::Kind::at_cfa);
    CHECK(rule_of(*row, loongarch_fp)->offset == -16);
}

TEST_CASE("ORC of loongarch64: a leaf's return address is in ra, its frame pointer is its caller's") {
    const auto row = loongarch_row(0, 0, 0, 0x2002);
    REQUIRE(row);
    REQUIRE(rule_of(*row, loongarch_pc));
    CHECK(rule_of(*row, loongarch_pc)->kind == RegisterRule::Kind::in_register);
    CHECK(rule_of(*row, loongarch_pc)->number == loongarch_ra);
    CHECK(rule_of(*row, loongarch_fp)->kind == RegisterRule::Kind::same);
}

TEST_CASE("ORC of loongarch64: a frame pointer is the CFA; registers, the end, no rule") {
    const auto framed = loongarch_row(0, -16, -8, 0x2113);
    REQUIRE(framed);
    CHECK(framed->cfa_register == loongarch_fp);
    CHECK(framed->cfa_offset == 0);
    CHECK(loongarch_row(0, 0, 0, 0x3002)->frame == UnwindRow::Frame::exception);
    CHECK(loongarch_row(0, 0, 0, 0x1000)->frame == UnwindRow::Frame::end);
    CHECK(loongarch_row(0, 0, 0, 0x0000)->frame == UnwindRow::Frame::undefined);
    CHECK(loongarch_row(0, 0, 0, 0x2000)->frame == UnwindRow::Frame::undefined); // a call whose CFA is nowhere
    CHECK(loongarch_row(0, 0, 0, 0x2402)->frame == UnwindRow::Frame::undefined); // a register that there is not
}

TEST_CASE("ORC: an architecture that has no such tables has none") {
    WordMemory memory;
    memory.put(ips, code - ips, 4);
    memory.put(entries, 0, 6);
    CHECK(open_orc(memory.space(), {ips, ips + 4, entries, code, code_end}, nullptr, 0, nullptr, *find_architecture(EM_RISCV, ByteOrder::little, 8)) == nullptr);
}
