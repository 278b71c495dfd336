// SPDX-License-Identifier: GPL-3.0-or-later
// A task's stack, frame by frame, across interrupt and exception stacks down to the user's registers.
#pragma once
#include "kernel/target.hpp"
#include "kernel/task.hpp"
#include <optional>
#include <string>
#include <vector>

namespace kcrash {

// A struct pt_regs on a stack, or the notes' registers.
struct ExceptionFrame {
    uint64_t address = 0;   // of the pt_regs
    Registers registers;
    bool user_mode = false;
    bool partial = false;   // only ip, cs, flags, sp, ss are there
};

struct Frame {
    unsigned level = 0;
    uint64_t pc = 0;                 // as found: a return address, or the interrupted instruction
    bool is_return_address = true;   // look up pc - 1 when true
    uint64_t sp = 0;                 // where the frame's return address lies (as crash prints in brackets)
    uint64_t frame_base = 0;         // value of the stack pointer while in this frame
    uint64_t cfa = 0;                // 0: unknown
    Registers registers;             // as far as recovered, in this frame
    std::optional<ExceptionFrame> exception; // printed after this frame: the state this frame's caller was interrupted in
    std::string stack_name;          // "IRQ", "NMI", "#DF", "DEBUG", "MCE", "" process: the stack this frame is on
    std::string leaves_stack;        // not empty: "--- <NMI exception stack> ---" follows this frame
    const char* source = "";         // which rules led here: "ORC", "CFI", "notes", "scheduler"
    bool interrupted = false;        // the function was interrupted: `pc` is also in the exception frame before it
    bool hidden = false;             // it has no line and no number of its own: the exception frame before it names the function
    uint64_t lookup() const { return is_return_address ? pc - 1 : pc; }
};

struct StackRange {
    uint64_t begin = 0, end = 0; // bytes, exclusive end
    std::string name;            // "IRQ", "NMI", ...; "" for a process stack
    unsigned cpu = 0;
};

// Why the unwinding ended.
enum class StackEnd : uint8_t { user_mode, outermost, no_rules, unreadable, outside, not_recovered };

struct Stack {
    std::vector<Frame> frames;
    StackEnd end = StackEnd::outermost;
    std::string message;  // for no_rules, unreadable, outside: what the user should know or do
    // The CPU's registers, when the stack starts with them: frames[0] is the function that they name, or there is
    // no frame because they are a user's.
    std::optional<ExceptionFrame> start;
    bool active_without_registers = false; // it ran, and the dump does not say where: there are no frames
};

enum class UnwindRules : uint8_t { best, orc, cfi, frame_pointer };

struct StackOptions {
    std::optional<uint64_t> ip, sp;   // bt -I, -S: start values
    bool recover_registers = false;   // also apply CFI so that callee-saved registers are known (bt -V)
    UnwindRules rules = UnwindRules::best; // bt -D: this source alone
};

// Never throws for damaged memory: it ends with what it has. At most 1024 frames; the stack pointer only ascends on one stack.
Stack unwind(const Target& target, const Tasks& tasks, const Task& task, const StackOptions& options = {});

// All stacks of the machine besides the tasks' own: IRQ and exception stacks by CPU (the machine's part in stack_<arch>.cpp).
std::vector<StackRange> special_stacks(const Target& target);

// Registers of the CPU at the crash, from the dump's notes; nothing when there is no note for it.
std::optional<Registers> cpu_registers(const Target& target, unsigned cpu);

} // namespace kcrash
