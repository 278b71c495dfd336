// SPDX-License-Identifier: GPL-3.0-or-later
// Stacks of s390x written as big-endian words.
//
// Code lies in 0x10000-0x20000, 0x100 bytes a function; what lies below 0x18000 has CFI. The task's stack is 0x80000-0x84000, the interrupt
// stack 0x90000-0x94000. Frames are packed: the saved r6 begin at 72, the chain lies at 152.
#include "arch/architecture.hpp"
#include "kernel/stack/unwinder.hpp"
#include "tests/fixtures/word_memory.hpp"
#include <doctest/doctest.h>
#include <fmt/format.h>

using namespace kcrash;
using fixtures::WordMemory;

namespace {

constexpr unsigned psw_mask = 64, psw_address = 65, r6 = 6, r14 = 14, r15 = 15;
constexpr uint64_t kernel_mask = 0x0704c00180000000, user_mask = 0x0705200180000000;
const Architecture& s390x() { return *find_architecture(22, ByteOrder::big, 8); }

struct World final : StackWorld {
    WordMemory memory;
    std::map<uint64_t, UnwindRow> functions; // by address / 0x100

    Fault read(uint64_t address, std::span<std::byte> into) const override { return memory.space().try_read(VirtualAddress{address}, into); }
    std::optional<UnwindRow> rules(uint64_t lookup) const override {
        const auto it = functions.find(lookup / 0x100);
        return it == functions.end() ? std::nullopt : std::optional(it->second);
    }
    std::optional<UnwindRow> register_rules(uint64_t) const override { return std::nullopt; }
    bool is_text(uint64_t address) const override { return address >= 0x10000 && address < 0x20000; }
    std::optional<StackRange> stack_of(uint64_t at) const override {
        if (at >= 0x80000 && at < 0x84000) return StackRange{0x80000, 0x84000, "", 0};
        if (at >= 0x90000 && at < 0x94000) return StackRange{0x90000, 0x94000, "IRQ", 0};
        return std::nullopt;
    }
    std::optional<uint64_t> original_return(uint64_t, uint64_t value) const override { return value; }
    std::optional<uint64_t> function_start(uint64_t lookup) const override { return lookup & ~uint64_t{0xff}; }
    bool keeps_frame_pointers() const override { return true; }
    std::optional<uint64_t> offset_of(std::string_view type, std::string_view member) const override {
        if (type != "stack_frame") return std::nullopt;
        return member == "gprs" ? std::optional<uint64_t>(72) : member == "back_chain" ? std::optional<uint64_t>(152) : std::nullopt;
    }
    std::string describe_missing_rules(uint64_t at) const override { return fmt::format("no unwind data for 0x{:x}", at); }

    void put(uint64_t address, uint64_t value) {
        for (unsigned i = 0; i < 8; ++i) memory.put(address + i, value >> (56 - 8 * i) & 0xff, 1);
    }
    // A frame, and where the function that it called will return to.
    void frame(uint64_t sp, uint64_t chain, uint64_t saved_r14) {
        put(sp + 152, chain);
        put(sp + 136, saved_r14);
    }
    void registers(uint64_t at, uint64_t mask, uint64_t pc, uint64_t sp) {
        for (uint64_t i = 0; i < 25; ++i) put(at + i * 8, 0);
        put(at + 8, mask);
        put(at + 16, pc);
        put(at + 24 + 8 * r15, sp);
    }
    Stack unwind(uint64_t pc, uint64_t sp) const {
        StackStart start;
        start.registers.set(psw_address, pc);
        start.registers.set(r15, sp);
        start.slot = sp;
        return unwind_from(*this, s390x(), start);
    }
};

std::string text(const Stack& stack) {
    std::string lines;
    for (const Frame& frame : stack.frames) lines += fmt::format("{:x}@{:x} ", frame.pc, frame.sp);
    return lines;
}

UnwindRow cfi(int64_t cfa, std::vector<UnwindRow::Rule> rules) {
    UnwindRow row;
    row.frame = UnwindRow::Frame::call;
    row.source = "CFI";
    row.cfa_register = r15;
    row.cfa_offset = cfa;
    row.rules = std::move(rules);
    return row;
}

} // namespace

TEST_CASE("s390x: the back chain leads from frame to frame, and brackets show stack pointers") {
    World world;
    world.frame(0x83000, 0x83100, 0x18110);
    world.frame(0x83100, 0x83200, 0x18210);
    world.frame(0x83200, 0, 0x18310);
    world.registers(0x832a0, user_mask, 0x1000, 0x3fff0000);
    const Stack stack = world.unwind(0x18010, 0x83000);
    CHECK(text(stack) == "18010@83000 18210@83100 18310@83200 ");
    CHECK(stack.end == StackEnd::user_mode);
    REQUIRE(stack.frames.back().exception);
    CHECK(stack.frames.back().exception->address == 0x832a0);
    CHECK(*stack.frames.back().exception->registers.get(psw_mask) == user_mask);
}

TEST_CASE("s390x: a chain of zero leads to the registers of the interrupted kernel, and on") {
    World world;
    world.frame(0x82000, 0, 0);
    world.registers(0x820a0, kernel_mask, 0x18444, 0x83000);
    world.frame(0x83000, 0x83100, 0);
    world.frame(0x83100, 0, 0x18510);
    world.registers(0x831a0, user_mask, 0x1000, 0x3fff0000);
    const Stack stack = world.unwind(0x18010, 0x82000);
    CHECK(text(stack) == "18010@82000 18444@83000 18510@83100 ");
    CHECK(stack.end == StackEnd::user_mode);
}

TEST_CASE("s390x: a thread of the kernel ends at registers without a stack") {
    World world;
    world.frame(0x83000, 0, 0);
    world.registers(0x830a0, kernel_mask, 0x18888, 0);
    const Stack stack = world.unwind(0x18010, 0x83000);
    CHECK(stack.frames.size() == 1);
    CHECK(stack.end == StackEnd::outermost);
}

TEST_CASE("s390x: a function that went on on the interrupt stack is followed back by its chain, not by CFI") {
    World world;
    world.functions[0x100] = cfi(160 + 96, {{psw_address, {RegisterRule::Kind::at_cfa, 0, -24}}, {r6, {RegisterRule::Kind::at_cfa, 0, -88}}});
    world.functions[0x101] = world.functions[0x100];
    world.frame(0x93e00, 0x93f00, 0); // of 0x10010
    world.frame(0x93f00, 0x83300, 0x10120); // where 0x101xx changed stacks: the chain names its caller's frame
    world.frame(0x83300, 0, 0x18310);
    world.put(0x83300 + 72, 0x666);
    world.registers(0x833a0, user_mask, 0x1000, 0x3fff0000);
    const Stack stack = world.unwind(0x10010, 0x93e00);
    CHECK(text(stack) == "10010@93e00 10120@93f00 18310@83300 ");
    CHECK(stack.frames[1].leaves_stack == "--- <IRQ stack> ---");
    CHECK(stack.frames[2].registers.get(r6) == uint64_t{0x666});
    CHECK(stack.end == StackEnd::user_mode);
}

TEST_CASE("s390x: an interrupted function that saved nothing yet has its return address in r14") {
    World world;
    world.functions[0x102] = cfi(160, {{psw_address, {RegisterRule::Kind::same, psw_address, 0}}});
    world.frame(0x82000, 0, 0);
    world.registers(0x820a0, kernel_mask, 0x10204, 0x83000);
    world.put(0x820a0 + 24 + 8 * r14, 0x18610);
    world.frame(0x83000, 0, 0);
    world.registers(0x830a0, user_mask, 0x1000, 0x3fff0000);
    const Stack stack = world.unwind(0x18010, 0x82000);
    CHECK(text(stack) == "18010@82000 10204@83000 18610@83000 ");
}

TEST_CASE("s390x: where r14 is not known the chain leads on from a function that saved nothing") {
    World world;
    world.functions = {{0x100, cfi(160, {})}, {0x103, cfi(160, {{psw_address, {RegisterRule::Kind::in_register, r14, 0}}})}};
    world.frame(0x83000, 0x83100, 0);
    world.frame(0x83100, 0x82000, 0x10210);
    StackStart start;
    start.registers.set(psw_address, 0x10000);
    start.registers.set(r15, 0x83000);
    start.slot = 0x83000;
    start.is_return_address = false;
    const Stack stack = unwind_from(world, s390x(), start);
    CHECK(text(stack) == "10000@83000 10210@83100 ");
    CHECK(stack.message == "the stack leads back from 0x83100 to 0x82000: it is damaged");
    start.registers.set(psw_address, 0x10300);
    CHECK(text(unwind_from(world, s390x(), start)) == "10300@83000 10210@83100 ");
}

TEST_CASE("s390x: a chain that leads back or out of the stack ends there") {
    World world;
    world.frame(0x83000, 0x82000, 0);
    world.frame(0x82000, 0x83000, 0x18110);
    CHECK(world.unwind(0x18010, 0x83000).end == StackEnd::outside);
    World other; // what was read once is cached
    other.frame(0x83100, 0x7000, 0);
    CHECK(other.unwind(0x18010, 0x83100).end == StackEnd::outside);
}
