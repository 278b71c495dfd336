// SPDX-License-Identifier: GPL-3.0-or-later
// One step of the unwinder, from a frame that someone else found: registers in, the caller's registers out.
#include "kernel/stack/machine.hpp"
#include "kernel/stack/task_world.hpp"
#include <algorithm>

namespace kcrash {

static Registers with_exact_sp(const Architecture& arch, Registers registers) {
    const auto fp = registers.get(arch.fp);
    if (stack_machine(arch).record_at_bottom && fp.value_or(0) != 0) registers.set(arch.sp, *fp);
    return registers;
}

// Can CFI alone, with these registers, find the return address? Not where it is in a register, or the CFA depends on an unknown one.
static bool cfi_leads(const Target& target, const Registers& frame, uint64_t lookup) {
    const auto row = target.cfi(lookup);
    if (!row || !frame.get(row->cfa_register)) return false;
    const auto of_pc = [&](const UnwindRow::Rule& rule) { return rule.number == target.arch().pc && rule.rule.kind == RegisterRule::Kind::at_cfa; };
    return std::any_of(row->rules.begin(), row->rules.end(), of_pc);
}

std::optional<StackStart> Unwinder::exact_start_of(const Task& task) const {
    auto start = start_of(task);
    if (start && std::string_view(start->source) == "stopped") start->registers = with_exact_sp(target_.arch(), start->registers);
    return start;
}

std::optional<Caller> Unwinder::caller(const Task& task, const Registers& frame, bool is_return_address) const {
    const Architecture& arch = target_.arch();
    const auto pc = frame.get(arch.pc), sp = frame.get(arch.sp);
    if (!pc || !sp) return std::nullopt;
    StackOptions options;
    options.recover_registers = true;
    const TaskWorld world(*this, target_, task, options);
    const auto put_there = [&](const TracerReturn& tracer) { return tracer.address == *pc; };
    if (std::any_of(tracers_.begin(), tracers_.end(), put_there)) { // the tracer's own code, which nobody called
        const auto original = world.original_return(*sp - arch.word_size, *pc);
        if (!original) return std::nullopt;
        Caller caller{frame};
        caller.registers.set(arch.pc, *original);
        return caller;
    }
    if (!world.is_text(*pc) && (is_return_address || !world.stack_of(*sp))) return std::nullopt; // a user's code; a wild jump leads back
    if (!is_return_address) // the first frame may have been found as one: where a function that died had called another
        if (const auto first = exact_start_of(task); first && first->registers.get(arch.pc) == pc && first->registers.get(arch.sp) == sp)
            is_return_address = first->is_return_address;
    StackStart start;
    start.registers = frame;
    if (is_return_address) start.registers.forget(arch.lr); // the call that it made put another address there
    start.is_return_address = is_return_address;
    const Stack stack = unwind_from(world, arch, start, 2);
    if (stack.frames.empty()) return std::nullopt;
    const Frame& here = stack.frames.front();
    if (stack.frames.size() > 1) {
        const Frame& next = stack.frames[1];
        const bool leaves = !here.leaves_stack.empty() || here.stack_name != next.stack_name;
        return Caller{next.is_return_address ? with_exact_sp(arch, next.registers) : next.registers, here.cfa, !next.is_return_address, leaves,
                      cfi_leads(target_, frame, here.lookup())};
    }
    if (here.exception && here.exception->user_mode) return Caller{here.exception->registers, here.cfa, true, true};
    return std::nullopt;
}

} // namespace kcrash
