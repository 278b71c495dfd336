// SPDX-License-Identifier: GPL-3.0-or-later
// i386: frame pointers, and entry code that hides the registers' address in one.
//
// There is no ORC on 32 bits. C code has CFI and keeps the chain of frame pointers; assembly has neither, but stores where the
// struct pt_regs lies in the frame pointer, with bit 31 cleared, which every kernel address has (ENCODE_FRAME_POINTER of
// arch/x86/entry/entry_32.S). A kernel that was built without frame pointers has no mark; there entry code is known by its name: what
// it called finds the registers at the stack pointer.
//
// Each CPU has a stack for interrupts and one for soft interrupts, as large as a task's. The per-cpu pointers hardirq_stack_ptr
// and softirq_stack_ptr (hardirq_stack and softirq_stack before v5.2) name their low ends. They are entered by an exchange of
// stack pointers inside a function whose frame pointer stays on the stack that it left (call_on_stack() of irq_32.c). The double fault's
// stack is in the cpu_entry_area; its registers are the old task's TSS.
//
// A task that does not run was left in __switch_to_asm(), which pushed a struct inactive_task_frame: thread.sp points to it
// (arch/x86/include/asm/switch_to.h).
#include "kernel/percpu.hpp"
#include "kernel/stack/machine.hpp"
#include "kernel/word.hpp"
#include <algorithm>

namespace kcrash {
namespace {

constexpr uint64_t word = 4;

std::vector<StackRange> special_stacks(const Target& target, unsigned cpu) {
    std::vector<StackRange> found;
    const uint64_t size = process_stack_size(target);
    const auto add = [&](std::initializer_list<const char*> pointers, const char* name) {
        for (const char* pointer : pointers) {
            const auto symbol = kernel_symbol(target, pointer);
            const auto address = symbol ? per_cpu_address(target, *symbol, cpu) : std::nullopt;
            uint64_t begin = 0;
            if (!address || try_word(target, *address, begin) != Fault::none || !begin) continue;
            found.push_back({begin, begin + size, name, cpu});
            return;
        }
    };
    add({"hardirq_stack_ptr", "hardirq_stack"}, "IRQ");
    add({"softirq_stack_ptr", "softirq_stack"}, "IRQ");
    return found;
}

// Where assembly calls C with the registers at the stack pointer.
std::vector<CodeRange> entry_code(const Target& target) {
    std::vector<CodeRange> found;
    const SymbolTable& table = target.symbols().kernel();
    const auto begin = kernel_symbol(target, "__entry_text_start"), end = kernel_symbol(target, "__entry_text_end");
    if (!begin || !end || *end <= *begin) return found;
    found.push_back({*begin, *end});
    // It has moved out of the entry text; a task that never ran returns to it.
    for (const size_t index : table.find("ret_from_fork")) found.push_back({table.at(index).address, table.at(index).address + 64});
    return found;
}

std::optional<StackStart> sleeping_start(const Target& target, const Task& task) {
    const Architecture& arch = target.arch();
    const auto saved_sp = target.try_member("task_struct", {"thread.sp"});
    uint64_t sp = 0, value = 0;
    if (!saved_sp || saved_sp->load(target.kernel(), task.address, sp) != Fault::none || !sp) return std::nullopt;
    StackStart start;
    constexpr std::pair<const char*, unsigned> members[] = {{"bx", 3}, {"bp", 5}, {"si", 6}, {"di", 7}};
    for (const auto& [name, number] : members)
        if (const auto member = target.try_member("inactive_task_frame", {name}))
            if (member->load(target.kernel(), sp, value) == Fault::none) start.registers.set(number, value);
    const auto return_address = target.try_member("inactive_task_frame", {"ret_addr"});
    if (!return_address || return_address->load(target.kernel(), sp, value) != Fault::none) return std::nullopt;
    start.slot = sp + return_address->offset;
    start.registers.set(arch.pc, value);
    start.registers.set(arch.sp, start.slot + word);
    return start;
}

StackStart start_at_slot(const StackWorld& world, const Architecture& arch, uint64_t slot) {
    StackStart start;
    start.slot = slot;
    start.registers.set(arch.sp, slot + word);
    std::byte bytes[word];
    if (world.read(slot, bytes) == Fault::none) start.registers.set(arch.pc, load_unsigned(bytes, arch.order));
    return start;
}

std::optional<UnwindRow> exception_at(unsigned number, int64_t offset, const char* source) {
    UnwindRow row;
    row.frame = UnwindRow::Frame::exception;
    row.source = source;
    row.cfa_register = number;
    row.cfa_offset = offset;
    return row;
}

// The code that started the kernel or a CPU (head_32.S) has no frame. Its stack begins below the place for a user's registers.
bool outermost(const FrameView& frame) {
    constexpr uint64_t padding = 8; // at the top of a task's stack, at least: TOP_OF_KERNEL_STACK_PADDING of asm/thread_info.h
    const auto sp = frame.registers.get(frame.arch.sp);
    return sp && frame.range && frame.range->name.empty() && *sp + frame.arch.pt_regs_size + padding >= frame.range->end;
}

// A chain of frame pointers is believed only if it leads to an address of text, upwards or to another stack.
std::optional<UnwindRow> frame_rules(const FrameView& frame) {
    const Architecture& arch = frame.arch;
    const auto fp = frame.registers.get(arch.fp), sp = frame.registers.get(arch.sp);
    constexpr uint64_t mark = 0x80000000;
    if (frame.world.is_entry_code(frame.lookup)) {
        if (fp && sp && !(*fp & mark) && (*fp | mark) >= *sp && frame.range && (*fp | mark) < frame.range->end)
            return exception_at(arch.fp, int64_t{mark}, "frame pointer");
        return exception_at(arch.sp, 0, "entry code");
    }
    if (outermost(frame)) {
        UnwindRow last;
        last.frame = UnwindRow::Frame::end;
        return last;
    }
    if (!fp || !sp || *fp % word) return std::nullopt;
    const bool here = frame.range && *fp >= *sp && *fp < frame.range->end;
    if (!here && !frame.world.stack_of(*fp)) return std::nullopt;
    const auto caller = frame.word(*fp + word);
    if (!caller || !frame.world.is_text(*caller)) return std::nullopt;
    UnwindRow row;
    row.frame = UnwindRow::Frame::call;
    row.source = "frame pointer";
    row.cfa_register = arch.fp;
    row.cfa_offset = 2 * word;
    row.rules = {{arch.pc, {RegisterRule::Kind::at_cfa, 0, -static_cast<int64_t>(word)}},
                 {arch.sp, {RegisterRule::Kind::cfa_plus, 0, 0}},
                 {arch.fp, {RegisterRule::Kind::at_cfa, 0, -2 * static_cast<int64_t>(word)}}};
    return row;
}

// The call left the return address on top of the stack.
std::optional<Registers> back_from_wild_jump(const FrameView& frame) {
    const uint64_t sp = *frame.registers.get(frame.arch.sp);
    const auto caller = frame.word(sp);
    if (!caller) return std::nullopt;
    Registers next = frame.registers;
    next.set(frame.arch.pc, *caller);
    next.set(frame.arch.sp, sp + word);
    return next;
}

constexpr const char* last_functions[] = {"machine_kexec", "crash_nmi_callback"};

} // namespace

extern const StackMachine stack_i386;
const StackMachine stack_i386{
    .arch = "i386",
    .special_stacks = special_stacks,
    .entry_code = entry_code,
    .sleeping_start = sleeping_start,
    .last_functions = last_functions,
    .start_at_slot = start_at_slot,
    .frame_rules = frame_rules,
    .fit = nullptr,
    .back_from_wild_jump = back_from_wild_jump,
    .frame_pointer_leads = false,
    .frame_pointer_shown = false,
    .stack_pointer_shown = false,
    .interrupted_is_a_frame = false,
};

} // namespace kcrash
