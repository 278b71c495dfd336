// SPDX-License-Identifier: GPL-3.0-or-later
// Stacks of arm, arm64, i386, loongarch64 and riscv64, written as words: frame records, entry code, interrupt stacks, functions without a frame.
//
// Code lies in 0x10000-0x20000, 0x100 bytes a function; 0x1f000-0x20000 is entry code. The task's stack is 0x80000-0x84000, the
// interrupt stack 0x90000-0x94000. Layouts: arch/riscv/kernel/entry.S and stacktrace.c; arch/x86/entry/entry_32.S;
// arch/loongarch/kernel/genex.S and irq.c; arch/arm/kernel/entry-common.S.
#include "arch/architecture.hpp"
#include "kernel/stack/machine.hpp"
#include "tests/fixtures/word_memory.hpp"
#include <doctest/doctest.h>
#include <fmt/format.h>

using namespace kcrash;
using fixtures::WordMemory;

namespace {

struct World final : StackWorld {
    const Architecture& arch;
    uint64_t base;
    WordMemory memory;
    std::optional<UnwindRow> cfi; // of the function at 0x10500
    explicit World(uint16_t machine, unsigned word)
        : arch(*find_architecture(machine, ByteOrder::little, word)), base(word == 8 ? 0xffffffff80000000 : 0xc0000000) {}

    Fault read(uint64_t address, std::span<std::byte> into) const override { return memory.space().try_read(VirtualAddress{address}, into); }
    std::optional<UnwindRow> rules(uint64_t at) const override { return at >= base + 0x10500 && at < base + 0x10600 ? cfi : std::nullopt; }
    std::optional<UnwindRow> register_rules(uint64_t) const override { return std::nullopt; }
    bool is_text(uint64_t address) const override { return address >= base + 0x10000 && address < base + 0x20000; }
    bool is_entry_code(uint64_t address) const override { return address >= base + 0x1f000 && address < base + 0x20000; }
    std::optional<StackRange> stack_of(uint64_t at) const override {
        if (at >= base + 0x80000 && at < base + 0x84000) return StackRange{base + 0x80000, base + 0x84000, "", 0};
        if (at >= base + 0x90000 && at < base + 0x94000) return StackRange{base + 0x90000, base + 0x94000, "IRQ", 0};
        return std::nullopt;
    }
    std::optional<uint64_t> original_return(uint64_t, uint64_t value) const override { return value; }
    std::optional<uint64_t> function_start(uint64_t lookup) const override { return lookup & ~uint64_t{0xff}; }
    bool keeps_frame_pointers() const override { return true; }
    std::string describe_missing_rules(uint64_t at) const override { return fmt::format("no unwind data for 0x{:x}", at); }

    void put(uint64_t at, uint64_t value) { memory.put(base + at, value, arch.word_size); }
    void put_registers(uint64_t at, std::initializer_list<std::pair<const char*, uint64_t>> values) {
        for (uint64_t i = 0; i < arch.pt_regs_size; i += arch.word_size) put(at + i, 0);
        for (const auto& [name, value] : values)
            for (const SavedRegister& saved : arch.pt_regs)
                if (std::string_view(saved.name) == name) memory.put(base + at + saved.offset, value, saved.size ? saved.size : arch.word_size);
    }
    StackStart start(uint64_t pc, uint64_t sp, uint64_t fp) const {
        StackStart start;
        start.registers.set(arch.pc, base + pc);
        start.registers.set(arch.sp, base + sp);
        start.registers.set(arch.fp, base + fp);
        start.slot = base + sp;
        return start;
    }
    // Addresses without the base.
    std::string say(const StackStart& from) const {
        const Stack stack = unwind_from(*this, arch, from);
        std::string text;
        for (const Frame& frame : stack.frames) {
            text += fmt::format("{}[{:x}] {:x}{}", text.empty() ? "" : " ", frame.sp - base, frame.pc - base, frame.interrupted ? "!" : "");
            if (frame.exception) text += fmt::format(" {{{:x}{}}}", frame.exception->address - base, frame.exception->user_mode ? " user" : "");
            if (!frame.leaves_stack.empty()) text += " |" + frame.leaves_stack + "|";
        }
        return text + (stack.end == StackEnd::user_mode ? " user" : stack.end == StackEnd::outermost ? " outermost" : " " + stack.message);
    }
};

World arm64() { return World(183, 8); }
World riscv64() { return World(243, 8); }
World i386() { return World(3, 4); }
World loongarch64() { return World(258, 8); }
World arm() { return World(40, 4); }

} // namespace

TEST_CASE("riscv64: from frame record to frame record, through entry code to the user's registers") {
    World world = riscv64();
    world.put(0x80038, world.base + 0x10150); // where the caller goes on, and its s0
    world.put(0x80030, world.base + 0x80080);
    world.put(0x80078, world.base + 0x1f020);
    world.put(0x80070, 0);
    world.put_registers(0x80080, {{"PC", 0x10304}, {"SP", 0x7ffe0000}, {"STATUS", 0x200004020}});
    CHECK(world.say(world.start(0x10010, 0x80000, 0x80040)) == "[80000] 10010 [80040] 10150 [80080] 1f020 {80080 user} user");
}

TEST_CASE("riscv64: an interrupt on its own stack leads to the function that it interrupted, and one without a frame to who called it") {
    World world = riscv64();
    world.put(0x93ff8, world.base + 0x10450); // call_on_irq_stack()'s frame record is on the task's stack
    world.put(0x93ff0, world.base + 0x80100);
    world.put(0x800f8, world.base + 0x1f040);
    world.put(0x800f0, world.base + 0x80400);
    // Interrupted in the kernel (SPP): a leaf function whose caller is in ra, and whose s0 is still the caller's.
    world.put_registers(0x80100, {{"PC", world.base + 0x10520}, {"RA", world.base + 0x10630}, {"SP", world.base + 0x80300}, {"S0", world.base + 0x80340}, {"STATUS", 0x200000120}});
    world.put(0x80338, world.base + 0x1f020);
    world.put(0x80330, 0);
    world.put_registers(0x80340, {}); // a thread of the kernel has no user
    CHECK(world.say(world.start(0x10010, 0x93f00, 0x94000)) ==
          "[93f00] 10010 [94000] 10450 |--- <IRQ stack> ---| [80100] 1f040 {80100} [80300] 10520! [80300] 10630 [80340] 1f020 outermost");
}

TEST_CASE("riscv64: at its first instruction entry code has saved nothing, and the frame record is that of what was interrupted") {
    World world = riscv64();
    world.put(0x80038, world.base + 0x10150);
    world.put(0x80030, world.base + 0x80080);
    world.put(0x80078, world.base + 0x1f020);
    world.put(0x80070, 0);
    world.put_registers(0x80080, {{"PC", 0x10304}, {"SP", 0x7ffe0000}, {"STATUS", 0x200004020}});
    StackStart start = world.start(0x1f100, 0x80000, 0x80040);
    start.is_return_address = false;
    CHECK(world.say(start) == "[80000] 1f100 [80040] 10150 [80080] 1f020 {80080 user} user");
}

TEST_CASE("i386: entry code's mark in the frame pointer leads to the registers, and its absence to the stack pointer") {
    World world = i386();
    world.put(0x80040, world.base + 0x80080); // the caller's ebp, and where it goes on
    world.put(0x80044, world.base + 0x10150);
    world.put(0x80080, (world.base + 0x80100) & 0x7fffffff); // ENCODE_FRAME_POINTER
    world.put(0x80084, world.base + 0x1f020);
    world.put_registers(0x80100, {{"EIP", 0xb7f00559}, {"CS", 0x73}, {"ESP", 0xbfc00000}, {"SS", 0x7b}, {"EFLAGS", 0x246}});
    CHECK(world.say(world.start(0x10010, 0x80000, 0x80040)) == "[80000] 10010 [80044] 10150 [80084] 1f020 {80100 user} user");
    World bare = i386();
    bare.put(0x80040, 0);
    bare.put(0x80044, bare.base + 0x1f020);
    bare.put_registers(0x80048, {{"EIP", 0xb7f00559}, {"CS", 0x73}, {"ESP", 0xbfc00000}, {"SS", 0x7b}, {"EFLAGS", 0x246}});
    CHECK(bare.say(bare.start(0x10010, 0x80000, 0x80040)) == "[80000] 10010 [80044] 1f020 {80048 user} user");
}

TEST_CASE("i386: the code that started a CPU has no frame and no caller") {
    World world = i386();
    world.put(0x83fac, 0);
    world.put(0x83fb0, world.base + 0x10150);
    CHECK(world.say(world.start(0x10010, 0x83f00, 0x83fac)) == "[83f00] 10010 [83fb0] 10150 outermost");
}

TEST_CASE("riscv64: who was called by the code that started a CPU is the outermost") {
    World world = riscv64();
    world.put(0x83ed8, world.base + 0x1000); // before the text
    world.put(0x83ed0, 0);
    CHECK(world.say(world.start(0x10010, 0x83eb0, 0x83ee0)) == "[83eb0] 10010 outermost");
    world.put(0x80038, world.base + 0x1000);
    CHECK(world.say(world.start(0x10010, 0x80000, 0x80040)) == "[80000] 10010 no unwind data for 0xffffffff80010010");
}

TEST_CASE("riscv64: the code that started the kernel has no frame and no caller") {
    World world = riscv64();
    world.put(0x83ed8, world.base + 0x10150);
    world.put(0x83ed0, 0);
    CHECK(world.say(world.start(0x10010, 0x83e00, 0x83ee0)) == "[83e00] 10010 [83ee0] 10150 outermost");
}

TEST_CASE("arm64: where the return address is in a register that nobody knows, the frame record leads on") {
    World world = arm64();
    UnwindRow& row = world.cfi.emplace();
    row.frame = UnwindRow::Frame::call;
    row.source = "CFI";
    row.cfa_register = world.arch.sp;
    row.rules = {{world.arch.pc, {RegisterRule::Kind::in_register, world.arch.lr, 0}}};
    world.put(0x80038, world.base + 0x10150);
    world.put(0x80030, world.base + 0x80080);
    StackStart start = world.start(0x10500, 0x80000, 0x80030);
    start.is_return_address = false;
    CHECK(world.say(start) == "[80030] 10500 [80080] 10150 outermost");
    start.registers.set(world.arch.lr, world.base + 0x10250);
    CHECK(world.say(start) == "[80030] 10500 [80030] 10250 [80080] 10150 outermost");
}

TEST_CASE("riscv64: a return address in a register that nobody knows is not called unreadable memory") {
    World world = riscv64();
    UnwindRow& row = world.cfi.emplace();
    row.frame = UnwindRow::Frame::call;
    row.source = "CFI";
    row.cfa_register = world.arch.sp;
    row.rules = {{world.arch.pc, {RegisterRule::Kind::in_register, world.arch.lr, 0}}};
    StackStart start = world.start(0x10500, 0x80000, 0x80040);
    start.is_return_address = false;
    CHECK(world.say(start) == "[80000] 10500 the return address of 0xffffffff80010500 is in a register that is not known");
}

TEST_CASE("loongarch64: a function without rules is read, and entry code has the user's registers at the stack pointer") {
    World world = loongarch64();
    for (const auto& [at, code] : {std::pair<uint64_t, uint64_t>{0x10100, 0x02ff0063}, {0x10104, 0x29c0e061}, {0x10108, 0x29c0c076}}) // addi.d, st.d ra, st.d fp
        world.memory.put(world.base + at, code, 4);
    world.put(0x80038, world.base + 0x1f020);
    world.put(0x80030, 0);
    world.put_registers(0x80040, {{"ERA", 0x10304}, {"R3", 0x7ffe0000}, {"PRMD", 7}});
    CHECK(world.say(world.start(0x10150, 0x80000, 0)) == "[80000] 10150 [80040] 1f020 {80040 user} user");
}

TEST_CASE("loongarch64: the end of the interrupt stack has the place of the registers, and a function that stores nothing returns to ra") {
    World world = loongarch64();
    world.put(0x93ff0, world.base + 0x80100);
    world.put_registers(0x80100, {{"ERA", world.base + 0x10310}, {"R1", world.base + 0x10404}, {"R3", world.base + 0x80300}, {"PRMD", 0}});
    world.memory.put(world.base + 0x10300, 0x03400000, 4); // nop
    world.memory.put(world.base + 0x10400, 0x03400000, 4);
    CHECK(world.say(world.start(0x10210, 0x93ff0, 0)) ==
          "[93ff0] 10210 {80100} |--- <IRQ stack> ---| [80300] 10310! [80300] 10404 no unwind data for 0xffffffff80010404");
}

TEST_CASE("arm: a system call's arguments lie below the user's registers") {
    World world = arm();
    world.put_registers(0x83fb0, {{"PC", 0x10304}, {"SP", 0x7ffe0000}, {"PSR", 0x60000010}});
    CHECK(world.say(world.start(0x1f020, 0x83fa8, 0)) == "[83fa8] 1f020 {83fb0 user} user");
    CHECK(world.say(world.start(0x1f020, 0x83fb0, 0)) == "[83fb0] 1f020 {83fb0 user} user");
}

TEST_CASE("arm: an interrupt's registers are at the stack pointer, and those of a thread of the kernel are zero") {
    World world = arm();
    world.put_registers(0x80100, {{"PC", world.base + 0x1f010}, {"SP", world.base + 0x83fb0}, {"PSR", 0x60000013}});
    world.put_registers(0x83fb0, {{"PSR", 0x13}});
    CHECK(world.say(world.start(0x1f020, 0x80100, 0)) == "[80100] 1f020 {80100} [83fb0] 1f010! outermost");
}

TEST_CASE("arm: a frame record has the return address below the place that fp points to") {
    World world = arm();
    world.put(0x80020, world.base + 0x10108);
    world.put(0x8001c, world.base + 0x1f020);
    world.put(0x80014, world.base + 0x80080);
    world.put_registers(0x80024, {{"PC", 0x10304}, {"SP", 0x7ffe0000}, {"PSR", 0x60000010}});
    CHECK(world.say(world.start(0x10120, 0x80000, 0x80020)) == "[80000] 10120 [80024] 1f020 {80024 user} user");
    World wrong = arm();
    wrong.put(0x80020, wrong.base + 0x10108);
    wrong.put(0x8001c, 0x1234);
    CHECK(wrong.say(wrong.start(0x10120, 0x80000, 0x80020)) == "[80000] 10120 no unwind data for 0xc0010120");
}

// A frame of 16 bytes with the return address at its end, for the function at 0x10500.
static UnwindRow frame_of_16(const Architecture& arch) {
    UnwindRow row;
    row.frame = UnwindRow::Frame::call;
    row.source = "CFI";
    row.cfa_register = arch.sp;
    row.cfa_offset = 16;
    row.rules = {{arch.pc, {RegisterRule::Kind::at_cfa, 0, -static_cast<int64_t>(arch.word_size)}}, {arch.sp, {RegisterRule::Kind::cfa_plus, 0, 0}}};
    return row;
}

TEST_CASE("arm: the stack of an idle CPU has no place for a user's registers, and begins with code from before the page tables") {
    World world = arm();
    world.cfi = frame_of_16(world.arch);
    world.put(0x83fe4, world.base + 0x10510);
    world.put(0x83ff4, 0x40301a20);
    CHECK(world.say(world.start(0x10520, 0x83fd8, 0)) == "[83fd8] 10520 [83fe8] 10510 outermost");
}

TEST_CASE("riscv64: a last return address that is no code ends the stack only where nobody entered the kernel") {
    const auto say = [](std::initializer_list<std::pair<const char*, uint64_t>> entered) {
        World world = riscv64();
        world.cfi = frame_of_16(world.arch);
        world.put(0x83ed8, 0x4141414141414141);
        world.put_registers(0x83ee0, entered);
        return world.say(world.start(0x10520, 0x83ed0, 0));
    };
    CHECK(say({}) == "[83ed0] 10520 outermost");
    CHECK(say({{"PC", 0x10304}, {"SP", 0x7ffe0000}}) == "[83ed0] 10520 0x4141414141414141 at 0xffffffff80083ed8 is not an address of code");
}

TEST_CASE("loongarch64: without a pc the stack begins with the function that the last call returns to") {
    constexpr uint64_t call = 0x57fef3ff, prologue[] = {0x02ff0063, 0x29c0e061, 0x29c0c076}; // bl -68 instructions; addi.d, st.d ra, st.d fp
    World world = loongarch64();
    for (const uint64_t function : {0x10100, 0x10200})
        for (uint64_t i = 0; i < 3; ++i) world.memory.put(world.base + function + i * 4, prologue[i], 4);
    world.memory.put(world.base + 0x10210, call, 4); // of the function at 0x10100
    const auto begin = [](const World& here, uint64_t era) {
        StackStart start = here.start(era, 0x80000, 0);
        start.registers.set(1, here.base + 0x10214);
        start.is_return_address = false;
        const bool known = stack_machine(here.arch).begin_without_pc(here, here.arch, start);
        return known ? here.say(start) : "nobody knows";
    };
    SUBCASE("what was called has made its frame") {
        world.put(0x80038, world.base + 0x10214);
        world.put(0x80030, 0);
        world.put(0x80078, world.base + 0x1f020);
        world.put(0x80070, 0);
        world.put_registers(0x80080, {{"ERA", 0x10304}, {"R3", 0x7ffe0000}, {"PRMD", 7}});
        CHECK(begin(world, 0x10304) == "nobody knows"); // 0x1f020 does not follow a call
        world.memory.put(world.base + 0x1f01c, call, 4);
        CHECK(begin(world, 0x10304) == "[80040] 10214 [80080] 1f020 {80080 user} user");
        CHECK(begin(world, 0x1010c) == "[80000] 1010c [80040] 10214 [80080] 1f020 {80080 user} user");
        CHECK(begin(world, 0x10100) == "[80040] 10214 [80080] 1f020 {80080 user} user"); // an earlier interrupt, at its first instruction
    }
    SUBCASE("what was called has returned") {
        world.memory.put(world.base + 0x1f01c, call, 4);
        world.put(0x80038, world.base + 0x1f020);
        world.put(0x80030, 0);
        world.put_registers(0x80040, {{"ERA", 0x10304}, {"R3", 0x7ffe0000}, {"PRMD", 7}});
        CHECK(begin(world, 0x1010c) == "[80000] 10214 [80040] 1f020 {80040 user} user");
    }
}
