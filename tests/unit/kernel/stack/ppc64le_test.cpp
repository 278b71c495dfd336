// SPDX-License-Identifier: GPL-3.0-or-later
// Stacks of ppc64le written as little-endian words.
//
// Code lies in 0xc000000000010000 and 0x10000 bytes on, 0x100 bytes a function; each function's second entry is 8 bytes after the first. The
// vectors are the first 0x1000 bytes of it. The task's stack is 0x80000-0x84000, the interrupt stack 0x90000-0x94000, both above 0xc0....
#include "arch/architecture.hpp"
#include "kernel/stack/unwinder.hpp"
#include "tests/fixtures/word_memory.hpp"
#include <doctest/doctest.h>
#include <fmt/format.h>

using namespace kcrash;
using fixtures::WordMemory;

namespace {

constexpr unsigned r1 = 1, r30 = 30, lr = 65, nip = 80, msr = 81;
constexpr uint64_t kernel_msr = 0x8000000000009033, user_msr = 0x800000000280f033, new_mark = 0x53474552, old_mark = 0x7265677368657265;
constexpr uint64_t base = 0xc000000000000000, code = base + 0x10000, task = base + 0x80000, irq = base + 0x90000, size = 0x4000;
const Architecture& ppc64le() { return *find_architecture(21, ByteOrder::little, 8); }

struct World final : StackWorld {
    WordMemory memory;
    std::map<uint64_t, UnwindRow> functions; // by address / 0x100

    Fault read(uint64_t address, std::span<std::byte> into) const override { return memory.space().try_read(VirtualAddress{address}, into); }
    std::optional<UnwindRow> rules(uint64_t lookup) const override {
        const auto it = functions.find(lookup / 0x100);
        return it == functions.end() ? std::nullopt : std::optional(it->second);
    }
    std::optional<UnwindRow> register_rules(uint64_t) const override { return std::nullopt; }
    bool is_text(uint64_t address) const override { return address >= code && address < code + 0x10000; }
    bool is_entry_code(uint64_t address) const override { return address >= code && address < code + 0x1000; }
    std::optional<StackRange> stack_of(uint64_t at) const override {
        if (at >= task && at < task + size) return StackRange{task, task + size, "", 0};
        if (at >= irq && at < irq + size) return StackRange{irq, irq + size, "IRQ", 0};
        return std::nullopt;
    }
    std::optional<uint64_t> original_return(uint64_t, uint64_t value) const override { return value; }
    std::optional<uint64_t> function_start(uint64_t lookup) const override { return lookup & ~uint64_t{0xff}; }
    bool keeps_frame_pointers() const override { return true; }
    std::string describe_missing_rules(uint64_t at) const override { return fmt::format("no unwind data for 0x{:x}", at); }

    void put(uint64_t address, uint64_t value) { memory.put(address, value, 8); }
    // A frame, and where its function goes on: stored by the one that it called.
    void frame(uint64_t sp, uint64_t chain, uint64_t back) {
        put(sp, chain);
        put(sp + 16, back);
    }
    // The frame of an exception, with its registers at `offset`.
    void exception(uint64_t sp, uint64_t offset, uint64_t mark, uint64_t back, uint64_t state, uint64_t pc, uint64_t stack, uint64_t link = 0) {
        for (uint64_t i = 0; i < 44; ++i) put(sp + offset + i * 8, 0);
        frame(sp, stack, back);
        put(sp + offset - 16, mark);
        put(sp + offset + r1 * 8, stack);
        put(sp + offset + 32 * 8, pc);
        put(sp + offset + 33 * 8, state);
        put(sp + offset + 36 * 8, link);
    }
    // "bl target", the last instruction before `back`.
    void call(uint64_t back, uint64_t target) { memory.put(back - 4, 0x48000001 | ((target - (back - 4)) & 0x03fffffc), 4); }
    Stack unwind(uint64_t pc, uint64_t sp) const {
        StackStart start;
        start.registers.set(nip, pc);
        start.registers.set(r1, sp);
        start.slot = sp;
        return unwind_from(*this, ppc64le(), start);
    }
};

std::string text(const Stack& stack) {
    std::string lines;
    for (const Frame& frame : stack.frames) lines += fmt::format("{:x}@{:x} ", frame.pc - code, frame.sp - base);
    return lines;
}

UnwindRow cfi(int64_t cfa, std::vector<UnwindRow::Rule> rules) {
    UnwindRow row;
    row.frame = UnwindRow::Frame::call;
    row.source = "CFI";
    row.cfa_register = r1;
    row.cfa_offset = cfa;
    row.rules = std::move(rules);
    return row;
}

const UnwindRow::Rule back_rule{nip, {RegisterRule::Kind::at_cfa, 0, 16}};

} // namespace

TEST_CASE("ppc64le: the back chain leads from frame to frame up to the user's registers, wherever in the frame they are") {
    for (const auto& [offset, mark] : {std::pair(112, new_mark), std::pair(48, new_mark), std::pair(112, old_mark)}) {
        World world;
        world.frame(task + 0x3000, task + 0x3100, 0);
        world.frame(task + 0x3100, task + 0x3200, code + 0x2110);
        world.exception(task + 0x3200, static_cast<uint64_t>(offset), mark, code + 0x2210, user_msr, 0x10001000, 0x7fff0000);
        const Stack stack = world.unwind(code + 0x2010, task + 0x3000);
        CHECK(text(stack) == "2010@83000 2110@83100 2210@83200 ");
        CHECK(stack.end == StackEnd::user_mode);
        REQUIRE(stack.frames.back().exception);
        CHECK(stack.frames.back().exception->address == task + 0x3200 + static_cast<uint64_t>(offset));
        CHECK(*stack.frames.back().exception->registers.get(nip) == 0x10001000);
    }
}

TEST_CASE("ppc64le: a mark that an earlier frame left is none: the back chain is not the stack pointer of its registers") {
    World world;
    world.exception(task + 0x3000, 112, new_mark, 0, user_msr, 0x10001000, 0x7fff0000);
    world.frame(task + 0x3000, task + 0x3200, 0);
    world.frame(task + 0x3200, 0, code + 0x2110);
    const Stack stack = world.unwind(code + 0x2010, task + 0x3000);
    CHECK(text(stack) == "2010@83000 2110@83200 ");
    CHECK(stack.end == StackEnd::outermost);
}

TEST_CASE("ppc64le: interrupted assembly without a frame has its caller in LR, unless it has called something itself") {
    for (const bool called : {false, true}) {
        World world;
        world.exception(task + 0x2000, 112, new_mark, code + 0x2010, kernel_msr, code + 0x2144, task + 0x3000, called ? code + 0x2130 : code + 0x2254);
        world.frame(task + 0x3000, task + 0x3100, code + 0x2999); // stale
        world.frame(task + 0x3100, 0, code + 0x2310);
        const Stack stack = world.unwind(code + 0x2010, task + 0x2000);
        CHECK(text(stack) == (called ? "2010@82000 2144@83000 2310@83100 " : "2010@82000 2144@83000 2254@83000 2310@83100 "));
    }
}

TEST_CASE("ppc64le: a function that changes to the interrupt stack in its midst has two frames, and LR lies in the lower") {
    World world;
    world.functions[(code + 0x2400) / 0x100] = cfi(0x40, {back_rule, {r30, {RegisterRule::Kind::at_cfa, 0, -16}}});
    world.frame(irq + 0x3e00, irq + 0x3f90, 0);
    world.frame(irq + 0x3f90, task + 0x3000, code + 0x2410); // the stub of 0x24xx
    world.frame(task + 0x3000, task + 0x3040, code + 0x2999); // its own frame: nobody stored LR
    world.put(task + 0x3040 - 16, 0x30303030);
    world.frame(task + 0x3040, 0, code + 0x2510);
    const Stack stack = world.unwind(code + 0x2310, irq + 0x3e00);
    CHECK(text(stack) == "2310@93e00 2410@93f90 2510@83040 ");
    CHECK(stack.frames[1].leaves_stack == "--- <IRQ stack> ---");
    CHECK(stack.frames[2].registers.get(r30) == uint64_t{0x30303030});
}

TEST_CASE("ppc64le: where assembly leads to the interrupt stack its caller stored LR, and calls it by its second entry") {
    World world;
    world.frame(irq + 0x3e00, irq + 0x3f90, 0);
    world.frame(irq + 0x3f90, task + 0x3000, code + 0x2420); // call_do_irq
    world.frame(task + 0x3000, task + 0x3040, code + 0x2510);
    world.call(code + 0x2510, code + 0x2408);
    world.frame(task + 0x3040, 0, code + 0x2610);
    CHECK(text(world.unwind(code + 0x2310, irq + 0x3e00)) == "2310@93e00 2420@93f90 2510@83000 2610@83040 ");
}

TEST_CASE("ppc64le: a vector that was interrupted before it had a stack ends the stack") {
    World world;
    world.exception(irq + 0x3000, 112, new_mark, code + 0x2010, kernel_msr, code + 0x900, 0x7fff0000);
    const Stack stack = world.unwind(code + 0x2010, irq + 0x3000);
    CHECK(text(stack) == "2010@93000 ");
    CHECK(stack.end == StackEnd::outermost);
    REQUIRE(stack.frames.back().exception);
    CHECK_FALSE(stack.frames.back().exception->user_mode);
}

TEST_CASE("ppc64le: from firmware LR, a real address, leads back to the kernel") {
    World world;
    world.frame(task + 0x3000, task + 0x3100, 0);
    world.frame(task + 0x3100, 0, code + 0x2210);
    StackStart start;
    start.registers.set(nip, 0x2fff0010);
    start.registers.set(r1, task + 0x3000);
    start.registers.set(lr, code + 0x2110 - base);
    start.registers.set(msr, 0x1002);
    start.is_return_address = false;
    const Stack stack = unwind_from(world, ppc64le(), start);
    REQUIRE(stack.frames.size() == 3);
    CHECK(stack.frames[1].pc == code + 0x2110);
    CHECK(stack.frames[2].pc == code + 0x2210);
}

TEST_CASE("ppc64le: a chain that leads back or out of the stack ends there") {
    World world;
    world.frame(task + 0x3000, task + 0x2000, 0);
    world.frame(task + 0x2000, task + 0x3000, code + 0x2110);
    CHECK(world.unwind(code + 0x2010, task + 0x3000).end == StackEnd::outside);
    world.frame(task + 0x3000, 0x1234560, 0);
    CHECK(world.unwind(code + 0x2010, task + 0x3000).frames.size() == 1);
}
