// SPDX-License-Identifier: GPL-3.0-or-later
// ARM's unwind instructions and tables, written as bytes and words. What they mean: "Exception Handling ABI for the Arm Architecture", 10.3.
#include "symbols/ehabi.hpp"
#include "tests/fixtures/word_memory.hpp"
#include <doctest/doctest.h>
#include <fmt/format.h>

using namespace kcrash;
using fixtures::WordMemory;

namespace {

std::string say(const std::optional<UnwindRow>& row) {
    if (!row) return "none";
    std::string text = fmt::format("cfa r{}{:+}", row->cfa_register, row->cfa_offset);
    for (const auto& [number, rule] : row->rules) {
        if (rule.kind == RegisterRule::Kind::at_cfa) text += fmt::format(" r{} cfa{:+}", number, rule.offset);
        if (rule.kind == RegisterRule::Kind::at_register) text += fmt::format(" r{} r{}{:+}", number, rule.number, rule.offset);
        if (rule.kind == RegisterRule::Kind::in_register) text += fmt::format(" r{} is r{}", number, rule.number);
    }
    return text;
}

std::string run(std::initializer_list<int> bytes) {
    std::vector<std::byte> code;
    for (const int byte : bytes) code.push_back(static_cast<std::byte>(byte));
    return say(ehabi::interpret(code));
}

} // namespace

TEST_CASE("EHABI: registers are popped upwards, and the return address is what came to lr or pc") {
    CHECK(run({0xa8, 0xb0, 0xb0}) == "cfa r13+8 r15 cfa-4 r4 cfa-8");                         // pop {r4, lr}
    CHECK(run({0x02, 0xab, 0xb0}) == "cfa r13+32 r15 cfa-4 r4 cfa-20 r5 cfa-16 r6 cfa-12 r7 cfa-8"); // add sp, #12; pop {r4-r7, lr}
    CHECK(run({0x88, 0x01, 0xb0}) == "cfa r13+8 r15 cfa-4 r4 cfa-8");                         // pop {r4, pc}
    CHECK(run({0xb0, 0xb0, 0xb0}) == "cfa r13+0 r15 is r14");                                 // a leaf
}

TEST_CASE("EHABI: a frame pointer takes the stack pointer's place") {
    CHECK(run({0x9b, 0x84, 0x80}) == "cfa r11+8 r15 cfa-4 r11 cfa-8");             // sp = fp; pop {fp, lr}
    CHECK(run({0x9b, 0x43, 0x84, 0x80}) == "cfa r11-8 r15 cfa-4 r11 cfa-8");       // sp = fp - 16
    CHECK(run({0x84, 0x80, 0x9b}) == "none");                                      // fp was popped: it is the caller's
}

TEST_CASE("EHABI: long distances, and registers of which only the size matters") {
    CHECK(run({0xb2, 0x7f, 0xa8}) == "cfa r13+1032 r15 cfa-4 r4 cfa-8");
    CHECK(run({0xb2, 0x80, 0x01, 0xa8}) == "cfa r13+1036 r15 cfa-4 r4 cfa-8");
    CHECK(run({0xb1, 0x0f, 0xa8}) == "cfa r13+24 r15 cfa-4 r4 cfa-8");
    CHECK(run({0xc9, 0x83, 0xa8}) == "cfa r13+40 r15 cfa-4 r4 cfa-8"); // VPUSH of four
    CHECK(run({0xd1, 0xa8}) == "cfa r13+24 r15 cfa-4 r4 cfa-8");
    CHECK(run({0xb9, 0xa8}) == "cfa r13+28 r15 cfa-4 r4 cfa-8");
}

TEST_CASE("EHABI: what refuses, is spare, or pops the stack pointer has no rule") {
    CHECK(run({0x80, 0x00}) == "none");
    CHECK(run({0x9d}) == "none");
    CHECK(run({0x9f}) == "none");
    CHECK(run({0xb1, 0x00}) == "none");
    CHECK(run({0xb4}) == "none");
    CHECK(run({0xca}) == "none");
    CHECK(run({0xe0}) == "none");
    CHECK(run({0x82, 0x00}) == "none"); // r13
}

TEST_CASE("EHABI: the index, inline and far entries, and what cannot be unwound") {
    constexpr uint64_t index = 0xc1100000, far = 0xc1200000, text = 0xc0300000;
    WordMemory memory;
    const auto distance = [](uint64_t from, uint64_t to) { return (to - from) & 0x7fffffff; };
    const auto entry = [&](unsigned number, uint64_t function, uint64_t word) {
        memory.put(index + number * 8, distance(index + number * 8, function), 4);
        memory.put(index + number * 8 + 4, word, 4);
    };
    entry(0, text + 0x100, 0x80a8b0b0);
    entry(1, text + 0x200, 1);
    entry(2, text + 0x300, distance(index + 20, far));
    entry(3, text + 0x400, distance(index + 28, far + 8));
    entry(4, text + 0x500, distance(index + 36, far + 0x1000)); // is not there
    memory.put(far, 0x8101b27f, 4); // one more word
    memory.put(far + 4, 0xa8b0b0b0, 4);
    memory.put(far + 8, 0x12345678, 4); // a language's own routine
    const auto table = open_ehabi(memory.space(), {index, index + 40, text, text + 0x10000}, nullptr, 0);
    REQUIRE(table);
    CHECK(say(table->find(text + 0xff)) == "none");
    CHECK(say(table->find(text + 0x100)) == "cfa r13+8 r15 cfa-4 r4 cfa-8");
    CHECK(say(table->find(text + 0x1ff)) == "cfa r13+8 r15 cfa-4 r4 cfa-8");
    CHECK(say(table->find(text + 0x250)) == "none");
    CHECK(say(table->find(text + 0x3fc)) == "cfa r13+1032 r15 cfa-4 r4 cfa-8");
    CHECK(say(table->find(text + 0x400)) == "none");
    CHECK(say(table->find(text + 0x500)) == "none");
    CHECK(say(table->find(text + 0x10000)) == "none");
    CHECK(open_ehabi(memory.space(), {index, index, text, text + 1}, nullptr, 0) == nullptr);
}
