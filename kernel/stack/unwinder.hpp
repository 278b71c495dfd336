// SPDX-License-Identifier: GPL-3.0-or-later
// From one frame to the next: the loop, without any knowledge of tasks. Others use unwind() of kernel/stack/stack.hpp.
#pragma once
#include "arch/architecture.hpp"
#include "kernel/stack/stack.hpp"

namespace kcrash {

// What the loop asks of the machine. Quiet: nothing throws but what a Target throws for its own files.
struct StackWorld {
    virtual ~StackWorld() = default;
    virtual Fault read(uint64_t address, std::span<std::byte> into) const = 0;
    virtual std::optional<UnwindRow> rules(uint64_t lookup) const = 0;
    // CFI for the callee-saved registers beside rules(); nothing when they are not asked for.
    virtual std::optional<UnwindRow> register_rules(uint64_t lookup) const = 0;
    virtual bool is_text(uint64_t address) const = 0;
    virtual std::optional<StackRange> stack_of(uint64_t sp) const = 0;
    // The return address that a tracer replaced by its own, given what is in the stack at `slot`. Nothing: it is lost.
    virtual std::optional<uint64_t> original_return(uint64_t slot, uint64_t pc) const = 0;
    virtual std::optional<uint64_t> function_start(uint64_t lookup) const = 0;
    // Are there no ORC tables at all, so that the kernel must have been built with frame pointers?
    virtual bool keeps_frame_pointers() const = 0;
    // The code that saved the registers of what it interrupted (StackMachine::entry_code).
    virtual bool is_entry_code(uint64_t) const { return false; }
    // Bytes; nothing when the type or the member does not exist.
    virtual std::optional<uint64_t> offset_of(std::string_view, std::string_view) const { return std::nullopt; }
    // A return address as it was before it was signed; and one in a copy of code (StackMachine::copied_code), as its original has it.
    virtual uint64_t unsigned_return(uint64_t value) const { return value; }
    virtual std::string describe_missing_rules(uint64_t pc) const = 0; // for Stack::message
};

// Where to begin.
struct StackStart {
    Registers registers;           // pc and sp at least
    bool is_return_address = true;
    uint64_t slot = 0;             // what crash prints in brackets
    const char* source = "";
    std::optional<ExceptionFrame> exception; // becomes Stack::start
    std::optional<Registers> note; // all registers of an earlier moment, in a frame that this stack leads to
};

// At most so many frames, the first included.
constexpr size_t most_frames = 1024;
Stack unwind_from(const StackWorld& world, const Architecture& arch, const StackStart& start, size_t most = most_frames);

// What `from` knows of registers in a frame that both have, and `stack` does not.
void complete_registers(Stack& stack, const Stack& from);

// The registers of a struct pt_regs in memory. partial: only the part that the processor itself stores (from pc on).
std::optional<ExceptionFrame> read_pt_regs(const StackWorld& world, const Architecture& arch, uint64_t address, bool partial);

// "--- <NMI exception stack> ---"
std::string stack_separator(std::string_view stack_name);

} // namespace kcrash
