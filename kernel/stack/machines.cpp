// SPDX-License-Identifier: GPL-3.0-or-later
// The list of architectures whose stacks we know: one line each.
#include "kernel/stack/machine.hpp"

namespace kcrash {

extern const StackMachine stack_arm;
extern const StackMachine stack_arm64;
extern const StackMachine stack_i386;
extern const StackMachine stack_loongarch64;
extern const StackMachine stack_ppc64le;
extern const StackMachine stack_riscv64;
extern const StackMachine stack_s390x;
extern const StackMachine stack_x86_64;

static const StackMachine* const machines[] = {
    &stack_arm,
    &stack_arm64,
    &stack_i386,
    &stack_loongarch64,
    &stack_ppc64le,
    &stack_riscv64,
    &stack_x86_64,
    &stack_s390x,
};

const StackMachine& stack_machine(const Architecture& arch) {
    static constexpr StackMachine none{};
    for (const StackMachine* machine : machines)
        if (std::string_view(machine->arch) == arch.name) return *machine;
    return none;
}

std::optional<uint64_t> kernel_symbol(const Target& target, std::string_view name) {
    const SymbolTable& table = target.symbols().kernel();
    const auto found = table.find(name);
    return found.empty() ? std::nullopt : std::optional(table.at(found.front()).address);
}

uint64_t unsigned_code(const Target& target, uint64_t value) {
    const Architecture& arch = target.arch();
    const uint64_t bits = arch.signature_bits ? arch.signature_bits(target.facts()) : 0;
    return bits && target.symbols().is_text(value | bits) ? value | bits : value;
}

std::vector<StackRange> special_stacks_of(const Target& target, unsigned cpu) {
    const StackMachine& machine = stack_machine(target.arch());
    return machine.special_stacks ? machine.special_stacks(target, cpu) : std::vector<StackRange>{};
}

std::vector<StackRange> special_stacks(const Target& target) {
    std::vector<StackRange> all;
    for (const unsigned cpu : target.present_cpus()) {
        const auto found = special_stacks_of(target, cpu);
        all.insert(all.end(), found.begin(), found.end());
    }
    return all;
}

// The size is not in any type of BTF: thread_union is used by no code. The first task's stack has symbols at both ends:
// __end_init_stack since v6.10, __end_init_task before.
uint64_t process_stack_size(const Target& target) {
    constexpr uint64_t least = 4096, most = 1 << 20, usual = 16384;
    const auto possible = [](uint64_t size) { return size >= least && size <= most && (size & (size - 1)) == 0; };
    const Type* type = target.types().find(TypeKind::union_type, "thread_union");
    if (type && possible(type->size)) return type->size;
    const auto begin = kernel_symbol(target, "init_stack");
    for (const char* name : {"__end_init_stack", "__end_init_task"})
        if (const auto end = kernel_symbol(target, name); begin && end && possible(*end - *begin)) return *end - *begin;
    return usual;
}

} // namespace kcrash
