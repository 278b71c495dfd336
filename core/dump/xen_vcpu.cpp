// SPDX-License-Identifier: GPL-3.0-or-later
// Turning a virtual CPU into notes.
//
//     512  flags: bit 2: a paravirtual domain was in its kernel
//     520  r15 r14 r13 r12 rbp rbx r11 r10 r9 r8 rax rcx rdx rsi rdi, error code, then at 648 rip, cs, rflags, rsp, ss, es, ds,
//     fs, gs 4984 control registers 0 to 7        5144 bases of fs, gs (kernel), gs (user)
//
// What is odd: the kernel of a paravirtual domain runs in ring 3 as its processes do, and the selector says so. Its own frames have the
// selector without the ring in them; so has the note.
//
// cr3 of a paravirtual domain is of a frame of the machine: who gives the context has put the domain's own in its place.
#include "core/dump/xen_vcpu.hpp"
#include "core/cursor.hpp"
#include "core/dump/x86_notes.hpp"

namespace kcrash {

std::vector<Note> xen_vcpu_notes(std::span<const std::byte> context, uint32_t cpu, bool control) {
    using R = X86Registers;
    R registers;
    Cursor cursor(context, ByteOrder::little, "vcpu_guest_context");
    cursor.seek(512);
    constexpr uint64_t in_kernel = 4, ring = 3;
    const bool kernel = cursor.u64() & in_kernel;
    cursor.seek(520);
    for (const int i : {15, 14, 13, 12, R::rbp, R::rbx, 11, 10, 9, 8, R::rax, R::rcx, R::rdx, R::rsi, R::rdi})
        registers.general[i] = cursor.u64();
    cursor.seek(648);
    registers.rip = cursor.u64();
    constexpr uint64_t selector = 0xffff; // the rest of the word is something else
    registers.segments[R::cs] = cursor.u64() & selector;
    if (kernel) registers.segments[R::cs] &= ~ring;
    registers.flags = cursor.u64();
    registers.general[R::rsp] = cursor.u64();
    for (const int i : {R::ss, R::es, R::ds, R::fs, R::gs}) registers.segments[i] = cursor.u64() & selector;
    cursor.seek(4984);
    registers.cr0 = cursor.u64();
    cursor.seek(xen_vcpu_cr3);
    registers.cr3 = cursor.u64();
    registers.cr4 = cursor.u64();
    cursor.seek(5144);
    registers.fs_base = cursor.u64();
    registers.gs_base = cursor.u64();
    std::vector<Note> notes{x86_prstatus(registers, cpu)};
    if (control) notes.push_back(x86_control(registers));
    return notes;
}

} // namespace kcrash
