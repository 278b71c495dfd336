// SPDX-License-Identifier: GPL-3.0-or-later
// x86_64: the stacks that are not a task's.
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

} // namespace

std::vector<StackRange> x86_64_stacks(const Target& target, unsigned cpu) {
    std::vector<StackRange> found;
    add_irq_stack(target, cpu, found);
    if (!add_exception_stacks(target, cpu, found)) add_old_exception_stacks(target, cpu, found);
    return found;
}

} // namespace kcrash
