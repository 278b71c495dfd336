// SPDX-License-Identifier: GPL-3.0-or-later
// arm: rules at every call, frame records only where the kernel was configured so, and entry code that leaves the registers at sp.
//
// C code has CFI in the debug files, and unwind tables in the kernel itself (symbols/ehabi.cpp), which know assembly as well. A
// kernel with CONFIG_UNWINDER_FRAME_POINTER has no tables; gcc's frames are then those of the old procedure call standard:
//
//        |  ...              |
//        +-------------------+ <- the CFA
//        |  pc at its begin  | <- fp (r11)
//        |  return address   |    fp - 4
//        |  caller's sp      |    fp - 8
//        |  caller's fp      |    fp - 12
//
// __irq_svc(), vector_swi() and their like (__entry_text_start to __entry_text_end) store a struct pt_regs where sp points. That of a
// user is always at the same place, 8 bytes under the end of the task's stack; a system call's fifth and sixth arguments may lie below it.
//
// Each CPU has a stack for interrupts (the per-cpu pointer irq_stack_ptr is its end, Linux d4664b6c987f, "ARM: implement IRQ stacks", v5.18),
// entered by call_with_stack(), whose fp stays on the stack that it left; and one of 4 kB for when the task's ran over (overflow_stack_ptr).
// The modes of the processor have stacks of three words, on which no C code runs.
//
// A task that does not run was left in __switch_to(), which stored r4-r11, sp and pc in thread_info.cpu_context. A thread_info is in the
// task_struct since v5.16, before that at the low end of the stack.
//
// Code of Thumb-2 kernels has bit 0 set in return addresses.
// See arch/arm/kernel/{entry-armv.S,entry-common.S,entry-header.S,irq.c,stacktrace.c,unwind.c}, arch/arm/lib/call_with_stack.S.
#include "kernel/percpu.hpp"
#include "kernel/stack/machine.hpp"
#include "kernel/word.hpp"
#include <algorithm>

namespace kcrash {
namespace {

enum : unsigned { r4 = 4, r11 = 11, sp_number = 13, lr = 14, pc_number = 15 };
constexpr uint64_t word = 4;
constexpr uint64_t padding = 8; // at the end of a task's stack: THREAD_START_SP of asm/thread_info.h

std::vector<StackRange> special_stacks(const Target& target, unsigned cpu) {
    constexpr uint64_t overflow_size = 4096; // OVERFLOW_STACK_SIZE of asm/thread_info.h
    std::vector<StackRange> found;
    const auto add = [&](const char* pointer, uint64_t size, const char* name) {
        const auto symbol = kernel_symbol(target, pointer);
        const auto place = symbol ? per_cpu_address(target, *symbol, cpu) : std::nullopt;
        uint64_t end = 0;
        if (place && try_word(target, *place, end) == Fault::none && end > size) found.push_back({end - size, end, name, cpu});
    };
    add("irq_stack_ptr", process_stack_size(target), "IRQ");
    add("overflow_stack_ptr", overflow_size, "OVERFLOW");
    return found;
}

std::vector<CodeRange> entry_code(const Target& target) {
    const auto begin = kernel_symbol(target, "__entry_text_start"), end = kernel_symbol(target, "__entry_text_end");
    std::vector<CodeRange> found;
    if (begin && end && *end > *begin) found.push_back({*begin, *end});
    const auto switch_to = kernel_symbol(target, "__switch_to"); // lies among them, and is called like any function
    if (found.empty() || !switch_to || *switch_to < *begin || *switch_to >= *end) return found;
    const SymbolTable& table = target.symbols().kernel();
    const size_t next = table.first_above(*switch_to);
    found.front().end = *switch_to;
    if (next < table.size() && table.at(next).address < *end) found.push_back({table.at(next).address, *end});
    return found;
}

// Where the cpu_context of a task is: its address, by the member's.
std::optional<uint64_t> context_member(const Target& target, const Task& task, const std::string& name) {
    const std::string path = "cpu_context." + name;
    const auto inside = target.try_member("thread_info", {path});
    if (!inside) return std::nullopt;
    const auto own = target.try_member("task_struct", {"thread_info"});
    if (own) return task.address + own->offset + inside->offset;
    return task.stack ? std::optional(*task.stack + inside->offset) : std::nullopt;
}

std::optional<StackStart> sleeping_start(const Target& target, const Task& task) {
    constexpr std::pair<const char*, unsigned> members[] = {{"r4", 4}, {"r5", 5}, {"r6", 6},  {"r7", 7},   {"r8", 8},
                                                            {"r9", 9}, {"sl", 10}, {"fp", 11}, {"sp", 13}, {"pc", 15}};
    StackStart start;
    for (const auto& [name, number] : members) {
        const auto place = context_member(target, task, name);
        uint64_t value = 0;
        if (place && try_word(target, *place, value) == Fault::none) start.registers.set(number, number == pc_number ? value & ~uint64_t{1} : value);
    }
    const auto sp = start.registers.get(sp_number);
    if (!sp || *sp == 0) return std::nullopt;
    start.slot = *sp;
    return start;
}

// A slot of a return address; what was pushed with it is not known.
StackStart start_at_slot(const StackWorld& world, const Architecture& arch, uint64_t slot) {
    StackStart start;
    start.slot = slot;
    start.registers.set(arch.sp, slot + word);
    std::byte bytes[2 * word];
    if (world.read(slot - word, bytes) != Fault::none) return start;
    start.registers.set(arch.fp, load<uint32_t>(bytes, arch.order));
    start.registers.set(arch.pc, world.unsigned_return(load<uint32_t>(bytes + word, arch.order)));
    return start;
}

std::optional<UnwindRow> exception_rules(const FrameView& frame, uint64_t sp) {
    constexpr uint64_t arguments = 16; // bytes below a user's registers, at most
    UnwindRow row;
    row.frame = UnwindRow::Frame::exception;
    row.source = "entry code";
    row.cfa_register = sp_number;
    if (!frame.range || !frame.range->name.empty() || frame.range->end < frame.arch.pt_regs_size + padding) return row;
    const uint64_t users = frame.range->end - padding - frame.arch.pt_regs_size;
    if (sp <= users && users - sp <= arguments) row.cfa_offset = static_cast<int64_t>(users - sp);
    return row;
}

std::optional<UnwindRow> record_rules(const FrameView& frame) {
    using Rule = RegisterRule::Kind;
    const auto fp = frame.registers.get(frame.arch.fp);
    if (!fp || *fp % word || *fp < 3 * word) return std::nullopt;
    if (!frame.range || *fp < frame.range->begin || *fp >= frame.range->end) {
        if (!frame.world.stack_of(*fp)) return std::nullopt;
    }
    const auto caller = frame.word(*fp - word), began = frame.word(*fp);
    if (!caller || !began || !frame.world.is_text(frame.world.unsigned_return(*caller)) || !frame.world.is_text(*began)) return std::nullopt;
    UnwindRow row;
    row.frame = UnwindRow::Frame::call;
    row.source = "frame pointer";
    row.cfa_register = frame.arch.fp;
    row.cfa_offset = word;
    row.rules = {{pc_number, {Rule::at_cfa, 0, -2 * static_cast<int64_t>(word)}},
                 {sp_number, {Rule::cfa_plus, 0, 0}},
                 {r11, {Rule::at_cfa, 0, -4 * static_cast<int64_t>(word)}}};
    return row;
}

// The code that started the kernel or a CPU (head.S) has no frame, and nothing is on its stack: it leaves no place for a user's registers.
bool outermost(const FrameView& frame, uint64_t sp) { return frame.range && frame.range->name.empty() && sp + padding >= frame.range->end; }

std::optional<UnwindRow> frame_rules(const FrameView& frame) {
    const auto sp = frame.registers.get(sp_number);
    if (!sp) return std::nullopt;
    if (frame.world.is_entry_code(frame.lookup)) return exception_rules(frame, *sp);
    if (outermost(frame, *sp)) {
        UnwindRow row;
        row.frame = UnwindRow::Frame::end;
        return row;
    }
    return record_rules(frame);
}

std::optional<UnwindRow> leaf_rules(const FrameView& frame) {
    using Rule = RegisterRule::Kind;
    UnwindRow row;
    row.frame = UnwindRow::Frame::call;
    row.source = "lr";
    row.cfa_register = sp_number;
    row.rules = {{pc_number, {Rule::in_register, lr, 0}}, {sp_number, {Rule::cfa_plus, 0, 0}}};
    for (unsigned number = r4; number <= r11; ++number) row.rules.push_back({number, {Rule::same, number, 0}});
    return frame.registers.get(lr) ? std::optional(row) : std::nullopt;
}

// At the first instruction of a function the tables' rules, which hold at calls, are not true yet. Where rules say nothing of the return
// address, or that it is in lr, only a function that was interrupted has it there.
std::optional<UnwindRow> fit(const FrameView& frame, const UnwindRow& row) {
    const auto sp = frame.registers.get(sp_number);
    if (sp && outermost(frame, *sp)) { // its return address is of before the page tables were on
        UnwindRow last;
        last.frame = UnwindRow::Frame::end;
        return last;
    }
    if (row.frame != UnwindRow::Frame::call) return row;
    const bool of_calls = std::string_view(row.source) == "EHABI";
    if (of_calls && !frame.is_return_address && frame.world.function_start(frame.lookup) == frame.lookup) return leaf_rules(frame);
    const auto of_pc = std::find_if(row.rules.begin(), row.rules.end(), [](const UnwindRow::Rule& rule) { return rule.number == pc_number; });
    if (of_pc != row.rules.end() && of_pc->rule.kind != RegisterRule::Kind::in_register) return row;
    if (frame.is_return_address || !frame.registers.get(lr)) return std::nullopt;
    UnwindRow leaf = row;
    if (of_pc == row.rules.end()) leaf.rules.push_back({pc_number, {RegisterRule::Kind::in_register, lr, 0}});
    return leaf;
}

std::optional<Registers> back_from_wild_jump(const FrameView& frame) {
    const auto caller = frame.registers.get(lr);
    if (!caller) return std::nullopt;
    Registers next = frame.registers;
    next.set(pc_number, frame.world.unsigned_return(*caller));
    return next;
}

constexpr const char* last_functions[] = {"machine_kexec", "__crash_kexec", "machine_crash_nonpanic_core"};

} // namespace

extern const StackMachine stack_arm;
const StackMachine stack_arm{
    .arch = "arm",
    .special_stacks = special_stacks,
    .entry_code = entry_code,
    .sleeping_start = sleeping_start,
    .last_functions = last_functions,
    .start_at_slot = start_at_slot,
    .frame_rules = frame_rules,
    .fit = fit,
    .back_from_wild_jump = back_from_wild_jump,
    .frame_pointer_leads = false,
    .return_address_mark = 1,
    .frame_pointer_shown = false,
    .stack_pointer_shown = true,
    .interrupted_is_a_frame = false,
};

} // namespace kcrash
