// SPDX-License-Identifier: GPL-3.0-or-later
// riscv64: frame records under the frame pointer, and entry code that leaves the registers at the stack pointer.
//
//        |  ...              |
//        +-------------------+ <- s0 of the function: its caller's sp, which is the CFA
//        |  return address   |    s0 - 8
//        |  caller's s0      |    s0 - 16
//        |  locals           |
//        +-------------------+ <- sp, which crash prints in brackets
//
// The kernel is built with frame pointers, and its code has CFI; assembly has neither. handle_exception() stores a struct pt_regs
// where sp points and calls the handler in C, and ret_from_fork() finds one there that was prepared: in both the CFA of who
// they called is that struct. A leaf function stores no return address: interrupted there, it is in ra.
//
// Each CPU has a stack for interrupts (the per-cpu pointer irq_stack_ptr, Linux 163e76cc6ef4, "riscv: stack: Support
// HAVE_IRQ_EXIT_ON_IRQ_STACK", v6.2), entered by call_on_irq_stack(), whose frame record is on the stack that it left; and one of
// 4 kB for when the task's ran over (overflow_stack, CONFIG_VMAP_STACK).
//
// A task that does not run was left in __switch_to(), which stored ra, sp and s0-s11 in thread_struct.
// See arch/riscv/kernel/entry.S, stacktrace.c, irq.c and process.c.
#include "kernel/percpu.hpp"
#include "kernel/stack/machine.hpp"
#include "kernel/word.hpp"
#include <algorithm>

namespace kcrash {
namespace {

enum : unsigned { ra = 1, s0 = 8, s1 = 9, s2 = 18 }; // DWARF numbers
constexpr uint64_t word = 8;

std::vector<StackRange> special_stacks(const Target& target, unsigned cpu) {
    std::vector<StackRange> found;
    const auto of_cpu = [&](const char* name) {
        const auto symbol = kernel_symbol(target, name);
        return symbol ? per_cpu_address(target, *symbol, cpu) : std::nullopt;
    };
    uint64_t begin = 0;
    if (const auto pointer = of_cpu("irq_stack_ptr"); pointer && try_word(target, *pointer, begin) == Fault::none && begin)
        found.push_back({begin, begin + process_stack_size(target), "IRQ", cpu});
    constexpr uint64_t overflow_size = 4096; // OVERFLOW_STACK_SIZE of asm/thread_info.h
    if (const auto stack = of_cpu("overflow_stack")) found.push_back({*stack, *stack + overflow_size, "OVERFLOW", cpu});
    return found;
}

std::vector<CodeRange> entry_code(const Target& target) {
    std::vector<CodeRange> found;
    const SymbolTable& table = target.symbols().kernel();
    // ret_from_fork became two in v6.14.
    for (const char* name : {"handle_exception", "ret_from_exception", "ret_from_fork", "ret_from_fork_kernel_asm", "ret_from_fork_user_asm"})
        for (const size_t index : table.find(name)) {
            const Symbol symbol = table.at(index);
            const size_t next = table.first_above(symbol.address);
            constexpr uint64_t most = 4096; // bytes of it
            const uint64_t size = next < table.size() ? table.at(next).address - symbol.address : most;
            found.push_back({symbol.address, symbol.address + std::min(size, most)});
        }
    return found;
}

std::optional<StackStart> sleeping_start(const Target& target, const Task& task) {
    const Architecture& arch = target.arch();
    const auto saved_ra = target.try_member("task_struct", {"thread.ra"}), saved_sp = target.try_member("task_struct", {"thread.sp"});
    const auto saved = target.try_member("task_struct", {"thread.s"});
    uint64_t pc = 0, sp = 0, value = 0;
    if (!saved_ra || !saved_sp || saved_ra->load(target.kernel(), task.address, pc) != Fault::none ||
        saved_sp->load(target.kernel(), task.address, sp) != Fault::none || !sp)
        return std::nullopt;
    StackStart start;
    start.registers.set(arch.pc, pc);
    start.registers.set(arch.sp, sp);
    start.slot = sp;
    constexpr unsigned numbers[] = {s0, s1, s2, s2 + 1, s2 + 2, s2 + 3, s2 + 4, s2 + 5, s2 + 6, s2 + 7, s2 + 8, s2 + 9};
    for (size_t i = 0; saved && i < std::size(numbers); ++i)
        if (try_word(target, task.address + saved->offset + i * word, value) == Fault::none) start.registers.set(numbers[i], value);
    return start;
}

std::optional<uint64_t> read_word(const StackWorld& world, const Architecture& arch, uint64_t address) {
    std::byte bytes[word];
    if (world.read(address, bytes) != Fault::none) return std::nullopt;
    return load_unsigned(bytes, arch.order);
}

StackStart start_at_slot(const StackWorld& world, const Architecture& arch, uint64_t slot) {
    StackStart start;
    start.slot = slot;
    start.registers.set(arch.sp, slot + word);
    if (const auto pc = read_word(world, arch, slot)) start.registers.set(arch.pc, *pc);
    if (const auto fp = read_word(world, arch, slot - word)) start.registers.set(arch.fp, *fp);
    return start;
}

// The code that started the kernel (head.S) has no frame. Its stack begins below the place for a user's registers.
bool outermost(const FrameView& frame) {
    const auto sp = frame.registers.get(frame.arch.sp);
    return sp && frame.range && frame.range->name.empty() && *sp + frame.arch.pt_regs_size >= frame.range->end;
}

// A function that was interrupted and has made no frame: ra leads into another function, and is not what the frame record says.
bool is_bare_leaf(const FrameView& frame) {
    const auto back = frame.registers.get(ra), fp = frame.registers.get(frame.arch.fp);
    if (frame.is_return_address || !back || !frame.world.is_text(*back)) return false;
    const auto here = frame.world.function_start(frame.lookup), there = frame.world.function_start(*back - 1);
    return here && there && *here != *there && (!fp || frame.word(*fp - word) != back);
}

// At its first instruction entry code has stored nothing: the registers are those of what was interrupted, but for its pc, which only the
// processor has (sepc).
bool has_saved_nothing(const FrameView& frame) {
    return !frame.is_return_address && frame.world.function_start(frame.lookup) == frame.lookup;
}

// QEMU's notes are in the order of the harts. Any of them may be the one that boots, which is CPU 0 then (arch/riscv/kernel/smp.c).
std::optional<size_t> place_in_notes(const Target& target, unsigned cpu) {
    const auto map = kernel_symbol(target, "__cpuid_to_hartid_map");
    uint64_t hart = 0;
    if (!map) return cpu; // a kernel for one processor
    if (try_word(target, *map + cpu * word, hart) != Fault::none) return std::nullopt;
    return hart;
}

std::optional<UnwindRow> frame_rules(const FrameView& frame) {
    const Architecture& arch = frame.arch;
    UnwindRow row;
    if (frame.world.is_entry_code(frame.lookup) && !has_saved_nothing(frame)) {
        row.frame = UnwindRow::Frame::exception;
        row.source = "entry code";
        row.cfa_register = arch.sp;
        return row;
    }
    const auto fp = frame.registers.get(arch.fp), sp = frame.registers.get(arch.sp);
    if (outermost(frame)) {
        row.frame = UnwindRow::Frame::end;
        return row;
    }
    if (is_bare_leaf(frame)) {
        row.frame = UnwindRow::Frame::call;
        row.source = "ra";
        row.cfa_register = arch.sp;
        row.rules = {{arch.pc, {RegisterRule::Kind::in_register, ra, 0}},
                     {arch.sp, {RegisterRule::Kind::cfa_plus, 0, 0}},
                     {arch.fp, {RegisterRule::Kind::same, arch.fp, 0}}};
        return row;
    }
    if (!fp || !sp || *fp % word || *fp < 2 * word) return std::nullopt;
    const bool here = frame.range && *fp > *sp && *fp <= frame.range->end;
    if (!here && !frame.world.stack_of(*fp - word)) return std::nullopt;
    const auto caller = frame.word(*fp - word);
    if (!caller) return std::nullopt;
    if (!frame.world.is_text(*caller)) {
        if (!here || !frame.range->name.empty() || *fp + arch.pt_regs_size < frame.range->end) return std::nullopt;
        row.frame = UnwindRow::Frame::end; // that code called it
        return row;
    }
    row.frame = UnwindRow::Frame::call;
    row.source = "frame pointer";
    row.cfa_register = arch.fp;
    row.rules = {{arch.pc, {RegisterRule::Kind::at_cfa, 0, -static_cast<int64_t>(word)}},
                 {arch.sp, {RegisterRule::Kind::cfa_plus, 0, 0}},
                 {arch.fp, {RegisterRule::Kind::at_cfa, 0, -2 * static_cast<int64_t>(word)}}};
    return row;
}

// Where CFI says nothing of the return address, it is still in ra: only a function that was interrupted has that.
std::optional<UnwindRow> fit(const FrameView& frame, const UnwindRow& row) {
    for (const UnwindRow::Rule& rule : row.rules)
        if (rule.number == frame.arch.pc) return row;
    if (row.frame != UnwindRow::Frame::call) return row;
    if (frame.is_return_address || !frame.registers.get(ra)) return std::nullopt;
    UnwindRow leaf = row;
    leaf.rules.push_back({frame.arch.pc, {RegisterRule::Kind::in_register, ra, 0}});
    return leaf;
}

std::optional<Registers> back_from_wild_jump(const FrameView& frame) {
    const auto caller = frame.registers.get(ra);
    if (!caller) return std::nullopt;
    Registers next = frame.registers;
    next.set(frame.arch.pc, *caller);
    return next;
}

constexpr const char* last_functions[] = {"machine_kexec", "ipi_cpu_crash_stop"};

} // namespace

extern const StackMachine stack_riscv64;
const StackMachine stack_riscv64{
    .arch = "riscv64",
    .special_stacks = special_stacks,
    .entry_code = entry_code,
    .sleeping_start = sleeping_start,
    .last_functions = last_functions,
    .start_at_slot = start_at_slot,
    .frame_rules = frame_rules,
    .fit = fit,
    .back_from_wild_jump = back_from_wild_jump,
    .frame_pointer_leads = false,
    .place_in_notes = place_in_notes,
    .frame_pointer_shown = false,
    .stack_pointer_shown = true,
    .interrupted_is_a_frame = false,
};

} // namespace kcrash
