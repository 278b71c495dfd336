// SPDX-License-Identifier: GPL-3.0-or-later
// The list of architectures whose interrupt and exception stacks we find.
#include "kernel/stack/machine.hpp"

namespace kcrash {
namespace {

struct StackFinder {
    std::string_view arch;
    std::vector<StackRange> (*find)(const Target& target, unsigned cpu);
};
constexpr StackFinder finders[] = {{"x86_64", x86_64_stacks}};

} // namespace

std::optional<uint64_t> kernel_symbol(const Target& target, std::string_view name) {
    const SymbolTable& table = target.symbols().kernel();
    const auto found = table.find(name);
    return found.empty() ? std::nullopt : std::optional(table.at(found.front()).address);
}

std::vector<StackRange> special_stacks_of(const Target& target, unsigned cpu) {
    for (const StackFinder& finder : finders)
        if (finder.arch == target.arch().name) return finder.find(target, cpu);
    return {};
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
