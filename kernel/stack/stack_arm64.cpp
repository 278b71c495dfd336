// SPDX-License-Identifier: GPL-3.0-or-later
// arm64: frames are linked by records, and the registers that an exception saved hold one too.
//
//      higher addresses
//      |  locals               |
//      |  x30 of the function  |    where its caller goes on; perhaps signed (pointer authentication)
// x29->|  x29 of its caller ---+--> the caller's record, on the same stack or on the one that this one was entered from
//
// Every function that calls another keeps such a record (the kernel is always built with frame pointers), at the low end of its frame.
// The chain leads across stacks: call_on_irq_stack() leaves its own record on the task's stack. It ends in a record of two
// zeroes. Three things are not ordinary:
//  - Entry code (el1h_64_irq and its siblings, between __entry_text_start and __entry_text_end) saves a struct pt_regs, and
//    x29 points to its member `stackframe`. So the registers are found from the record's place, and everything about the
//    interrupted function is known again. The outermost record of a task is that of its user's registers.
//  - An interrupted function may not have made its record yet, or have none: only CFI knows, and where there is none the caller of that
//    function is missing, as it is in the kernel's own traces.
//  - A function with CFI has its CFA where the record says: CFI gives the place of x29 from the CFA, so the CFA is known
//    from x29 without the stack pointer.
//
// The other stacks: interrupts' (irq_stack_ptr), for a stack that ran over (overflow_stack, 4 kB), for firmware events
// (sdei_stack_normal_ptr, sdei_stack_critical_ptr). See arch/arm64/kernel/{entry.S,irq.c,stacktrace.c,sdei.c}.
#include "kernel/percpu.hpp"
#include "kernel/stack/machine.hpp"

namespace kcrash {
namespace {

std::optional<uint64_t> per_cpu_place(const Target& target, std::string_view symbol, unsigned cpu) {
    const auto base = kernel_symbol(target, symbol);
    return base ? per_cpu_address(target, *base, cpu) : std::nullopt;
}

std::vector<StackRange> special_stacks(const Target& target, unsigned cpu) {
    constexpr std::pair<const char*, const char*> pointers[] = {
        {"irq_stack_ptr", "IRQ"}, {"sdei_stack_normal_ptr", "SDEI"}, {"sdei_stack_critical_ptr", "SDEI"}};
    const uint64_t size = process_stack_size(target); // IRQ_STACK_SIZE and SDEI_STACK_SIZE are THREAD_SIZE
    std::vector<StackRange> found;
    for (const auto& [symbol, name] : pointers) {
        const auto place = per_cpu_place(target, symbol, cpu);
        uint64_t begin = 0;
        if (place && target.kernel().try_load(VirtualAddress{*place}, begin) == Fault::none && begin) found.push_back({begin, begin + size, name, cpu});
    }
    // Without stacks in vmalloc space (v4.5 to v4.13) the interrupt stack itself is per-cpu memory.
    if (const auto begin = found.empty() ? per_cpu_place(target, "irq_stack", cpu) : std::nullopt) found.push_back({*begin, *begin + size, "IRQ", cpu});
    constexpr uint64_t overflow = 4096;
    if (const auto begin = per_cpu_place(target, "overflow_stack", cpu)) found.push_back({*begin, *begin + overflow, "Overflow", cpu});
    return found;
}

std::vector<CodeRange> entry_code(const Target& target) {
    const auto begin = kernel_symbol(target, "__entry_text_start"), end = kernel_symbol(target, "__entry_text_end");
    if (!begin || !end || *end <= *begin) return {};
    return {{*begin, *end}};
}

// cpu_switch_to() saves the callee-saved registers in thread.cpu_context; pc is its return address.
std::optional<StackStart> sleeping_start(const Target& target, const Task& task) {
    constexpr std::pair<std::string_view, unsigned> members[] = {
        {"thread.cpu_context.x19", 19}, {"thread.cpu_context.x20", 20}, {"thread.cpu_context.x21", 21}, {"thread.cpu_context.x22", 22},
        {"thread.cpu_context.x23", 23}, {"thread.cpu_context.x24", 24}, {"thread.cpu_context.x25", 25}, {"thread.cpu_context.x26", 26},
        {"thread.cpu_context.x27", 27}, {"thread.cpu_context.x28", 28}, {"thread.cpu_context.fp", 29},  {"thread.cpu_context.sp", 31},
        {"thread.cpu_context.pc", 32}};
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

// Only the CPU that died comes into the first two; the others are stopped by an interrupt and park.
constexpr const char* last_functions[] = {"machine_kexec", "__crash_kexec", "ipi_cpu_crash_stop", "crash_nmi_callback", "do_handle_IPI", "ipi_handler"};

// The second word of a record.
StackStart start_at_slot(const StackWorld& world, const Architecture& arch, uint64_t slot) {
    StackStart start;
    start.slot = slot;
    start.registers.set(arch.sp, slot + arch.word_size);
    std::byte bytes[16];
    if (world.read(slot - 8, bytes) != Fault::none) return start;
    start.registers.set(arch.fp, load<uint64_t>(bytes, arch.order));
    start.registers.set(arch.pc, world.unsigned_return(load<uint64_t>(bytes + 8, arch.order)));
    return start;
}

// Interrupted code without CFI that has made no record (assembly): x29 still points to its caller's, and the caller itself is in x30. Where
// x30 leads back to the function, or is what the record says, there is a record.
std::optional<UnwindRow> recordless_row(const FrameView& frame, uint64_t recorded) {
    const auto back = frame.registers.get(frame.arch.lr);
    if (frame.is_return_address || !back || frame.world.is_entry_code(frame.lookup)) return std::nullopt;
    const uint64_t caller = frame.world.unsigned_return(*back);
    if (!frame.world.is_text(caller) || caller == frame.world.unsigned_return(recorded)) return std::nullopt;
    if (frame.world.function_start(caller - 1) == frame.world.function_start(frame.lookup)) return std::nullopt;
    UnwindRow row;
    row.source = "x30";
    row.frame = UnwindRow::Frame::call;
    row.cfa_register = frame.arch.sp;
    row.rules = {{frame.arch.pc, {RegisterRule::Kind::in_register, frame.arch.lr, 0}}};
    for (const unsigned kept : frame.arch.callee_saved) row.rules.push_back({kept, {RegisterRule::Kind::same, kept, 0}});
    return row;
}

std::optional<UnwindRow> frame_rules(const FrameView& frame) {
    const Architecture& arch = frame.arch;
    constexpr uint64_t word = 8, alignment = 16;
    const auto fp = frame.registers.get(arch.fp);
    if (!fp || *fp % alignment || !frame.range || *fp < frame.range->begin || *fp + 2 * word > frame.range->end) return std::nullopt;
    const auto next = frame.word(*fp), caller = frame.word(*fp + word);
    if (!next || !caller) return std::nullopt;
    if (const auto leaf = recordless_row(frame, *caller)) return leaf;
    UnwindRow row;
    row.source = "frame pointer";
    row.cfa_register = arch.fp;
    const bool last = *next == 0 && *caller == 0;
    if (last || frame.world.is_entry_code(frame.lookup)) {
        const auto inside = frame.world.offset_of("pt_regs", "stackframe");
        row.frame = inside && *fp - *inside >= frame.range->begin ? UnwindRow::Frame::exception : UnwindRow::Frame::end;
        row.cfa_offset = -static_cast<int64_t>(inside.value_or(0));
        return row;
    }
    if (!frame.world.is_text(frame.world.unsigned_return(*caller))) return std::nullopt;
    row.frame = UnwindRow::Frame::call;
    row.cfa_offset = 2 * word;
    row.rules = {{arch.pc, {RegisterRule::Kind::at_cfa, 0, -static_cast<int64_t>(word)}},
                 {arch.fp, {RegisterRule::Kind::at_cfa, 0, -2 * static_cast<int64_t>(word)}}};
    return row;
}

// CFI where a function was called from: its record exists, and x29 points to it. Elsewhere the return address may still be in a
// register; nobody knows that one where only the user says that the task is here.
std::optional<UnwindRow> fit(const FrameView& frame, const UnwindRow& row) {
    if (row.frame != UnwindRow::Frame::call) return row;
    const RegisterRule *fp = nullptr, *pc = nullptr;
    for (const UnwindRow::Rule& rule : row.rules) {
        if (rule.number == frame.arch.fp) fp = &rule.rule;
        if (rule.number == frame.arch.pc) pc = &rule.rule;
    }
    if (!frame.is_return_address) {
        const bool lost = pc && pc->kind == RegisterRule::Kind::in_register && !frame.registers.get(pc->number);
        return lost ? std::nullopt : std::optional(row);
    }
    constexpr int64_t word = 8;
    const bool record = fp && pc && fp->kind == RegisterRule::Kind::at_cfa && pc->kind == RegisterRule::Kind::at_cfa && pc->offset == fp->offset + word;
    if (!record) return std::nullopt;
    UnwindRow fitting = row;
    fitting.cfa_register = frame.arch.fp;
    fitting.cfa_offset = -fp->offset;
    fitting.cfa_dereference = false;
    return fitting;
}

std::optional<Registers> back_from_wild_jump(const FrameView& frame) {
    const auto caller = frame.registers.get(frame.arch.lr);
    if (!caller) return std::nullopt;
    Registers next = frame.registers;
    next.set(frame.arch.pc, frame.world.unsigned_return(*caller));
    return next;
}

} // namespace

extern const StackMachine stack_arm64;
const StackMachine stack_arm64 = {
    .arch = "arm64",
    .special_stacks = special_stacks,
    .entry_code = entry_code,
    .sleeping_start = sleeping_start,
    .last_functions = last_functions,
    .start_at_slot = start_at_slot,
    .frame_rules = frame_rules,
    .fit = fit,
    .back_from_wild_jump = back_from_wild_jump,
    .frame_pointer_leads = true,
    .record_at_bottom = true,
    .frame_pointer_shown = true,
    .interrupted_is_a_frame = true,
};

} // namespace kcrash
