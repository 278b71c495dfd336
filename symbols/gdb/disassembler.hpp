// SPDX-License-Identifier: GPL-3.0-or-later
// Machine code as text, by GDB's libopcodes. GDB itself is not started, and none of its headers is needed to use this.
#pragma once
#include "arch/code_machine.hpp"
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

namespace kcrash {

// One instruction as GDB prints it, in three parts and the blanks between them:
// "mov", "0x1e8b5a9(%rip),%rdi", "# 0xffffffff82a31980 <runqueues>".
struct InstructionText {
    unsigned size = 0; // bytes
    std::string mnemonic, before_operands, operands, before_comment, comment;
    std::optional<uint64_t> refers_to; // the address that it names: where it jumps to, what it reads
};

// Decodes one instruction after the other: what one names may depend on the one before it (auipc of RISC-V). For one thread;
// several may be used by several threads at once, one of them decodes at a time, since libopcodes keeps its state in variables.
class Disassembler {
public:
    // Copies bytes of code. False when they cannot be read. May throw.
    using Read = std::function<bool(uint64_t address, void* into, size_t size)>;
    // How an address that an instruction names is shown: "0xffffffff81a02b50 <schedule+68>". May throw.
    using Name = std::function<std::string(uint64_t address)>;

    // std::invalid_argument for a machine whose name BFD does not know.
    Disassembler(const CodeMachine& machine, bool big_endian, Read read, Name name);
    ~Disassembler();
    Disassembler(const Disassembler&) = delete;
    Disassembler& operator=(const Disassembler&) = delete;

    // Nothing: its bytes cannot be read, the first of those being at `unreadable`. Bytes that are no instruction are text as well:
    // "(bad)", ".inst 0x...". What `read` and `name` throw comes out.
    std::optional<InstructionText> decode(uint64_t address, uint64_t& unreadable);

private:
    struct State;
    std::unique_ptr<State> state_;
};

} // namespace kcrash
