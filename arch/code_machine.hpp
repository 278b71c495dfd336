// SPDX-License-Identifier: GPL-3.0-or-later
// What GDB's disassembler has to be told of an architecture. C++17: symbols/gdb/ includes it.
#pragma once

namespace kcrash {

struct CodeMachine {
    const char* name = nullptr;        // BFD's: "i386:x86-64"
    const char* options = nullptr;     // of the disassembler, as for objdump -M
    const char* odd_options = nullptr; // those for code at odd addresses, where bit 0 tells the instruction set (ARM's Thumb)
};

} // namespace kcrash
