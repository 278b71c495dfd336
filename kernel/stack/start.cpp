// SPDX-License-Identifier: GPL-3.0-or-later
// Where a stack begins.
//
// A task that does not run was left in the scheduler's switch, which saved its registers: where is the machine's matter.
//
// A task that ran when the kernel died is harder. The notes of a kdump hold what a CPU did before it was stopped: the
// registers that the NMI of the crashing CPU interrupted or, on that CPU itself, those of a moment inside of __crash_kexec() or
// of the oops. The handlers went on from there and never returned, and the stack holds them. So we look for a return
// address into one of them on this CPU's stacks, and follow it; it is taken only if the rules lead from it to exactly the
// registers of the note. What an earlier NMI left behind does not: it belonged to other registers. Without such a chain the
// stack begins with the note. QEMU's notes are of the moment itself.
#include "kernel/stack/machine.hpp"
#include "kernel/stack/task_world.hpp"
#include "kernel/word.hpp"

namespace kcrash {
namespace {

std::vector<CodeRange> last_code(const Target& target) {
    constexpr uint64_t guess = 4096; // bytes, where kallsyms tells no size: the next symbol ends it
    const SymbolTable& table = target.symbols().kernel();
    std::vector<CodeRange> found;
    for (const char* name : stack_machine(target.arch()).last_functions)
        for (const size_t index : table.find(name)) {
            const Symbol symbol = table.at(index);
            const size_t next = table.first_above(symbol.address);
            const uint64_t reach = next < table.size() ? std::min(table.at(next).address - symbol.address, guess) : guess;
            found.push_back({symbol.address, symbol.address + (symbol.size ? symbol.size : reach)});
        }
    return found;
}

bool same_function(const Target& target, uint64_t a, uint64_t b) {
    const auto one = target.symbols().containing(a), two = target.symbols().containing(b);
    return one && two && one->symbol.address == two->symbol.address;
}

// Does the stack lead to where the note was taken?
bool reaches(const Target& target, const Stack& stack, const Registers& note) {
    const Architecture& arch = target.arch();
    const auto pc = note.get(arch.pc), sp = note.get(arch.sp);
    const bool by_frame_pointer = stack_machine(arch).frame_pointer_leads;
    for (const Frame& frame : stack.frames) {
        if (frame.exception && frame.exception->registers.get(arch.pc) == pc && frame.exception->registers.get(arch.sp) == sp) return true;
        const bool here = frame.frame_base == *sp || (by_frame_pointer && frame.registers.get(arch.fp) == note.get(arch.fp));
        if (here && same_function(target, frame.lookup(), *pc)) return true;
    }
    return false;
}

std::vector<uint64_t> words_of(const StackWorld& world, const Architecture& arch, const StackRange& range) {
    std::vector<std::byte> bytes(range.end - range.begin);
    constexpr uint64_t page = 4096;
    for (uint64_t at = 0; at < bytes.size(); at += page) { // a page that is not there holds no handler
        const auto part = std::span(bytes).subspan(at, std::min<uint64_t>(page, bytes.size() - at));
        if (world.read(range.begin + at, part) != Fault::none) std::fill(part.begin(), part.end(), std::byte{0});
    }
    std::vector<uint64_t> words(bytes.size() / arch.word_size);
    for (size_t i = 0; i < words.size(); ++i)
        words[i] = load_unsigned(std::span<const std::byte>(bytes).subspan(i * arch.word_size, arch.word_size), arch.order);
    return words;
}

// The handler that this CPU went on in after the note was taken.
std::optional<StackStart> find_handler(const Target& target, const StackWorld& world, const std::vector<StackRange>& stacks,
                                       const Registers& note) {
    const Architecture& arch = target.arch();
    const StackMachine& machine = stack_machine(arch);
    const std::vector<CodeRange> code = last_code(target);
    if (!machine.start_at_slot) return std::nullopt;
    std::optional<StackStart> best;
    size_t most = 0;
    for (const StackRange& range : stacks) {
        const std::vector<uint64_t> words = words_of(world, arch, range);
        for (size_t i = 0; i < words.size(); ++i) {
            const uint64_t word = world.unsigned_return(words[i]);
            const auto inside = [&](const CodeRange& c) { return word > c.begin && word <= c.end; };
            if (std::none_of(code.begin(), code.end(), inside)) continue;
            StackStart start = machine.start_at_slot(world, arch, range.begin + i * arch.word_size);
            if (!start.registers.get(arch.pc)) continue;
            start.registers.set(arch.pc, word);
            start.source = "stopped";
            start.note = note;
            const Stack stack = unwind_from(world, arch, start);
            if (stack.frames.size() > most && reaches(target, stack, note)) best = start, most = stack.frames.size();
        }
    }
    return best;
}

} // namespace

std::optional<StackStart> Unwinder::sleeping_start(const Task& task) const {
    const Architecture& arch = target_.arch();
    const StackMachine& machine = stack_machine(arch);
    auto start = machine.sleeping_start ? machine.sleeping_start(target_, task) : std::nullopt;
    if (!start || !start->registers.get(arch.pc) || !start->registers.get(arch.sp)) return std::nullopt;
    const uint64_t sp = *start->registers.get(arch.sp), pc = *start->registers.get(arch.pc) | signature_bits_;
    const auto stack = process_stack(task);
    if (stack && (sp < stack->begin || sp > stack->end)) return std::nullopt;
    start->registers.set(arch.pc, pc);
    start->source = "scheduler";
    // A task that never ran "returns" to the first instruction of ret_from_fork: nobody called from before it.
    const auto match = target_.symbols().containing(pc);
    start->is_return_address = !match || match->offset != 0;
    return start;
}

std::optional<StackStart> Unwinder::active_start(const StackWorld& world, const Task& task, bool pc_is_given) const {
    const Architecture& arch = target_.arch();
    if (!task.cpu) return std::nullopt;
    const auto note = cpu_registers(target_, *task.cpu);
    if (!note) return std::nullopt;
    if (!notes_are_of_the_moment(target_)) {
        std::vector<StackRange> stacks = special_stacks_of(target_, *task.cpu);
        if (const auto own = process_stack(task)) stacks.push_back(*own);
        if (auto handler = find_handler(target_, world, stacks, *note)) return handler;
    }
    StackStart start;
    start.registers = *note;
    start.is_return_address = false;
    start.slot = *note->get(arch.sp);
    start.source = "notes";
    start.exception = ExceptionFrame{0, *note, arch.user_mode(*note), false};
    const auto begin_without_pc = stack_machine(arch).begin_without_pc;
    if (!begin_without_pc || !notes_are_of_the_moment(target_) || !world.stack_of(start.slot)) return start;
    start.exception->user_mode = false; // a user's stack pointer is not on the kernel's stacks
    if (!pc_is_given && !target_.dump().info().notes_have_pc && !begin_without_pc(world, arch, start)) return std::nullopt;
    return start;
}

std::optional<StackStart> Unwinder::start_of(const Task& task, const StackOptions& options) const {
    const Architecture& arch = target_.arch();
    const TaskWorld world(*this, target_, task, options);
    std::optional<StackStart> start;
    if (!options.sp) {
        start = task.active ? active_start(world, task, options.ip.has_value()) : sleeping_start(task);
        if (start && options.ip) start->registers.set(arch.pc, *options.ip), start->is_return_address = false;
        return start;
    }
    const StackMachine& machine = stack_machine(arch);
    if (!machine.start_at_slot) return std::nullopt;
    start = machine.start_at_slot(world, arch, *options.sp); // a return address lies where the user says
    start->source = "user";
    if (options.ip) {
        start->registers.set(arch.pc, *options.ip);
        start->registers.set(arch.sp, *options.sp);
        start->is_return_address = false;
        return start;
    }
    const auto pc = start->registers.get(arch.pc);
    if (!pc || !target_.symbols().is_text(*pc)) return std::nullopt;
    return start;
}

} // namespace kcrash
