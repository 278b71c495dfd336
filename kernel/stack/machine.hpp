// SPDX-License-Identifier: GPL-3.0-or-later
// What the stacks of one machine have in common: found once, used for every task.
#pragma once
#include "kernel/stack/unwinder.hpp"

namespace kcrash {

// The kernel's own symbols only: a name that is not there would make every module's symbols be read.
std::optional<uint64_t> kernel_symbol(const Target& target, std::string_view name);
// Bytes of a task's kernel stack.
uint64_t process_stack_size(const Target& target);
// The return address that a tracer puts on a stack in the place of the original, and which tracer that is.
struct TracerReturn {
    enum class Kind : uint8_t { graph, probe } kind;
    uint64_t address;
};
// The interrupt and exception stacks of one CPU.
std::vector<StackRange> special_stacks_of(const Target& target, unsigned cpu);
// Are the registers of the notes those of the moment of the dump (QEMU), or those that a CPU had when it was stopped?
bool notes_are_of_the_moment(const Target& target);

// A word that may be a signed address of the kernel's code: as it was before. Others stay what they are.
uint64_t unsigned_code(const Target& target, uint64_t value);

// Addresses of code, exclusive end.
struct CodeRange {
    uint64_t begin, end;
};

// Code that runs from a copy of itself: addresses of the copy, and where the original begins.
struct CodeCopy {
    uint64_t begin, end, original;
};

// One frame as the loop stands in it, for a machine to find the way on.
struct FrameView {
    const StackWorld& world;
    const Architecture& arch;
    const Registers& registers;
    const StackRange* range; // the stack; null: nobody knows which
    uint64_t lookup;         // the address whose function it is
    bool is_return_address;
    std::span<const StackRange> left; // stacks that frames before this one were on: none leads back to them

    std::optional<uint64_t> word(uint64_t address) const; // nothing: it cannot be read
    bool was_left(const StackRange& stack) const;
};

// What an architecture adds to the loop of unwinder.cpp. To add one: write stack_<arch>.cpp with one `const StackMachine` and name it
// in machines.cpp. Functions that are null have nothing to add.
struct StackMachine {
    const char* arch; // Architecture::name
    // The stacks of a CPU that are no task's.
    std::vector<StackRange> (*special_stacks)(const Target& target, unsigned cpu);
    // Code that saves the registers of what it interrupted; only where neither ORC nor CFI tells it.
    std::vector<CodeRange> (*entry_code)(const Target& target);
    // Code that the machine runs from copies that have no symbols; null: there is none.
    std::vector<CodeCopy> (*copied_code)(const Target& target) = nullptr;
    // Where a task that does not run goes on; nothing when memory does not tell.
    std::optional<StackStart> (*sleeping_start)(const Target& target, const Task& task);
    // The functions in which a CPU ends up when the kernel dies: they do not return. The first is that of the CPU that died.
    std::span<const char* const> last_functions;
    // A start at a return address that lies in `slot`.
    StackStart (*start_at_slot)(const StackWorld& world, const Architecture& arch, uint64_t slot);
    // The way on where there are no other rules: the chain of frames that the ABI keeps. Nothing: it leads nowhere.
    std::optional<UnwindRow> (*frame_rules)(const FrameView& frame);
    // Rules of ORC or CFI, made to fit what is known of this frame; nothing: they cannot be right here.
    std::optional<UnwindRow> (*fit)(const FrameView& frame, const UnwindRow& row);
    // The registers of who called an address that is no code.
    std::optional<Registers> (*back_from_wild_jump)(const FrameView& frame);
    bool frame_pointer_leads; // frame records link one stack with the next: the frame pointer tells the stack of a frame
    // The frame record lies at the bottom of its frame: the stack pointer is the frame pointer, in the body of a function. Who unwinds by
    // CFI needs it exact where this unwinder, which follows records, does not.
    bool record_at_bottom = false;
    uint64_t return_address_mark = 0; // bits of a return address that are no part of it: Thumb's
    uint64_t cfa_above_sp = 0; // bytes from the caller's stack pointer up to the CFA
    // The registers of a CPU that the machine itself stored in memory, for a dump without notes; nothing: it did not.
    std::optional<Registers> (*saved_registers)(const Target& target, unsigned cpu) = nullptr;
    // Makes registers that the kernel wrote into its note for the CPU that died those of one moment; null: they are.
    void (*correct_note)(const Target& target, Registers& registers) = nullptr;
    // Which of QEMU's notes is that of a CPU, from 0; nothing: nobody knows. Null: they are in the order of the CPUs.
    std::optional<size_t> (*place_in_notes)(const Target& target, unsigned cpu) = nullptr;
    // QEMU's notes do not have the pc, but the address where the last exception came: makes of registers on a kernel's stack where that stack
    // begins; false: nobody knows. Null: the notes have it.
    bool (*begin_without_pc)(const StackWorld& world, const Architecture& arch, StackStart& start) = nullptr;

    // ---- how crash shows it
    bool frame_pointer_shown;    // in brackets is the frame pointer, not the place of the return address; words begin there
    bool stack_pointer_shown = false; // in brackets is the stack pointer while in the frame; words begin there
    bool interrupted_is_a_frame; // an interrupted function has a line of its own on every stack, not only where stacks change
};
const StackMachine& stack_machine(const Architecture& arch); // one without anything for an architecture that has none

// The next frame outwards.
struct Caller {
    Registers registers;
    uint64_t cfa = 0;          // of the frame that it was asked for; 0: unknown
    bool interrupted = false;  // its pc is the instruction that was interrupted, not a return address
    bool leaves_stack = false; // it is on another stack than the frame that it was asked for
    bool cfi_leads = true;     // CFI alone finds it too
};

// Registers and stacks of tasks, and of the CPUs that they ran on. Looks at the target. Safe from many threads.
class Unwinder {
public:
    explicit Unwinder(const Target& target);
    Stack unwind(const Task& task, const StackOptions& options = {}) const;
    // The range of the task's own stack; nothing when its address could not be read.
    std::optional<StackRange> process_stack(const Task& task) const;
    // Where the task's stack begins to be in use: the saved stack pointer, or the CPU's. Nothing when nobody knows.
    std::optional<StackStart> start_of(const Task& task, const StackOptions& options = {}) const;

    // start_of(), with a stack pointer that CFI can begin with.
    std::optional<StackStart> exact_start_of(const Task& task) const;
    // One step from any frame of the task's stacks, for an unwinder that is not ours. Nothing: the stack ends here, or nobody knows.
    std::optional<Caller> caller(const Task& task, const Registers& frame, bool is_return_address) const;

private:
    friend class TaskWorld;
    std::optional<StackStart> sleeping_start(const Task& task) const;
    std::string describe_no_start(uint64_t sp) const; // where the user said that the stack begins
    std::optional<StackStart> active_start(const StackWorld& world, const Task& task, bool pc_is_given) const;

    const Target& target_;
    uint64_t stack_size_;
    std::vector<TracerReturn> tracers_;
    std::vector<CodeRange> entry_code_;
    std::vector<CodeCopy> copies_; // by address
    uint64_t signature_bits_ = 0; // of return addresses into the kernel
};

std::vector<TracerReturn> tracer_returns(const Target& target);
// What belongs at `slot` of the task's stack, where `pc` is: the same, if no tracer put it there. Nothing: it was not found.
std::optional<uint64_t> original_return(const Target& target, const std::vector<TracerReturn>& tracers, const Task& task, uint64_t slot,
                                        uint64_t pc);

} // namespace kcrash
