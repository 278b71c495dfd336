// SPDX-License-Identifier: GPL-3.0-or-later
// ppc64le: the back chain of the ELF V2 ABI, and the registers that an exception left in a frame.
//
//        higher addresses
//    |  LR                      |  r1 of the caller + 16: where the caller goes on; stored by the function that it called
//    |  back chain              |
//  CFA--------------------------+ <- r1 of the caller
//    |  this function's frame   |
//    |  LR                      |  stored by the function that this one called
//    |  back chain -------------+-> r1 of the caller
//    +--------------------------+ <- r1
//
// At each call the chain is right; CFI says which registers are saved below the CFA. An interrupted function may be before its
// prologue, or have no frame: there CFI is right, and assembly without CFI has its caller in LR unless it called something itself.
//
// An exception makes a frame whose back chain is the interrupted r1, with a struct pt_regs in it and a mark 16 bytes before that. Where
// the registers begin changed with Linux 6.2 (from 112 to 48), so the mark is looked for at both places. Frames keep what earlier ones
// left: the mark counts only where the back chain is r1 of those registers, and only in code that has no CFI.
//
// Interrupts go on on a stack of their own. Before Linux 5.14 assembly (call_do_irq) leads there, which stores LR as any function does; since
// then a function does it in its midst (a few instructions of inline assembly): then it has two frames. The lower one is a stub on the interrupt stack,
// where the callee stored LR; its back chain leads to the function's own frame, where no LR is.
//
// Linux's notes: until v6.4 ppc_save_regs() gave the address after its call and the r1 of the caller of its caller.
//
// Sources: 64-bit ELF V2 ABI for Power; arch/powerpc/kernel/{process.c,irq.c,entry_64.S,interrupt_64.S,ppc_save_regs.S,paca.c}, asm/ptrace.h.
#include "kernel/stack/machine.hpp"
#include <algorithm>
#include <array>

namespace kcrash {
namespace {

constexpr unsigned r1 = 1, r14 = 14, r31 = 31, lr = 65; // DWARF numbers
constexpr uint64_t word = 8, lr_slot = 16, real_mode_bits = uint64_t{0xc} << 60;
// STACK_FRAME_REGS_MARKER, newest first: "REGS" as memory shows it, as a number, "regs", and "regshere" until Linux 6.0.
constexpr uint64_t marks[] = {0x53474552, 0x52454753, 0x72656773, 0x7265677368657265};
constexpr uint64_t regs_offsets[] = {112, 48};     // of pt_regs in an exception's frame and in that of _switch()

std::optional<uint64_t> word_of(const Target& target, uint64_t address) {
    uint64_t value = 0;
    return target.kernel().try_load(VirtualAddress{address}, value) == Fault::none ? std::optional(value) : std::nullopt;
}

// The address of a CPU's struct paca_struct. Linux d2e60075a3d4 ("powerpc/64: Use array of paca pointers and allocate pacas individually"), v4.17.
std::optional<uint64_t> paca_of(const Target& target, unsigned cpu) {
    if (const auto pointers = kernel_symbol(target, "paca_ptrs")) {
        const auto array = word_of(target, *pointers);
        return array ? word_of(target, *array + cpu * word) : std::nullopt;
    }
    const auto pointer = kernel_symbol(target, "paca");
    const auto array = pointer ? word_of(target, *pointer) : std::nullopt;
    const Type* type = array ? target.types().find(TypeKind::structure, "paca_struct") : nullptr;
    return type ? std::optional(*array + cpu * type->size) : std::nullopt;
}

std::vector<StackRange> special_stacks(const Target& target, unsigned cpu) {
    std::vector<StackRange> found;
    const uint64_t size = process_stack_size(target);
    for (const auto& [symbol, name] : {std::pair("hardirq_ctx", "IRQ"), std::pair("softirq_ctx", "SOFTIRQ")}) {
        const auto pointers = kernel_symbol(target, symbol);
        const auto begin = pointers ? word_of(target, *pointers + cpu * word) : std::nullopt;
        if (begin && *begin) found.push_back({*begin, *begin + size, name, cpu});
    }
    const auto paca = paca_of(target, cpu);
    constexpr std::pair<const char*, const char*> tops[] = {{"emergency_sp", "EMERGENCY"}, {"nmi_emergency_sp", "NMI"}, {"mc_emergency_sp", "MCE"}};
    for (const auto& [member_name, name] : tops) {
        const auto member = paca ? target.try_member("paca_struct", {member_name}) : std::nullopt;
        uint64_t top = 0;
        if (member && member->load(target.kernel(), *paca, top) == Fault::none && top > size) found.push_back({top - size, top, name, cpu});
    }
    return found;
}

// The exception vectors: until they change r1 it is that of the interrupted code, a user's perhaps.
std::vector<CodeRange> entry_code(const Target& target) {
    const auto begin = kernel_symbol(target, "__start_interrupts"), end = kernel_symbol(target, "__end_interrupts");
    if (!begin || !end || *end <= *begin) return {};
    return {{*begin, *end}};
}

// Where _switch() left pt_regs in its frame at sp. A task that never ran has no back chain there: then the registers must name code.
std::optional<uint64_t> switch_regs(const Target& target, uint64_t sp, uint64_t regs_size, uint64_t nip) {
    const auto chain = word_of(target, sp);
    for (const uint64_t offset : regs_offsets)
        if (chain == sp + offset + regs_size) return offset;
    for (const uint64_t offset : regs_offsets)
        if (const auto pc = word_of(target, sp + offset + nip); pc && target.symbols().is_text(*pc)) return offset;
    return std::nullopt;
}

std::optional<StackStart> sleeping_start(const Target& target, const Task& task) {
    const auto ksp = target.try_member("task_struct", {"thread.ksp"});
    const auto nip = target.try_member("pt_regs", {"nip"}), gpr = target.try_member("pt_regs", {"gpr"});
    const Type* regs = target.types().find(TypeKind::structure, "pt_regs");
    uint64_t sp = 0;
    if (!ksp || !nip || !gpr || !regs || ksp->load(target.kernel(), task.address, sp) != Fault::none || !sp) return std::nullopt;
    const auto offset = switch_regs(target, sp, regs->size, nip->offset);
    const auto pc = offset ? word_of(target, sp + *offset + nip->offset) : std::nullopt;
    if (!pc) return std::nullopt;
    StackStart start;
    start.registers.set(r1, sp + *offset + regs->size);
    start.registers.set(target.arch().pc, *pc);
    for (unsigned number = r14; number <= r31; ++number)
        if (const auto value = word_of(target, sp + *offset + gpr->offset + number * word)) start.registers.set(number, *value);
    start.slot = *start.registers.get(r1);
    return start;
}

// The first two are of the CPU that died; the others come to wait for the crash kernel.
constexpr const char* last_functions[] = {"default_machine_kexec", "__crash_kexec", "crash_ipi_callback"};

// The place of a return address, or a stack pointer as crash prints it.
StackStart start_at_slot(const StackWorld& world, const Architecture& arch, uint64_t slot) {
    const auto read = [&](uint64_t address) {
        std::byte bytes[word];
        return world.read(address, bytes) == Fault::none ? std::optional(load_unsigned(bytes, arch.order)) : std::nullopt;
    };
    const auto here = read(slot);
    const uint64_t sp = here && world.is_text(*here) ? slot - lr_slot : slot;
    StackStart start;
    start.slot = sp;
    start.registers.set(r1, sp);
    if (const auto pc = read(sp + lr_slot)) start.registers.set(arch.pc, *pc);
    return start;
}

// Where in the frame at sp the registers are that an exception saved.
std::optional<uint64_t> exception_regs(const FrameView& frame, uint64_t sp, uint64_t chain) {
    for (const uint64_t offset : regs_offsets)
        for (const uint64_t mark : marks)
            if (frame.word(sp + offset - 2 * word) == mark && frame.word(sp + offset + r1 * word) == chain) return offset;
    return std::nullopt;
}

UnwindRow exception_row(uint64_t offset) {
    UnwindRow row;
    row.source = "back chain";
    row.frame = UnwindRow::Frame::exception;
    row.cfa_register = r1;
    row.cfa_offset = static_cast<int64_t>(offset);
    return row;
}

// The first frame of a stack: that of a thread of the kernel, or of a process that has not returned from fork() yet.
UnwindRow first_row(const FrameView& frame, uint64_t sp) {
    for (const uint64_t offset : regs_offsets)
        if (const auto regs = read_pt_regs(frame.world, frame.arch, sp + offset, false))
            if (regs->user_mode && frame.range && sp + offset + frame.arch.pt_regs_size <= frame.range->end && frame.arch.plausible(regs->registers, 0))
                return exception_row(offset);
    UnwindRow row;
    row.frame = UnwindRow::Frame::end;
    return row;
}

// Does the instruction before this return address call the function that begins at `function`? By its second entry, most often.
bool calls(const FrameView& frame, uint64_t return_address, uint64_t function) {
    constexpr uint64_t most_between_entries = 64;
    std::array<std::byte, 4> code{};
    if (!frame.world.is_text(return_address) || frame.world.read(return_address - code.size(), code) != Fault::none) return false;
    const auto target = frame.arch.call_target(code, return_address);
    return target && *target - function <= most_between_entries;
}

// The caller's r1, where the chain leads from the frame at sp to `next`. Nothing: it leads nowhere.
std::optional<uint64_t> caller_sp(const FrameView& frame, uint64_t next) {
    if (!frame.range || (next >= frame.range->begin && next <= frame.range->end)) return next;
    const auto back = frame.word(next + lr_slot), function = frame.world.function_start(frame.lookup);
    if (back && function && calls(frame, *back, *function)) return next;
    return frame.word(next); // this function's own frame, on the stack that it left
}

std::optional<UnwindRow> chain_row(const FrameView& frame, uint64_t sp, uint64_t chain) {
    const auto caller = caller_sp(frame, chain);
    if (!caller) return std::nullopt;
    UnwindRow row;
    row.source = "back chain";
    row.frame = UnwindRow::Frame::call;
    row.cfa_register = r1;
    row.cfa_offset = static_cast<int64_t>(*caller - sp);
    row.rules = {{frame.arch.pc, {RegisterRule::Kind::at_cfa, 0, lr_slot}}};
    return row;
}

// Interrupted code without CFI is assembly: its caller is in LR, unless LR leads back to itself.
std::optional<UnwindRow> interrupted_row(const FrameView& frame) {
    const auto back = frame.registers.get(lr);
    if (frame.is_return_address || !back || !frame.world.is_text(*back)) return std::nullopt;
    if (frame.world.function_start(*back - 1) == frame.world.function_start(frame.lookup)) return std::nullopt;
    UnwindRow row;
    row.source = "LR";
    row.frame = UnwindRow::Frame::call;
    row.cfa_register = r1;
    row.rules = {{frame.arch.pc, {RegisterRule::Kind::in_register, lr, 0}}};
    return row;
}

std::optional<UnwindRow> frame_rules(const FrameView& frame) {
    const auto sp = frame.registers.get(r1);
    const auto chain = sp ? frame.word(*sp) : std::nullopt;
    if (!chain) return std::nullopt;
    if (const auto offset = exception_regs(frame, *sp, *chain)) return exception_row(*offset);
    if (const auto leaf = interrupted_row(frame)) return leaf;
    if (*chain == 0) return first_row(frame, *sp);
    return chain_row(frame, *sp, *chain);
}

// CFI's registers, at the CFA that the chain names.
std::optional<UnwindRow> fit(const FrameView& frame, const UnwindRow& cfi) {
    if (!frame.is_return_address || cfi.frame != UnwindRow::Frame::call) return cfi;
    const auto sp = frame.registers.get(r1);
    const auto chain = sp ? frame.word(*sp) : std::nullopt;
    const auto row = chain && *chain ? chain_row(frame, *sp, *chain) : std::nullopt;
    if (!row) return cfi;
    UnwindRow fitted = cfi;
    fitted.cfa_register = row->cfa_register;
    fitted.cfa_offset = row->cfa_offset;
    fitted.cfa_dereference = false;
    const auto is_pc = [&](const UnwindRow::Rule& rule) { return rule.number == frame.arch.pc; };
    fitted.rules.erase(std::remove_if(fitted.rules.begin(), fitted.rules.end(), is_pc), fitted.rules.end());
    fitted.rules.push_back(row->rules.front());
    return fitted;
}

// LR is a real address where firmware was called.
std::optional<Registers> back_from_wild_jump(const FrameView& frame) {
    const auto caller = frame.registers.get(lr);
    if (!caller) return std::nullopt;
    Registers next = frame.registers;
    next.set(frame.arch.pc, frame.world.is_text(*caller) ? *caller : *caller | real_mode_bits);
    return next;
}

// The caller's own place in place of ppc_save_regs()'s.
void correct_note(const Target& target, Registers& registers) {
    const Architecture& arch = target.arch();
    const auto pc = registers.get(arch.pc), sp = registers.get(r1), saver = kernel_symbol(target, "ppc_save_regs");
    std::array<std::byte, 4> code{};
    if (!pc || !sp || !saver || target.kernel().try_read(VirtualAddress{*pc - code.size()}, code) != Fault::none) return;
    constexpr uint64_t most_between_entries = 64;
    const auto called = arch.call_target(code, *pc);
    if (!called || *called - *saver > most_between_entries) return;
    if (const auto back = word_of(target, *sp + lr_slot); back && target.symbols().is_text(*back)) registers.set(arch.pc, *back);
}

} // namespace

extern const StackMachine stack_ppc64le;
const StackMachine stack_ppc64le = {
    .arch = "ppc64le",
    .special_stacks = special_stacks,
    .entry_code = entry_code,
    .sleeping_start = sleeping_start,
    .last_functions = last_functions,
    .start_at_slot = start_at_slot,
    .frame_rules = frame_rules,
    .fit = fit,
    .back_from_wild_jump = back_from_wild_jump,
    .frame_pointer_leads = false,
    .correct_note = correct_note,
    .frame_pointer_shown = false,
    .stack_pointer_shown = true,
    .interrupted_is_a_frame = true,
};

} // namespace kcrash
