// SPDX-License-Identifier: GPL-3.0-or-later
// Turning a save map into notes.
//
//     472 idt high   576 cr4   660 idt low, limit   796 r15 ... r8   860 rax rcx rdx rbx rsp rbp rsi rdi
//     936 es cs ss ds fs gs (u32)   984 rip   992 efer   1000 rflags   1008 cr3   1016 cr0
//
// The bases of fs and gs are not in it.
#include "core/dump/sadump_cpu.hpp"
#include "core/cursor.hpp"
#include "core/dump/x86_notes.hpp"

namespace kcrash {

std::vector<Note> sadump_cpu_notes(std::span<const std::byte> state, uint32_t cpu) {
    X86Registers registers;
    Cursor cursor(state, ByteOrder::little, "CPU state");
    const auto u32_at = [&](uint64_t at) { return cursor.seek(at), cursor.u32(); };
    registers.idt = uint64_t{u32_at(472)} << 32 | u32_at(660);
    registers.idt_limit = u32_at(664);
    registers.cr4 = u32_at(576);
    cursor.seek(796);
    for (int i = 15; i >= 8; --i) registers.general[i] = cursor.u64();
    for (int i = 0; i < 8; ++i) registers.general[i] = cursor.u64();
    cursor.seek(936);
    for (uint64_t& segment : registers.segments) segment = cursor.u32();
    cursor.seek(984);
    registers.rip = cursor.u64();
    cursor.skip(8); // EFER
    registers.flags = cursor.u64();
    registers.cr3 = cursor.u64();
    registers.cr0 = cursor.u64();
    return {x86_prstatus(registers, cpu), x86_control(registers)};
}

bool sadump_cpu_in_long_mode(std::span<const std::byte> state) {
    return (load<uint64_t>(state.data() + 992, ByteOrder::little) >> 10 & 1) != 0;
}

} // namespace kcrash
