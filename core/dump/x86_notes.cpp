// SPDX-License-Identifier: GPL-3.0-or-later
// Writing struct elf_prstatus of x86_64 (arch/x86/include/uapi/asm/ptrace.h) and QEMUCPUState (QEMU's target/i386/arch_dump.c).
#include "core/dump/x86_notes.hpp"

namespace kcrash {
namespace {

using R = X86Registers;

// A description under construction, little-endian.
struct Description {
    std::vector<std::byte> bytes;
    void add(uint64_t value, size_t size = 8) {
        for (size_t i = 0; i < size; ++i) bytes.push_back(static_cast<std::byte>(value >> i * 8));
    }
    void add_segment(uint64_t selector, uint64_t limit = 0, uint64_t base = 0) {
        add(selector, 4);
        add(limit, 4);
        add(0); // flags
        add(base);
    }
    void fill(size_t size) { bytes.resize(size); }
};

} // namespace

Note x86_prstatus(const X86Registers& registers, uint32_t cpu) {
    Description d;
    d.fill(32);
    d.add(cpu + 1, 4);
    d.fill(112);
    // The last is orig_rax.
    for (const int i : {15, 14, 13, 12, R::rbp, R::rbx, 11, 10, 9, 8, R::rax, R::rcx, R::rdx, R::rsi, R::rdi, R::rax})
        d.add(registers.general[i]);
    for (const uint64_t value : {registers.rip, registers.segments[R::cs], registers.flags, registers.general[R::rsp],
                                 registers.segments[R::ss], registers.fs_base, registers.gs_base})
        d.add(value);
    for (const int i : {R::ds, R::es, R::fs, R::gs}) d.add(registers.segments[i]);
    d.fill(336);
    return {"CORE", note_prstatus, std::move(d.bytes)};
}

Note x86_control(const X86Registers& registers) {
    constexpr size_t size = 440;
    Description d;
    d.add(1, 4); // version
    d.add(size, 4);
    for (const int i : {R::rax, R::rbx, R::rcx, R::rdx, R::rsi, R::rdi, R::rsp, R::rbp, 8, 9, 10, 11, 12, 13, 14, 15})
        d.add(registers.general[i]);
    d.add(registers.rip);
    d.add(registers.flags);
    for (const int i : {R::cs, R::ds, R::es, R::fs, R::gs, R::ss}) d.add_segment(registers.segments[i]);
    for (int i = 0; i < 3; ++i) d.add_segment(0); // LDT, task, GDT
    d.add_segment(0, registers.idt_limit, registers.idt);
    for (const uint64_t value : {registers.cr0, uint64_t{0}, uint64_t{0}, registers.cr3, registers.cr4}) d.add(value);
    d.fill(size);
    return {"QEMU", 0, std::move(d.bytes)};
}

} // namespace kcrash
