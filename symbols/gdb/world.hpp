// SPDX-License-Identifier: GPL-3.0-or-later
// What the embedded GDB asks of the dead kernel. Without GDB's headers, and C++17: both sides include it.
//
// All of it is called on the thread that runs GDB's command. Nothing here may throw: exceptions of ours must not pass through GDB's
// frames. Addresses are run-time ones.
#pragma once
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace kcrash {

// Registers of one frame, as far as they are known, by the architecture's DWARF numbers.
struct GdbRegisters {
    std::vector<std::pair<unsigned, uint64_t>> values;
    std::optional<uint64_t> pc, sp;
};

// The next frame outwards.
struct GdbCaller {
    GdbRegisters registers;
    uint64_t cfa = 0;           // of the frame that it was asked for; 0: unknown
    bool interrupted = false;   // its pc is an interrupted instruction, not a return address
    bool leaves_stack = false;  // it is on another stack
    bool cfi_leads = true;      // CFI alone finds it too
};

// A module's file with symbols, and where its sections were loaded.
struct GdbModule {
    std::string name;
    std::string path; // of an uncompressed ELF file
    std::vector<std::pair<std::string, uint64_t>> sections;
    std::string trouble; // why there are no symbols of it; empty: there are
};

// All that is known of a system register: one field.
struct GdbField {
    std::string reg, name; // "TCR_EL1", "T1SZ"
    unsigned first, bits;
    uint64_t value;
};

class GdbWorld {
public:
    virtual ~GdbWorld() = default;

    virtual std::string vmlinux() const = 0;              // an uncompressed ELF file; empty: none
    virtual uint64_t to_run_time(uint64_t linked) const = 0;
    virtual bool moved(uint64_t linked) const = 0;        // does KASLR move a section at this linked address?
    virtual std::string architecture() const = 0;         // as "set architecture" takes it; used without a vmlinux
    virtual bool big_endian() const = 0;
    virtual std::vector<GdbModule> modules(const std::string& line) = 0; // that `line`, or the current task's stack, has to do with

    // Tasks by the address of their task_struct.
    virtual std::vector<uint64_t> tasks() = 0;
    virtual uint64_t current_task() = 0;
    virtual void select_task(uint64_t task) = 0;          // the user's choice in GDB becomes the session's
    virtual std::string task_title(uint64_t task) = 0;    // "pid 187"
    virtual std::string task_name(uint64_t task) = 0;     // escaped comm
    virtual GdbRegisters task_registers(uint64_t task) = 0;
    virtual std::vector<unsigned> register_numbers() const = 0; // those that a frame's rules can name
    virtual std::optional<unsigned> link_register() const = 0;  // the one that a call leaves the return address in; nothing: the stack
    virtual std::vector<GdbField> told_fields() const = 0;
    // From one frame to the next. Nothing: the stack ends, or nobody knows the way on.
    virtual std::optional<GdbCaller> caller(uint64_t task, const GdbRegisters& frame, bool is_return_address) = 0;
    virtual bool signs_code() const = 0;                     // are return addresses signed?
    virtual uint64_t code_address(uint64_t value) const = 0; // without its signature, where it is one of the kernel's code

    // Bytes of the kernel, and of the task's user space. Gives how many could be read; `reason` says why no more.
    virtual size_t read(uint64_t task, uint64_t address, void* into, size_t size, std::string& reason) = 0;
};

} // namespace kcrash
