// SPDX-License-Identifier: GPL-3.0-or-later
// The dead kernel's code, or a process's, as instructions: as it stood in memory, with all that the kernel patched at run time.
#pragma once
#include "kernel/target.hpp"
#include "symbols/gdb/disassembler.hpp"
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace kcrash {

struct Instruction {
    uint64_t address = 0;
    std::vector<std::byte> bytes;
    InstructionText text;
    Fault fault = Fault::none; // why the dump has not got its bytes: these are vmlinux's
};

// A function in memory. The end is the symbol's, or where the next symbol begins if it does not tell a size.
struct CodeRange {
    uint64_t begin = 0, end = 0;
    std::string name;
};

// LookupError when no symbol of text covers the address.
CodeRange function_at(const Target& target, uint64_t address);

// Reads instructions one after the other. Looks at the target. For one thread.
class Code {
public:
    // space: a process's, to be kept by the caller; null: the kernel's. name: how to show the addresses that instructions name.
    Code(const Target& target, const AddressSpace* space, Disassembler::Name name);

    // Where the dump has left out a page of the kernel's text, vmlinux's bytes are read, and `fault` of the instruction tells.
    // They are as linked: not patched, and with no KASLR in them. MemoryError when there are none either.
    Instruction at(uint64_t address);

private:
    Fault read(uint64_t address, std::span<std::byte> into);

    const Target& target_;
    const AddressSpace& space_;
    bool of_kernel_;
    Fault replaced_ = Fault::none; // of the instruction that is being read
    struct Failed { Fault fault = Fault::bad_table; size_t size = 0; } failed_; // its first read that failed
    Disassembler disassembler_;
};

} // namespace kcrash
