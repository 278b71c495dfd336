// SPDX-License-Identifier: GPL-3.0-or-later
// s390x: the chain of struct stack_frame, and the stacks that are not a task's.
//
//        higher addresses
//    |  ...                     |
//  CFA--------------------------+   160 bytes above the caller's stack pointer
//    |  r6 ... r14, r15         |   saved here, in the caller's frame, by the function that it calls
//    |  back chain              |   the stack pointer of the caller's caller (where it lies: CONFIG_PACK_STACK)
//    +--------------------------+ <- the caller's r15: what crash prints in brackets
//    |  this function's frame   |
//    |  back chain -------------+-> the caller's r15
//    +--------------------------+ <- r15
//
// The kernel is built with -mbackchain: at each call the chain is right, and also where a function goes on on another stack (call_on_stack()
// stores it there by hand), while the rule of CFI would lead along the stack that was left. So the chain says where the CFA is,
// and CFI which registers are saved below it. An interrupted function may be before its prologue: there CFI alone is right.
//
// A back chain of zero ends the part of a stack that belongs to one entry into the kernel: a struct pt_regs follows, 160 bytes above. The
// registers in it are a user's, or those of the kernel that was interrupted, or of a kernel thread's beginning, without a stack.
//
// Each CPU's lowcore names its stacks: async_stack for interrupts, nodat_stack for code that runs without address
// translation, mcck_stack for machine checks, restart_stack for the restart interrupt. Old kernels have a panic_stack.
// See arch/s390/include/asm/stacktrace.h, arch/s390/kernel/unwind_bc.c, arch/s390/kernel/setup.c.
#include "kernel/stack/machine.hpp"
#include <algorithm>

namespace kcrash {
namespace {

constexpr unsigned r6 = 6, r14 = 14, r15 = 15, psw_mask = 64, psw_address = 65; // DWARF numbers
constexpr int64_t overhead = 160;                                              // STACK_FRAME_OVERHEAD: of every frame
constexpr uint64_t page = 4096;

// Where struct stack_frame has the chain and the saved r14; nothing when the types do not tell.
struct FrameLayout {
    int64_t back_chain, r14;
};
std::optional<FrameLayout> layout(const StackWorld& world) {
    const auto chain = world.offset_of("stack_frame", "back_chain"), gprs = world.offset_of("stack_frame", "gprs");
    if (!chain || !gprs || *chain >= overhead || *gprs >= overhead) return std::nullopt;
    return FrameLayout{static_cast<int64_t>(*chain), static_cast<int64_t>(*gprs) + (r14 - r6) * 8};
}

// The address of a CPU's lowcore: lowcore_ptr[cpu].
std::optional<uint64_t> lowcore_of(const Target& target, unsigned cpu) {
    const auto pointers = kernel_symbol(target, "lowcore_ptr");
    uint64_t address = 0;
    if (!pointers || target.kernel().try_load(VirtualAddress{*pointers + cpu * uint64_t{8}}, address) != Fault::none || !address) return std::nullopt;
    return address;
}

// The struct is called _lowcore in old kernels.
std::optional<Member> lowcore_member(const Target& target, const char* name) {
    auto member = target.try_member("lowcore", {name});
    return member ? member : target.try_member("_lowcore", {name});
}

std::vector<StackRange> special_stacks(const Target& target, unsigned cpu) {
    constexpr std::pair<const char*, const char*> names[] = {
        {"async_stack", "IRQ"}, {"nodat_stack", "NODAT"}, {"panic_stack", "PANIC"}, {"mcck_stack", "MCCK"}, {"restart_stack", "RESTART"}};
    std::vector<StackRange> found;
    const auto lowcore = lowcore_of(target, cpu);
    if (!lowcore) return found;
    const uint64_t size = process_stack_size(target);
    for (const auto& [member_name, name] : names) {
        const auto member = lowcore_member(target, member_name);
        uint64_t pointer = 0;
        if (!member || member->load(target.kernel(), *lowcore, pointer) != Fault::none || pointer < size) continue;
        const uint64_t top = (pointer + page - 1) & ~(page - 1); // it points a frame below the top
        found.push_back({top - size, top, name, cpu});
    }
    return found;
}

// __switch_to() saved r6 to r15 in the frame that thread.ksp points to.
std::optional<StackStart> sleeping_start(const Target& target, const Task& task) {
    const auto saved_sp = target.try_member("task_struct", {"thread.ksp"});
    const auto gprs = target.try_member("stack_frame", {"gprs"});
    uint64_t sp = 0, value = 0;
    if (!saved_sp || !gprs || saved_sp->load(target.kernel(), task.address, sp) != Fault::none || !sp) return std::nullopt;
    StackStart start;
    for (unsigned number = r6; number < r15; ++number)
        if (target.kernel().try_load(VirtualAddress{sp + gprs->offset + (number - r6) * uint64_t{8}}, value) == Fault::none)
            start.registers.set(number == r14 ? psw_address : number, value);
    start.slot = sp;
    start.registers.set(r15, sp);
    return start;
}

// The user names a frame by its stack pointer, as crash prints it.
StackStart start_at_slot(const StackWorld& world, const Architecture& arch, uint64_t slot) {
    StackStart start;
    start.slot = slot;
    start.registers.set(r15, slot);
    const auto where = layout(world);
    std::byte bytes[8];
    if (where && world.read(slot + static_cast<uint64_t>(where->r14), bytes) == Fault::none)
        start.registers.set(arch.pc, load_unsigned(bytes, arch.order));
    return start;
}

// The end of this part of the stack: a struct pt_regs, above the frame that has no back chain.
UnwindRow exception_row(const FrameView& frame, uint64_t sp) {
    UnwindRow row;
    row.source = "back chain";
    row.frame = UnwindRow::Frame::exception;
    row.cfa_register = r15;
    row.cfa_offset = overhead;
    const auto regs = read_pt_regs(frame.world, frame.arch, sp + overhead, false);
    const bool stackless = regs && !regs->user_mode && regs->registers.get(r15) == uint64_t{0};
    if (stackless) row.frame = UnwindRow::Frame::end; // a kernel thread began here
    return row;
}

std::optional<UnwindRow> frame_rules(const FrameView& frame) {
    const auto where = layout(frame.world);
    const auto sp = frame.registers.get(r15);
    const auto chain = where && sp ? frame.word(*sp + static_cast<uint64_t>(where->back_chain)) : std::nullopt;
    if (!chain) return std::nullopt;
    if (*chain == 0) return exception_row(frame, *sp);
    UnwindRow row;
    row.source = "back chain";
    row.frame = UnwindRow::Frame::call;
    row.cfa_register = r15;
    row.cfa_offset = where->back_chain;
    row.cfa_dereference = true;
    const bool leads_back = frame.range && *chain >= frame.range->begin && *chain <= *sp;
    row.cfa_add = leads_back ? 0 : overhead; // a CFA that is not above the stack pointer ends the unwinding
    row.rules = {{psw_address, {RegisterRule::Kind::at_cfa, 0, where->r14 - overhead}}};
    return row;
}

// CFI's registers, at the CFA that the chain names. A function that saved nothing has its return address in r14.
std::optional<UnwindRow> fit(const FrameView& frame, const UnwindRow& cfi) {
    UnwindRow row = cfi;
    const auto is_pc = [](const UnwindRow::Rule& rule) { return rule.number == psw_address; };
    const auto back = std::find_if(row.rules.begin(), row.rules.end(), is_pc);
    const bool in_register = back == row.rules.end() || back->rule.kind == RegisterRule::Kind::same;
    if (frame.is_return_address) {
        const auto chain = frame_rules(frame);
        if (!chain || chain->frame != UnwindRow::Frame::call || in_register) return chain;
        row.cfa_register = chain->cfa_register;
        row.cfa_offset = chain->cfa_offset;
        row.cfa_dereference = true;
        row.cfa_add = chain->cfa_add;
        return row;
    }
    const bool from_r14 = in_register || (back->rule.kind == RegisterRule::Kind::in_register && back->rule.number == r14);
    if (from_r14 && !frame.registers.get(r14)) return frame_rules(frame); // only the user says that the task is here
    if (!in_register) return row;
    if (back != row.rules.end()) row.rules.erase(back);
    row.rules.push_back({psw_address, {RegisterRule::Kind::in_register, r14, 0}});
    return row;
}

std::optional<Registers> back_from_wild_jump(const FrameView& frame) {
    const auto caller = frame.registers.get(r14);
    if (!caller) return std::nullopt;
    Registers next = frame.registers;
    next.set(psw_address, *caller);
    return next;
}

// The registers that a CPU stored into its lowcore when it was stopped, for a dump without notes.
std::optional<Registers> saved_registers(const Target& target, unsigned cpu) {
    const auto lowcore = lowcore_of(target, cpu);
    const auto psw = lowcore_member(target, "psw_save_area"), gprs = lowcore_member(target, "gpregs_save_area");
    if (!lowcore || !psw || !gprs) return std::nullopt;
    const auto word = [&](uint64_t offset) {
        uint64_t value = 0;
        return target.kernel().try_load(VirtualAddress{*lowcore + offset}, value) == Fault::none ? std::optional(value) : std::nullopt;
    };
    Registers registers;
    const auto set = [&](unsigned number, uint64_t offset) {
        if (const auto value = word(offset)) registers.set(number, *value);
    };
    set(psw_mask, psw->offset);
    set(psw_address, psw->offset + 8);
    for (unsigned i = 0; i < 16; ++i) set(i, gprs->offset + i * uint64_t{8});
    if (!registers.get(psw_mask).value_or(0) || !registers.get(r15).value_or(0)) return std::nullopt; // nobody stored them
    return registers;
}

} // namespace

extern const StackMachine stack_s390x;
const StackMachine stack_s390x = {
    .arch = "s390x",
    .special_stacks = special_stacks,
    .entry_code = nullptr, // it has no CFI, and the chain leads through it
    .sleeping_start = sleeping_start,
    .last_functions = {}, // registers are stored by the machine itself at the very end
    .start_at_slot = start_at_slot,
    .frame_rules = frame_rules,
    .fit = fit,
    .back_from_wild_jump = back_from_wild_jump,
    .frame_pointer_leads = false,
    .cfa_above_sp = overhead,
    .saved_registers = saved_registers,
    .frame_pointer_shown = false,
    .stack_pointer_shown = true,
    .interrupted_is_a_frame = false,
};

} // namespace kcrash
