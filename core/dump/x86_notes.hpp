// SPDX-License-Identifier: GPL-3.0-or-later
// Registers of an x86_64 CPU as the notes of a QEMU dump, for formats that keep them in a form of their own.
#pragma once
#include "core/dump/dump.hpp"

namespace kcrash {

struct X86Registers {
    static constexpr int rax = 0, rcx = 1, rdx = 2, rbx = 3, rsp = 4, rbp = 5, rsi = 6, rdi = 7; // then r8 to r15
    static constexpr int es = 0, cs = 1, ss = 2, ds = 3, fs = 4, gs = 5;
    uint64_t general[16]{}, segments[6]{}; // in the order above
    uint64_t fs_base = 0, gs_base = 0;
    uint64_t rip = 0, flags = 0;
    uint64_t cr0 = 0, cr3 = 0, cr4 = 0, idt = 0;
    uint32_t idt_limit = 0; // bytes - 1
};

// NT_PRSTATUS; the number becomes the process number, as QEMU writes it.
Note x86_prstatus(const X86Registers& registers, uint32_t cpu);

// QEMUCPUState in a note named "QEMU": the control registers, from which page tables are found without the kernel's help.
Note x86_control(const X86Registers& registers);

} // namespace kcrash
