// SPDX-License-Identifier: GPL-3.0-or-later
// loongarch64: no frame records, handlers that run from copies, and one interrupt stack that remembers where it was entered from.
//
//        |  ...              |
//        +-------------------+ <- the caller's sp: the CFA, and fp where a function keeps one
//        |  return address   |    wherever the function likes: usually the first words
//        |  caller's fp      |
//        |  locals           |
//        +-------------------+ <- sp, which crash prints in brackets
//
// Rules are those of ORC (symbols/orc_loongarch64.cpp) where the kernel has it, else of CFI. Code that has neither is read: its prologue
// makes room with addi.d sp, sp, -N and stores ra and fp there. A leaf stores nothing: interrupted there, the return address is in ra.
//
// handle_vint(), handle_syscall() and their like store a struct pt_regs where sp points, and so does the code of a task that was
// never run (ret_from_fork). The processor does not run them where they were linked: set_handler() of traps.c copied them to the vectors,
// 512 bytes each, at eentry for CPU 0 and at pcpu_handlers[] for the others. A return address in a copy is that of its original.
//
// Each CPU has a stack for interrupts, the per-cpu pointer irq_stack. do_vint() enters it 16 bytes under its end with the old stack
// pointer stored there, which is where handle_vint() left the registers.
//
// A task that does not run was left in __switch_to(), which stored ra, sp, fp and s0-s8 in thread_struct.
// See arch/loongarch/kernel/{entry.S,genex.S,switch.S,irq.c,traps.c}, arch/loongarch/mm/tlbex.S.
#include "kernel/percpu.hpp"
#include "kernel/stack/machine.hpp"
#include "kernel/word.hpp"
#include <algorithm>

namespace kcrash {
namespace {

enum : unsigned { ra = 1, sp_number = 3, fp_number = 22 }; // DWARF numbers
constexpr uint64_t word = 8;
constexpr uint64_t instruction = 4;
constexpr uint64_t irq_stack_reserve = 16; // IRQ_STACK_SIZE - IRQ_STACK_START of asm/irq.h

std::vector<StackRange> special_stacks(const Target& target, unsigned cpu) {
    const auto symbol = kernel_symbol(target, "irq_stack");
    const auto pointer = symbol ? per_cpu_address(target, *symbol, cpu) : std::nullopt;
    uint64_t begin = 0;
    if (!pointer || try_word(target, *pointer, begin) != Fault::none || !begin) return {};
    return {{begin, begin + process_stack_size(target), "IRQ", cpu}};
}

CodeRange range_of(const SymbolTable& table, size_t index) {
    constexpr uint64_t most = 4096; // bytes of it
    const uint64_t begin = table.at(index).address;
    const size_t next = table.first_above(begin);
    return {begin, begin + (next < table.size() ? std::min(table.at(next).address - begin, most) : most)};
}

std::vector<CodeRange> entry_code(const Target& target) {
    if (kernel_symbol(target, "__start_orc_unwind")) return {}; // ORC tells it
    static constexpr const char* names[] = {
        "handle_vint", "handle_syscall", "handle_ade", "handle_ale", "handle_bce", "handle_bp", "handle_fpe", "handle_fpu", "handle_lsx",
        "handle_lasx", "handle_lbt", "handle_ri", "handle_watch", "handle_reserved", "handle_tlb_protect", "handle_tlb_load", "handle_tlb_store",
        "handle_tlb_modify", "handle_tlb_load_ptw", "handle_tlb_store_ptw", "handle_tlb_modify_ptw", "tlb_do_page_fault_0", "tlb_do_page_fault_1",
        "ret_from_fork_asm", "ret_from_kernel_thread_asm"};
    const SymbolTable& table = target.symbols().kernel();
    std::vector<CodeRange> found;
    const auto add = [&](const char* name) {
        for (const size_t index : table.find(name)) found.push_back(range_of(table, index));
    };
    std::for_each(std::begin(names), std::end(names), add);
    // They were assembly themselves until v6.16 gave them the suffix and a function in C.
    if (table.find("ret_from_fork_asm").empty()) add("ret_from_fork"), add("ret_from_kernel_thread");
    return found;
}

// The vectors: exceptions by their number, then interrupts, which all have the same handler.
std::vector<CodeCopy> copied_code(const Target& target) {
    constexpr uint64_t vector_size = 512, exceptions = 64, interrupts = 15; // VECSIZE, EXCCODE_INT_START, EXCCODE_INT_NUM
    const auto base = kernel_symbol(target, "eentry"), handlers = kernel_symbol(target, "exception_table");
    const auto copies = kernel_symbol(target, "pcpu_handlers"), of_interrupts = kernel_symbol(target, "handle_vint");
    std::vector<CodeCopy> found;
    if (!base || !handlers || !of_interrupts) return found;
    std::vector<uint64_t> originals(exceptions, 0);
    for (uint64_t i = 0; i < exceptions; ++i)
        if (try_word(target, *handlers + i * word, originals[i]) != Fault::none) originals[i] = 0;
    originals.resize(exceptions + interrupts, *of_interrupts);
    const auto add = [&](uint64_t pointer) {
        uint64_t begin = 0;
        if (try_word(target, pointer, begin) != Fault::none || !begin) return;
        for (uint64_t i = 0; i < originals.size(); ++i)
            if (originals[i]) found.push_back({begin + i * vector_size, begin + (i + 1) * vector_size, originals[i]});
    };
    add(*base);
    for (const unsigned cpu : target.present_cpus())
        if (copies && cpu > 0) add(*copies + cpu * word);
    return found;
}

std::optional<StackStart> sleeping_start(const Target& target, const Task& task) {
    constexpr std::pair<std::string_view, unsigned> members[] = {
        {"thread.reg01", 64}, {"thread.reg03", 3},  {"thread.reg22", 22}, {"thread.reg23", 23}, {"thread.reg24", 24}, {"thread.reg25", 25},
        {"thread.reg26", 26}, {"thread.reg27", 27}, {"thread.reg28", 28}, {"thread.reg29", 29}, {"thread.reg30", 30}, {"thread.reg31", 31}};
    StackStart start;
    for (const auto& [name, number] : members) {
        const auto member = target.try_member("task_struct", {name});
        uint64_t value = 0;
        if (member && member->load(target.kernel(), task.address, value) == Fault::none) start.registers.set(number, value);
    }
    const auto sp = start.registers.get(target.arch().sp);
    if (!sp || *sp == 0) return std::nullopt;
    start.slot = *sp;
    return start;
}

// Where a prologue stores the return address, the caller's fp is below it.
StackStart start_at_slot(const StackWorld& world, const Architecture& arch, uint64_t slot) {
    StackStart start;
    start.slot = slot;
    start.registers.set(arch.sp, slot + word);
    std::byte bytes[2 * word];
    if (world.read(slot - word, bytes) != Fault::none) return start;
    start.registers.set(arch.fp, load<uint64_t>(bytes, arch.order));
    start.registers.set(arch.pc, world.unsigned_return(load<uint64_t>(bytes + word, arch.order)));
    return start;
}

// The code that started the kernel (head.S) has no frame. Its stack begins below the place for a user's registers.
bool outermost(const FrameView& frame) {
    const auto sp = frame.registers.get(frame.arch.sp);
    return sp && frame.range && frame.range->name.empty() && *sp + frame.arch.pt_regs_size >= frame.range->end;
}

// What the code from the begin of a function up to `end` has done to the stack.
struct Prologue {
    uint64_t size = 0; // bytes of the frame
    std::optional<int64_t> saved_ra, saved_fp; // from the stack pointer of the frame
};

Prologue read_prologue(const StackWorld& world, const Architecture& arch, uint64_t begin, uint64_t end) {
    constexpr uint64_t most = 64; // instructions
    Prologue found;
    std::byte bytes[instruction];
    for (uint64_t at = begin; at < std::min(end, begin + most * instruction) && world.read(at, bytes) == Fault::none; at += instruction) {
        const auto code = load<uint32_t>(bytes, arch.order);
        const unsigned rd = code & 31, rj = code >> 5 & 31;
        const int64_t si12 = sign_extend(code >> 10 & 0xfff, 12), si14 = sign_extend(code >> 10 & 0x3fff, 14) * 4;
        if (rj != sp_number) continue;
        const bool add = code >> 22 == 0x0b, store = code >> 22 == 0xa7, store_far = code >> 24 == 0x27; // addi.d, st.d, stptr.d
        if (add && rd == sp_number) {
            if (si12 > 0) break; // an epilogue
            found.size += static_cast<uint64_t>(-si12);
        }
        if ((store || store_far) && rd == ra) found.saved_ra = store ? si12 : si14;
        if ((store || store_far) && rd == fp_number) found.saved_fp = store ? si12 : si14;
    }
    return found;
}

std::optional<UnwindRow> prologue_rules(const FrameView& frame) {
    const auto begin = frame.world.function_start(frame.lookup);
    if (!begin || *begin > frame.lookup) return std::nullopt;
    const Prologue prologue = read_prologue(frame.world, frame.arch, *begin, frame.lookup);
    const auto back = frame.registers.get(ra);
    if (!prologue.saved_ra && (frame.is_return_address || !back || !frame.world.is_text(frame.world.unsigned_return(*back)))) return std::nullopt;
    using Rule = RegisterRule::Kind;
    const int64_t size = static_cast<int64_t>(prologue.size);
    UnwindRow row;
    row.frame = UnwindRow::Frame::call;
    row.source = prologue.saved_ra ? "prologue" : "ra";
    row.cfa_register = frame.arch.sp;
    row.cfa_offset = size;
    row.rules = {{frame.arch.pc, prologue.saved_ra ? RegisterRule{Rule::at_cfa, 0, *prologue.saved_ra - size} : RegisterRule{Rule::in_register, ra, 0}},
                 {frame.arch.sp, {Rule::cfa_plus, 0, 0}},
                 {frame.arch.fp, prologue.saved_fp ? RegisterRule{Rule::at_cfa, 0, *prologue.saved_fp - size} : RegisterRule{Rule::same, frame.arch.fp, 0}}};
    return row;
}

UnwindRow exception_row(const FrameView& frame, const char* source, bool stored) {
    UnwindRow row;
    row.frame = UnwindRow::Frame::exception;
    row.source = source;
    row.cfa_register = frame.arch.sp;
    row.cfa_dereference = stored;
    return row;
}

// do_vint() at the end of the interrupt stack.
bool is_at_change_of_stacks(const FrameView& frame) {
    const auto sp = frame.registers.get(frame.arch.sp);
    return sp && frame.range && !frame.range->name.empty() && *sp == frame.range->end - irq_stack_reserve;
}

std::optional<UnwindRow> frame_rules(const FrameView& frame) {
    if (frame.world.is_entry_code(frame.lookup)) return exception_row(frame, "entry code", false);
    if (is_at_change_of_stacks(frame)) return exception_row(frame, "interrupt stack", true);
    if (outermost(frame)) {
        UnwindRow row;
        row.frame = UnwindRow::Frame::end;
        return row;
    }
    return prologue_rules(frame);
}

// Rules know nothing of a change of stacks. And where CFI says nothing of the return address, it is still in ra: only a function that was
// interrupted has that.
std::optional<UnwindRow> fit(const FrameView& frame, const UnwindRow& row) {
    if (is_at_change_of_stacks(frame)) return exception_row(frame, row.source, true);
    if (row.frame != UnwindRow::Frame::call) return row;
    const auto of_pc = std::find_if(row.rules.begin(), row.rules.end(), [&](const UnwindRow::Rule& rule) { return rule.number == frame.arch.pc; });
    if (of_pc != row.rules.end() && of_pc->rule.kind != RegisterRule::Kind::in_register) return row;
    if (frame.is_return_address || !frame.registers.get(ra)) return std::nullopt;
    UnwindRow leaf = row;
    if (of_pc == row.rules.end()) leaf.rules.push_back({frame.arch.pc, {RegisterRule::Kind::in_register, ra, 0}});
    return leaf;
}

std::optional<Registers> back_from_wild_jump(const FrameView& frame) {
    const auto caller = frame.registers.get(ra);
    if (!caller) return std::nullopt;
    Registers next = frame.registers;
    next.set(frame.arch.pc, frame.world.unsigned_return(*caller));
    return next;
}

// The code before a return address: bl, or jirl that leaves its address in ra.
bool follows_call(const StackWorld& world, const Architecture& arch, uint64_t return_address) {
    std::byte bytes[instruction];
    if (world.read(return_address - instruction, bytes) != Fault::none) return false;
    const auto code = load<uint32_t>(bytes, arch.order);
    return code >> 26 == 0x15 || (code >> 26 == 0x13 && (code & 31) == ra);
}

// Of the first instructions of a function.
uint64_t end_of(const StackWorld& world, uint64_t begin) {
    constexpr uint64_t most = 64; // instructions
    uint64_t at = begin;
    while (at < begin + most * instruction && world.function_start(at) == begin) at += instruction;
    return at;
}

// QEMU's note has CSR.ERA in the place of the pc (its target/loongarch/arch_dump.c), and ra leads back into a function F: after a call that F
// made of a function G.
//  - G has made its frame: it stored ra there. If ERA is in G it may stand for the pc; else the stack begins with F, above G's frame.
//  - G has no frame, or has returned: the stack begins with F at this very sp.
// A G that was called by a pointer and has made a frame cannot be told from the second: then F's return address is no place behind a call.
bool begin_without_pc(const StackWorld& world, const Architecture& arch, StackStart& start) {
    const auto stored = start.registers.get(ra), sp = start.registers.get(sp_number), era = start.registers.get(arch.pc);
    const uint64_t back = stored ? world.unsigned_return(*stored) : 0;
    if (!sp || !world.is_text(back)) return false;
    Registers first;
    first.set(arch.pc, back);
    first.set(sp_number, *sp);
    for (const unsigned number : arch.callee_saved) first.copy(start.registers, number);
    std::byte bytes[word];
    const auto code = std::span<std::byte>(bytes).first(instruction);
    const auto called = world.read(back - instruction, code) == Fault::none ? arch.call_target(code, back) : std::nullopt;
    const Prologue prologue = called ? read_prologue(world, arch, *called, end_of(world, *called)) : Prologue();
    const auto stored_at = [&](const std::optional<int64_t>& place, uint64_t& value) {
        if (!place || world.read(*sp + static_cast<uint64_t>(*place), bytes) != Fault::none) return false;
        value = load<uint64_t>(bytes, arch.order);
        return true;
    };
    uint64_t value = 0;
    bool with_era = false;
    if (stored_at(prologue.saved_ra, value) && value == *stored) {
        const bool inside = era && world.function_start(*era) == called;
        const Prologue before = inside ? read_prologue(world, arch, *called, *era) : Prologue();
        with_era = before.saved_ra && before.size == prologue.size;
        first = Registers();
        first.set(arch.pc, back);
        first.set(sp_number, *sp + prologue.size);
        if (stored_at(prologue.saved_fp, value)) first.set(arch.fp, value);
        else if (!prologue.saved_fp) first.copy(start.registers, arch.fp);
    }
    if (!with_era) {
        start.registers = first;
        start.is_return_address = true;
        start.source = "ra";
    }
    const Stack stack = unwind_from(world, arch, start, 2);
    return stack.frames.size() < 2 || !stack.frames[1].is_return_address || follows_call(world, arch, stack.frames[1].pc);
}

constexpr const char* last_functions[] = {"machine_kexec", "crash_shutdown_secondary"};

} // namespace

extern const StackMachine stack_loongarch64;
const StackMachine stack_loongarch64{
    .arch = "loongarch64",
    .special_stacks = special_stacks,
    .entry_code = entry_code,
    .copied_code = copied_code,
    .sleeping_start = sleeping_start,
    .last_functions = last_functions,
    .start_at_slot = start_at_slot,
    .frame_rules = frame_rules,
    .fit = fit,
    .back_from_wild_jump = back_from_wild_jump,
    .frame_pointer_leads = false,
    .begin_without_pc = begin_without_pc,
    .frame_pointer_shown = false,
    .stack_pointer_shown = true,
    .interrupted_is_a_frame = false,
};

} // namespace kcrash
