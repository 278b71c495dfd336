// SPDX-License-Identifier: GPL-3.0-or-later
// x86_64: the stacks that are not a task's, and where tasks' stacks begin.
//
// Each CPU has one stack for interrupts and soft interrupts (16 kB), which functions change to by themselves, and several
// that the processor changes to by itself (IST), lest a broken stack pointer be used: double fault, NMI, debug, machine
// check, and SEV's #VC. Since Linux 4.15 these lie in the CPU's cpu_entry_area, each above an unmapped guard page:
//
//      cpu_entry_area:  gdt | entry stack | tss | DF guard, DF stack, NMI guard, NMI stack, DB ..., MCE ..., VC, VC2
//                             ^ a few words on the way from user mode to the task's stack (page table isolation)
//
// Where they are, newest first: the per-cpu pointer cea_exception_stacks and the members of its struct (v5.2), or the
// tops in the per-cpu orig_ist. For interrupts: hardirq_stack_ptr (v5.2, in pcpu_hot from v6.2 to v6.14), irq_stack_ptr.
// See arch/x86/include/asm/cpu_entry_area.h, arch/x86/kernel/irq_64.c and Documentation/arch/x86/kernel-stacks.rst.
#include "kernel/percpu.hpp"
#include "kernel/stack/machine.hpp"

namespace kcrash {
namespace {

constexpr uint64_t page = 4096, most = 1 << 20; // bytes: no stack is larger

std::optional<uint64_t> per_cpu_word(const Target& target, std::string_view symbol, uint64_t offset, unsigned cpu) {
    const auto base = kernel_symbol(target, symbol);
    const auto address = base ? per_cpu_address(target, *base, cpu) : std::nullopt;
    uint64_t value = 0;
    if (!address || target.kernel().try_load(VirtualAddress{*address + offset}, value) != Fault::none || !value) return std::nullopt;
    return value;
}

void add_irq_stack(const Target& target, unsigned cpu, std::vector<StackRange>& found) {
    auto pointer = per_cpu_word(target, "hardirq_stack_ptr", 0, cpu);
    if (!pointer)
        if (const auto member = target.try_member("pcpu_hot", {"hardirq_stack_ptr"})) pointer = per_cpu_word(target, "pcpu_hot", member->offset, cpu);
    if (!pointer) pointer = per_cpu_word(target, "irq_stack_ptr", 0, cpu);
    if (!pointer) return;
    const Type* type = target.types().find(TypeKind::structure, "irq_stack");
    const uint64_t size = type && type->size >= page && type->size <= most ? type->size : 4 * page;
    const uint64_t top = (*pointer + page - 1) & ~(page - 1); // it points some words below the top
    found.push_back({top - size, top, "IRQ", cpu});
}

std::string name_of_exception(std::string_view prefix) {
    constexpr std::pair<std::string_view, const char*> names[] = {
        {"DF", "DOUBLEFAULT"}, {"DB", "DEBUG"}, {"DB1", "DEBUG"}, {"DB2", "DEBUG"}};
    for (const auto& [member, name] : names)
        if (prefix == member) return name;
    return std::string(prefix); // NMI, MCE, VC, VC2
}

bool add_exception_stacks(const Target& target, unsigned cpu, std::vector<StackRange>& found) {
    const auto base = per_cpu_word(target, "cea_exception_stacks", 0, cpu);
    const Type* type = target.types().find(TypeKind::structure, "cea_exception_stacks");
    if (!base || !type) return false;
    constexpr std::string_view suffix = "_stack";
    for (const TypeMember& member : type->members) {
        if (!member.name.ends_with(suffix) || !member.type || member.type->size == 0 || member.type->size > most) continue;
        const uint64_t begin = *base + member.offset();
        found.push_back({begin, begin + member.type->size, name_of_exception(member.name.substr(0, member.name.size() - suffix.size())), cpu});
    }
    // The entry stack has its place in the same area.
    const auto inside = target.try_member("cpu_entry_area", {"estacks"});
    const auto entry = target.try_member("cpu_entry_area", {"entry_stack_page"});
    if (inside && entry && entry->offset < inside->offset) {
        const uint64_t begin = *base - inside->offset + entry->offset;
        found.push_back({begin, begin + page, "ENTRY_TRAMPOLINE", cpu});
    }
    return true;
}

// Until v5.1: tops only. The debug stack has two pages for each of the others' one.
void add_old_exception_stacks(const Target& target, unsigned cpu, std::vector<StackRange>& found) {
    constexpr std::pair<const char*, uint64_t> stacks[] = {{"DOUBLEFAULT", page}, {"NMI", page}, {"DEBUG", 2 * page}, {"MCE", page}};
    for (size_t i = 0; i < std::size(stacks); ++i)
        if (const auto top = per_cpu_word(target, "orig_ist", i * 8, cpu))
            found.push_back({*top - stacks[i].second, *top, stacks[i].first, cpu});
}

std::vector<StackRange> special_stacks(const Target& target, unsigned cpu) {
    std::vector<StackRange> found;
    add_irq_stack(target, cpu, found);
    if (!add_exception_stacks(target, cpu, found)) add_old_exception_stacks(target, cpu, found);
    return found;
}

// A task that does not run was left in __switch_to_asm(), which pushed a struct inactive_task_frame: thread.sp points to it
// (arch/x86/include/asm/switch_to.h).
std::optional<StackStart> sleeping_start(const Target& target, const Task& task) {
    const Architecture& arch = target.arch();
    const auto saved_sp = target.try_member("task_struct", {"thread.sp"});
    uint64_t sp = 0, value = 0;
    if (!saved_sp || saved_sp->load(target.kernel(), task.address, sp) != Fault::none || !sp) return std::nullopt;
    StackStart start;
    constexpr std::pair<const char*, unsigned> members[] = {{"r15", 15}, {"r14", 14}, {"r13", 13}, {"r12", 12}, {"bx", 3}, {"bp", 6}};
    for (const auto& [name, number] : members)
        if (const auto member = target.try_member("inactive_task_frame", {name}))
            if (member->load(target.kernel(), sp, value) == Fault::none) start.registers.set(number, value);
    const auto return_address = target.try_member("inactive_task_frame", {"ret_addr"});
    if (!return_address || return_address->load(target.kernel(), sp, value) != Fault::none) return std::nullopt;
    start.slot = sp + return_address->offset;
    start.registers.set(arch.pc, value);
    start.registers.set(arch.sp, start.slot + arch.word_size);
    return start;
}

constexpr const char* last_functions[] = {"machine_kexec", "crash_nmi_callback"};

StackStart start_at_slot(const StackWorld& world, const Architecture& arch, uint64_t slot) {
    StackStart start;
    start.slot = slot;
    start.registers.set(arch.sp, slot + arch.word_size);
    std::byte bytes[8];
    if (world.read(slot, bytes) == Fault::none) start.registers.set(arch.pc, load_unsigned(bytes, arch.order));
    return start;
}

// A user's registers are the last thing on a task's stack, but for 16 bytes of padding where the kernel has FRED
// (TOP_OF_KERNEL_STACK_PADDING of arch/x86/include/asm/thread_info.h).
bool is_at_user_registers(const FrameView& frame, uint64_t sp) {
    constexpr uint64_t fred_padding = 16;
    const uint64_t above = frame.range->end - sp - frame.arch.pt_regs_size;
    return frame.range->name.empty() && (above == 0 || above == fred_padding);
}

bool leads_on(const FrameView& frame, uint64_t fp, uint64_t sp) {
    if (fp >= frame.range->begin && fp < frame.range->end) return fp >= sp;
    const auto other = frame.world.stack_of(fp);
    return other && !frame.was_left(*other);
}

// Code without rules (made at run time, or a kernel built for it) keeps the chain of frame pointers. It is believed
// only if it leads upwards on this stack, or to one that was not left, and there to an address of text: a function that
// changes to the interrupt stack has its frame on the one before. Entry code of such kernels stores the address of the
// struct pt_regs plus one (ENCODE_FRAME_POINTER of arch/x86/include/asm/frame.h); that of system calls and of new threads
// clears the register, and has the struct right above its stack pointer.
std::optional<UnwindRow> frame_rules(const FrameView& frame) {
    const Architecture& arch = frame.arch;
    const auto fp = frame.registers.get(arch.fp), sp = frame.registers.get(arch.sp);
    if (!sp || !frame.range) return std::nullopt;
    UnwindRow row;
    row.source = "frame pointer";
    if (is_at_user_registers(frame, *sp)) {
        row.frame = UnwindRow::Frame::exception;
        row.cfa_register = arch.sp;
        return row;
    }
    if (!fp || !leads_on(frame, *fp, *sp)) return std::nullopt;
    row.cfa_register = arch.fp;
    constexpr int64_t word = 8;
    if (*fp % word == 1) {
        row.frame = UnwindRow::Frame::exception;
        row.cfa_offset = -1;
        return row;
    }
    const auto caller = frame.word(*fp + word);
    if (*fp % word || !caller || !frame.world.is_text(*caller)) return std::nullopt;
    row.frame = UnwindRow::Frame::call;
    row.cfa_offset = 2 * word;
    row.rules = {{arch.pc, {RegisterRule::Kind::at_cfa, 0, -word}},
                 {arch.sp, {RegisterRule::Kind::cfa_plus, 0, 0}},
                 {arch.fp, {RegisterRule::Kind::at_cfa, 0, -2 * word}}};
    return row;
}

// The call left the return address on top of the stack.
std::optional<Registers> back_from_wild_jump(const FrameView& frame) {
    const uint64_t sp = *frame.registers.get(frame.arch.sp);
    const auto caller = frame.word(sp);
    if (!caller) return std::nullopt;
    Registers next = frame.registers;
    next.set(frame.arch.pc, *caller);
    next.set(frame.arch.sp, sp + frame.arch.word_size);
    return next;
}

} // namespace

extern const StackMachine stack_x86_64;
const StackMachine stack_x86_64 = {
    .arch = "x86_64",
    .special_stacks = special_stacks,
    .entry_code = nullptr, // ORC tells it
    .sleeping_start = sleeping_start,
    .last_functions = last_functions,
    .start_at_slot = start_at_slot,
    .frame_rules = frame_rules,
    .fit = nullptr,
    .back_from_wild_jump = back_from_wild_jump,
    .frame_pointer_leads = false,
    .frame_pointer_shown = false,
    .interrupted_is_a_frame = false,
};

} // namespace kcrash
