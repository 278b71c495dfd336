// SPDX-License-Identifier: GPL-3.0-or-later
// A task's stack: what the loop asks is answered from the target.
#include "kernel/stack/stack.hpp"
#include "kernel/stack/machine.hpp"
#include "kernel/stack/task_world.hpp"
#include "kernel/word.hpp"
#include <algorithm>
#include <fmt/format.h>

namespace kcrash {

TaskWorld::TaskWorld(const Unwinder& unwinder, const Target& target, const Task& task, const StackOptions& options)
    : unwinder_(unwinder), target_(target), task_(task), options_(options), process_(unwinder.process_stack(task)) {}

Fault TaskWorld::read(uint64_t address, std::span<std::byte> into) const { return target_.kernel().try_read(VirtualAddress{address}, into); }

std::optional<UnwindRow> TaskWorld::rules(uint64_t lookup) const {
    std::optional<UnwindRow> row;
    if (options_.rules == UnwindRules::best || options_.rules == UnwindRules::orc) row = target_.orc(lookup);
    if (row && row->frame != UnwindRow::Frame::undefined) return row;
    const bool ask_cfi = options_.rules == UnwindRules::best || options_.rules == UnwindRules::cfi;
    if (!ask_cfi || !target_.symbols().is_text(lookup)) return std::nullopt;
    row = target_.cfi(lookup);
    return row ? row : target_.ehabi(lookup);
}

std::optional<UnwindRow> TaskWorld::register_rules(uint64_t lookup) const {
    return options_.recover_registers ? target_.cfi(lookup) : std::nullopt;
}

bool TaskWorld::is_text(uint64_t address) const { return target_.symbols().is_text(address); }

// The task's own stack, then those of the CPU it ran on. Another CPU's only where the user chose the stack pointer.
std::optional<StackRange> TaskWorld::stack_of(uint64_t sp) const {
    const auto holds = [sp](const StackRange& range) { return sp >= range.begin && sp < range.end; };
    if (process_ && holds(*process_)) return process_;
    if (!special_) special_ = options_.sp ? special_stacks(target_) : special_stacks_of(target_, task_.cpu.value_or(0));
    for (const StackRange& range : *special_)
        if (holds(range)) return range;
    return std::nullopt;
}

std::optional<uint64_t> TaskWorld::original_return(uint64_t slot, uint64_t pc) const {
    return kcrash::original_return(target_, unwinder_.tracers_, task_, slot, pc);
}

std::optional<uint64_t> TaskWorld::function_start(uint64_t lookup) const {
    const auto match = target_.symbols().containing(lookup);
    return match ? std::optional(match->symbol.address) : std::nullopt;
}

bool TaskWorld::keeps_frame_pointers() const {
    return options_.rules == UnwindRules::frame_pointer || !kernel_symbol(target_, "__start_orc_unwind");
}

bool TaskWorld::is_entry_code(uint64_t lookup) const {
    const auto holds = [lookup](const CodeRange& range) { return lookup >= range.begin && lookup < range.end; };
    return std::any_of(unwinder_.entry_code_.begin(), unwinder_.entry_code_.end(), holds);
}

std::optional<uint64_t> TaskWorld::offset_of(std::string_view type, std::string_view member) const {
    const auto found = target_.try_member(type, {member});
    return found ? std::optional<uint64_t>(found->offset) : std::nullopt;
}

uint64_t TaskWorld::unsigned_return(uint64_t value) const {
    const uint64_t bits = unwinder_.signature_bits_;
    if (bits) return is_text(value | bits) ? value | bits : value;
    if (const uint64_t mark = value & stack_machine(target_.arch()).return_address_mark) return is_text(value - mark) ? value - mark : value;
    const std::vector<CodeCopy>& copies = unwinder_.copies_;
    const auto above = std::upper_bound(copies.begin(), copies.end(), value, [](uint64_t at, const CodeCopy& copy) { return at < copy.begin; });
    if (above == copies.begin() || value >= std::prev(above)->end) return value;
    return value - std::prev(above)->begin + std::prev(above)->original;
}

std::string TaskWorld::describe_missing_rules(uint64_t pc) const {
    if (const LoadedModule* module = target_.symbols().module_of(pc))
        return fmt::format("no unwind data for 0x{:x} [{}]; load its symbols with \"mod -s {}\"", pc, module->name, module->name);
    if (!is_text(pc)) return fmt::format("no unwind data for 0x{:x}, which is in no module: code made at run time", pc);
    return fmt::format("no unwind data for 0x{:x} {}", pc, target_.symbols().describe(pc));
}

Unwinder::Unwinder(const Target& target) : target_(target), stack_size_(process_stack_size(target)), tracers_(tracer_returns(target)) {
    const StackMachine& machine = stack_machine(target.arch());
    if (machine.entry_code) entry_code_ = machine.entry_code(target);
    if (machine.copied_code) copies_ = machine.copied_code(target);
    std::sort(copies_.begin(), copies_.end(), [](const CodeCopy& a, const CodeCopy& b) { return a.begin < b.begin; });
    if (target.arch().signature_bits) signature_bits_ = target.arch().signature_bits(target.facts());
}

std::optional<StackRange> Unwinder::process_stack(const Task& task) const {
    if (!task.stack || *task.stack == 0) return std::nullopt;
    return StackRange{*task.stack, *task.stack + stack_size_, "", task.cpu.value_or(0)};
}

std::string Unwinder::describe_no_start(uint64_t sp) const {
    uint64_t value = 0;
    const Fault fault = try_word(target_, sp, value);
    if (fault != Fault::none) return fmt::format("the stack at 0x{:x} cannot be read: {}", sp, describe(fault));
    return fmt::format("0x{:x} at 0x{:x} is no return address: -S wants the address of one, as bt -t lists them, or -I beside it", value, sp);
}

Stack Unwinder::unwind(const Task& task, const StackOptions& options) const {
    const TaskWorld world(*this, target_, task, options);
    const auto start = start_of(task, options);
    if (start) {
        Stack stack = unwind_from(world, target_.arch(), *start);
        if (!options.recover_registers || !start->note) return stack;
        StackStart earlier; // where callers' registers were all there
        earlier.registers = *start->note;
        earlier.is_return_address = false;
        complete_registers(stack, unwind_from(world, target_.arch(), earlier));
        return stack;
    }
    Stack stack;
    stack.end = StackEnd::not_recovered;
    if (options.sp) {
        stack.message = describe_no_start(*options.sp);
        return stack;
    }
    stack.active_without_registers = task.active;
    if (!task.active)
        stack.message = task.stack && *task.stack == 0 ? "the task has no stack any more"
                                                       : "where its stack begins cannot be read";
    return stack;
}

Stack unwind(const Target& target, const Tasks&, const Task& task, const StackOptions& options) {
    return Unwinder(target).unwind(task, options);
}

} // namespace kcrash
