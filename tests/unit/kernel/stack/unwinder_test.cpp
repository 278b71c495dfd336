// SPDX-License-Identifier: GPL-3.0-or-later
// Stacks written as words, code written as rules.
//
// Code lies in 0x10000-0x20000, 0x100 bytes a function. The task's stack is 0x80000-0x84000, the interrupt stack
// 0x90000-0x94000, the NMI stack 0xa0000-0xa2000.
#include "arch/architecture.hpp"
#include "kernel/stack/unwinder.hpp"
#include "tests/fixtures/word_memory.hpp"
#include <doctest/doctest.h>
#include <fmt/format.h>

using namespace kcrash;
using fixtures::WordMemory;
using Rule = RegisterRule::Kind;

namespace {

constexpr unsigned bp = 6, sp = 7, pc = 16, cs = 51, rbx = 3;
const Architecture& x86_64() { return *find_architecture(62, ByteOrder::little, 8); }

UnwindRow call_row(unsigned base, int64_t offset, RegisterRule bp_rule = {Rule::same, bp, 0}) {
    UnwindRow row;
    row.frame = UnwindRow::Frame::call;
    row.cfa_register = base;
    row.cfa_offset = offset;
    row.source = "ORC";
    row.rules = {{pc, {Rule::at_cfa, 0, -8}}, {sp, {Rule::cfa_plus, 0, 0}}, {bp, bp_rule}};
    return row;
}

UnwindRow bare_row(UnwindRow::Frame frame, unsigned base = sp, int64_t offset = 0) {
    UnwindRow row;
    row.frame = frame;
    row.cfa_register = base;
    row.cfa_offset = offset;
    return row;
}

struct World final : StackWorld {
    WordMemory memory;
    std::map<uint64_t, UnwindRow> functions; // by address / 0x100
    std::map<uint64_t, UnwindRow> saved;     // CFI, likewise
    std::map<uint64_t, uint64_t> traced;     // by slot
    bool frame_pointers = false;

    Fault read(uint64_t address, std::span<std::byte> into) const override { return memory.space().try_read(VirtualAddress{address}, into); }
    static std::optional<UnwindRow> look(const std::map<uint64_t, UnwindRow>& in, uint64_t address) {
        const auto it = in.find(address / 0x100);
        return it == in.end() ? std::nullopt : std::optional(it->second);
    }
    std::optional<UnwindRow> rules(uint64_t lookup) const override { return look(functions, lookup); }
    std::optional<UnwindRow> register_rules(uint64_t lookup) const override { return look(saved, lookup); }
    bool is_text(uint64_t address) const override { return address >= 0x10000 && address < 0x20000; }
    std::optional<StackRange> stack_of(uint64_t at) const override {
        if (at >= 0x80000 && at < 0x84000) return StackRange{0x80000, 0x84000, "", 0};
        if (at >= 0x90000 && at < 0x94000) return StackRange{0x90000, 0x94000, "IRQ", 0};
        if (at >= 0xa0000 && at < 0xa2000) return StackRange{0xa0000, 0xa2000, "NMI", 0};
        return std::nullopt;
    }
    std::optional<uint64_t> original_return(uint64_t slot, uint64_t value) const override {
        if (value != 0x1ff00) return value;
        const auto it = traced.find(slot);
        return it == traced.end() ? std::nullopt : std::optional(it->second);
    }
    std::optional<uint64_t> function_start(uint64_t lookup) const override { return lookup & ~uint64_t{0xff}; }
    bool keeps_frame_pointers() const override { return frame_pointers; }
    std::string describe_missing_rules(uint64_t at) const override { return fmt::format("no unwind data for 0x{:x}", at); }

    void put_regs(uint64_t at, uint64_t ip, uint64_t cs_value, uint64_t sp_value) {
        for (uint64_t i = 0; i < 21; ++i) memory.put(at + i * 8, 0x1000 + i);
        memory.put(at + 128, ip);
        memory.put(at + 136, cs_value);
        memory.put(at + 152, sp_value);
    }
    Stack unwind(uint64_t pc_value, uint64_t sp_value, std::optional<uint64_t> bp_value = {}) const {
        StackStart start;
        start.registers.set(pc, pc_value);
        start.registers.set(sp, sp_value);
        if (bp_value) start.registers.set(bp, *bp_value);
        start.slot = sp_value - 8;
        return unwind_from(*this, x86_64(), start);
    }
};

// "#0 [7fff8] 10010; #1 ...", with what lies between frames.
std::string say(const Stack& stack) {
    std::string text;
    for (const Frame& frame : stack.frames) {
        text += fmt::format("{}#{} [{:x}] {:x}{}", text.empty() ? "" : " ", frame.level, frame.sp, frame.pc, frame.interrupted ? "!" : "");
        if (frame.exception) text += fmt::format(" {{{:x}{}}}", frame.exception->address, frame.exception->user_mode ? " user" : "");
        if (!frame.leaves_stack.empty()) text += " |" + frame.leaves_stack + "|";
    }
    return text;
}

} // namespace

TEST_CASE("unwinder: from return address to return address, up to the outermost function") {
    World world;
    world.functions = {{0x100, call_row(sp, 24)}, {0x101, call_row(sp, 8)}, {0x102, bare_row(UnwindRow::Frame::end)}};
    world.memory.put(0x80110, 0x10180);
    world.memory.put(0x80118, 0x10240);
    const Stack stack = world.unwind(0x10010, 0x80100);
    CHECK(say(stack) == "#0 [800f8] 10010 #1 [80110] 10180 #2 [80118] 10240");
    CHECK(stack.end == StackEnd::outermost);
    CHECK(stack.frames[0].cfa == 0x80118);
    CHECK(stack.frames[1].frame_base == 0x80118);
}

TEST_CASE("unwinder: the registers of an exception lead to the interrupted function, a user's registers end the stack") {
    World world;
    world.functions = {{0x100, call_row(sp, 16)}, {0x101, bare_row(UnwindRow::Frame::exception)}, {0x102, call_row(sp, 16)}};
    world.memory.put(0x80108, 0x10150); // into entry code, above which the registers lie
    world.put_regs(0x80110, 0x10230, 0x10, 0x80200);
    world.memory.put(0x80208, 0x10160);
    world.put_regs(0x80210, 0x400123, 0x33, 0x7ffe0000);
    const Stack stack = world.unwind(0x10010, 0x80100);
    CHECK(say(stack) == "#0 [800f8] 10010 #1 [80108] 10150 {80110} #2 [80200] 10230! #2 [80208] 10160 {80210 user}");
    CHECK(stack.end == StackEnd::user_mode);
    CHECK(stack.frames[2].registers.get(rbx) == 0x1005);
    CHECK(stack.frames[2].lookup() == 0x10230);
    CHECK(stack.frames[3].lookup() == 0x1015f);
}

TEST_CASE("unwinder: from the NMI stack to the interrupt stack to the task's, each once") {
    World world;
    UnwindRow change = call_row(sp, 0); // the other stack's pointer is on top of this one
    change.cfa_dereference = true;
    change.cfa_add = 8;
    world.functions = {{0x100, bare_row(UnwindRow::Frame::exception)}, {0x101, change}, {0x102, bare_row(UnwindRow::Frame::end)}};
    world.put_regs(0xa1000, 0x10120, 0x10, 0x93ff8);
    world.memory.put(0x93ff8, 0x80100);
    world.memory.put(0x80100, 0x10240);
    const Stack stack = world.unwind(0x10010, 0xa1000);
    CHECK(say(stack) == "#0 [a0ff8] 10010 {a1000} |--- <NMI exception stack> ---| #1 [93ff8] 10120! |--- <IRQ stack> ---| #2 [80100] 10240");
    CHECK(stack.frames[0].stack_name == "NMI");
    CHECK(stack.frames[1].stack_name == "IRQ");
    CHECK(stack.frames[2].stack_name == "");
}

TEST_CASE("unwinder: a stack pointer in the guard page below a stack has run over that stack") {
    World world;
    world.functions = {{0x100, bare_row(UnwindRow::Frame::exception)}, {0x101, call_row(sp, 0x418)}, {0x102, call_row(sp, 16)},
                       {0x103, bare_row(UnwindRow::Frame::end)}};
    world.put_regs(0xa1f58, 0x10120, 0x10, 0x7fc40); // a double fault has changed to a stack of its own
    world.memory.put(0x80050, 0x10210);
    world.memory.put(0x80060, 0x10310);
    const Stack stack = world.unwind(0x10010, 0xa1f58);
    CHECK(say(stack) == "#0 [a1f50] 10010 {a1f58} |--- <NMI exception stack> ---| #1 [7fc40] 10120! #2 [80050] 10210 #3 [80060] 10310");
    CHECK(stack.end == StackEnd::outermost);
    CHECK(stack.frames[1].stack_name.empty());
}

TEST_CASE("unwinder: a stack pointer further below than the guard page is on no stack") {
    World world;
    world.functions = {{0x100, bare_row(UnwindRow::Frame::exception)}};
    world.put_regs(0xa1f58, 0x10120, 0x10, 0x7efff);
    const Stack stack = world.unwind(0x10010, 0xa1f58);
    CHECK(stack.end == StackEnd::outside);
    CHECK(stack.message == "the registers at 0xa1f58 name no stack: sp is 0x7efff");
}

TEST_CASE("unwinder: a stack that leads back ends, and says so") {
    World world;
    world.functions = {{0x100, call_row(bp, 16, {Rule::at_cfa, 0, -16})}};
    world.memory.put(0x80200, 0x80100); // the saved frame pointer is below
    world.memory.put(0x80208, 0x10020);
    world.memory.put(0x80108, 0x10030);
    const Stack stack = world.unwind(0x10010, 0x801f0, 0x80200);
    CHECK(say(stack) == "#0 [801e8] 10010 #1 [80208] 10020");
    CHECK(stack.end == StackEnd::outside);
    CHECK(stack.message == "the stack leads back from 0x80210 to 0x80110: it is damaged");
}

TEST_CASE("unwinder: a stack that was left is not entered again") {
    World world;
    world.functions = {{0x100, bare_row(UnwindRow::Frame::exception)}};
    world.put_regs(0xa1000, 0x10020, 0x10, 0x93000);
    world.put_regs(0x93000, 0x10030, 0x10, 0xa1000);
    const Stack stack = world.unwind(0x10010, 0xa1000);
    CHECK(stack.frames.size() == 2);
    CHECK(stack.message == "the registers at 0x93000 name no stack: sp is 0xa1000");
}

TEST_CASE("unwinder: registers that interrupt themselves end after 1024 frames") {
    World world;
    world.functions = {{0x100, bare_row(UnwindRow::Frame::exception)}};
    world.put_regs(0x80100, 0x10010, 0x10, 0x80100);
    const Stack stack = world.unwind(0x10010, 0x80100);
    CHECK(stack.frames.size() == 1024);
    CHECK(stack.message == "more than 1024 frames: the stack is damaged");
}

TEST_CASE("unwinder: what is not an address of code is not a frame") {
    World world;
    world.functions = {{0x100, call_row(sp, 16)}};
    world.memory.put(0x80108, 0xdeadbeef);
    const Stack stack = world.unwind(0x10010, 0x80100);
    CHECK(say(stack) == "#0 [800f8] 10010");
    CHECK(stack.message == "0xdeadbeef at 0x80108 is not an address of code");
}

TEST_CASE("unwinder: a stack that is not in the dump ends with its address") {
    World world;
    world.functions = {{0x100, call_row(sp, 16)}};
    const Stack stack = world.unwind(0x10010, 0x80100);
    CHECK(say(stack) == "#0 [800f8] 10010");
    CHECK(stack.end == StackEnd::unreadable);
    CHECK(stack.message == "the stack at 0x80108 cannot be read");
}

TEST_CASE("unwinder: after a call through a null pointer the caller is on top of the stack") {
    World world;
    world.functions = {{0x100, bare_row(UnwindRow::Frame::exception)}, {0x102, bare_row(UnwindRow::Frame::end)}};
    world.put_regs(0x80100, 0, 0x10, 0x80200);
    world.memory.put(0x80200, 0x10240);
    const Stack stack = world.unwind(0x10010, 0x80100);
    CHECK(say(stack) == "#0 [800f8] 10010 {80100} #1 [80200] 0! #1 [80200] 10240");
    CHECK(stack.end == StackEnd::outermost);
}

TEST_CASE("unwinder: the empty place for a user's registers ends a kernel thread") {
    World world;
    world.functions = {{0x100, bare_row(UnwindRow::Frame::exception)}};
    world.memory.put(0x83f58, 0);
    const Stack stack = world.unwind(0x10010, 0x83f58);
    CHECK(say(stack) == "#0 [83f50] 10010");
    CHECK(stack.end == StackEnd::outermost);
}

TEST_CASE("unwinder: the caller of a function without rules is known by the call of it") {
    World world;
    world.functions = {{0x102, bare_row(UnwindRow::Frame::end)}};
    world.memory.put(0x80100, 0x10250); // what some earlier call left: not a call of 0x10100
    world.memory.put(0x80118, 0x10240);
    world.memory.put(0x1023b, 0xe8, 1);
    world.memory.put(0x1023c, static_cast<uint32_t>(0x10100 - 0x10240), 4);
    const Stack stack = world.unwind(0x10110, 0x80100);
    CHECK(say(stack) == "#0 [800f8] 10110 #1 [80118] 10240");
    CHECK(std::string(stack.frames[1].source) == "call site");
    world.frame_pointers = true;
    CHECK(world.unwind(0x10110, 0x80100).message == "no unwind data for 0x10110");
}

TEST_CASE("unwinder: code made at run time is crossed by its frame pointer, if that leads to code") {
    World world;
    world.functions = {{0x100, call_row(sp, 8)}, {0x102, bare_row(UnwindRow::Frame::end)}};
    world.memory.put(0x80100, 0x70000);
    world.memory.put(0x80200, 0);
    world.memory.put(0x80208, 0x10240);
    const Stack stack = world.unwind(0x10010, 0x80100, 0x80200);
    CHECK(say(stack) == "#0 [800f8] 10010 #1 [80100] 70000 #2 [80208] 10240");
    CHECK(world.unwind(0x10010, 0x80100, 0x80000).message == "0x70000 at 0x80100 is not an address of code");
}

TEST_CASE("unwinder: entry code without rules has the user's registers above it at the end of the task's stack") {
    for (const uint64_t padding : {0, 16}) {
        World world;
        world.frame_pointers = true;
        const uint64_t registers = 0x84000 - padding - 168;
        world.memory.put(registers - 16, 0); // the register was cleared
        world.memory.put(registers - 8, 0x10150);
        world.put_regs(registers, 0x400123, 0x33, 0x7ffe0000);
        const Stack stack = world.unwind(0x10010, 0x83000, registers - 16);
        CHECK(say(stack) == fmt::format("#0 [82ff8] 10010 #1 [{:x}] 10150 {{{:x} user}}", registers - 8, registers));
        CHECK(stack.end == StackEnd::user_mode);
    }
}

TEST_CASE("unwinder: a frame pointer leads from the interrupt stack to the frame of the function that changed to it") {
    World world;
    world.frame_pointers = true;
    world.functions = {{0x103, bare_row(UnwindRow::Frame::end)}};
    world.memory.put(0x93fe8, 0x82000); // the interrupt stack's function keeps the frame pointer of its caller ...
    world.memory.put(0x93ff0, 0x10250);
    world.memory.put(0x82000, 0); // ... which is on the task's stack
    world.memory.put(0x82008, 0x10340);
    const Stack stack = world.unwind(0x10010, 0x93f00, 0x93fe8);
    CHECK(say(stack) == "#0 [93ef8] 10010 #1 [93ff0] 10250 |--- <IRQ stack> ---| #2 [82008] 10340");
    CHECK(stack.end == StackEnd::outermost);
}

TEST_CASE("unwinder: a tracer's return address is replaced by the original, or the stack ends") {
    World world;
    world.functions = {{0x100, call_row(sp, 8)}, {0x102, bare_row(UnwindRow::Frame::end)}};
    world.memory.put(0x80100, 0x1ff00);
    world.traced[0x80100] = 0x10240;
    CHECK(say(world.unwind(0x10010, 0x80100)) == "#0 [800f8] 10010 #1 [80100] 10240");
    world.traced.clear();
    const Stack lost = world.unwind(0x10010, 0x80100);
    CHECK(lost.frames.size() == 1);
    CHECK(lost.message == "a tracer keeps the return address that belongs at 0x80100, and it was not found");
}

TEST_CASE("unwinder: CFI gives back callee-saved registers where it agrees with ORC about the frame, else they are lost") {
    World world;
    world.functions = {{0x100, call_row(sp, 24)}, {0x101, call_row(sp, 16)}, {0x102, bare_row(UnwindRow::Frame::end)}};
    world.saved = {{0x100, call_row(sp, 24)}, {0x101, call_row(sp, 32)}};
    world.saved[0x100].rules.push_back({rbx, {Rule::at_cfa, 0, -16}});
    world.memory.put(0x80108, 0x777);
    world.memory.put(0x80110, 0x10180);
    world.memory.put(0x80120, 0x10240);
    const Stack stack = world.unwind(0x10010, 0x80100);
    REQUIRE(stack.frames.size() == 3);
    CHECK(stack.frames[1].registers.get(rbx) == 0x777);
    CHECK(stack.frames[2].registers.get(rbx) == std::nullopt);
    CHECK(stack.frames[0].registers.get(rbx) == std::nullopt);
}

TEST_CASE("unwinder: a CPU that was in user mode has no frames") {
    World world;
    StackStart start;
    ExceptionFrame user;
    user.user_mode = true;
    start.exception = user;
    const Stack stack = unwind_from(world, x86_64(), start);
    CHECK(stack.frames.empty());
    CHECK(stack.end == StackEnd::user_mode);
}

TEST_CASE("unwinder: registers that a note holds complete the frames that both stacks have, and no others") {
    World world;
    world.functions = {{0x100, call_row(sp, 16)}, {0x101, call_row(sp, 16)}, {0x102, call_row(sp, 16)}, {0x103, bare_row(UnwindRow::Frame::end)}};
    world.saved = world.functions;
    world.memory.put(0x80108, 0x10120); // the handler's way out
    world.memory.put(0x80118, 0x10220);
    world.memory.put(0x80128, 0x10320);
    Stack stack = world.unwind(0x10010, 0x80100);
    REQUIRE(say(stack) == "#0 [800f8] 10010 #1 [80108] 10120 #2 [80118] 10220 #3 [80128] 10320");
    StackStart note; // was taken in the same call of 0x10100, before
    note.registers.set(pc, 0x10110);
    note.registers.set(sp, 0x80110);
    note.registers.set(rbx, 0x777);
    note.is_return_address = false;
    complete_registers(stack, unwind_from(world, x86_64(), note));
    CHECK(stack.frames[0].registers.get(rbx) == std::nullopt);
    CHECK(stack.frames[1].registers.get(rbx) == std::nullopt); // this function may have changed it since
    CHECK(stack.frames[2].registers.get(rbx) == 0x777);
    CHECK(stack.frames[3].registers.get(rbx) == 0x777);
}
