// SPDX-License-Identifier: GPL-3.0-or-later
// LKCD's header for x86_64, packed, little-endian; from version 8 on.
//
//     0     u64 magic 0xdeaddead, u32 version, u32 size of this header
//     16    the registers of the CPU that died: struct pt_regs of that time, 21 words
//     184   u32 number of CPUs, i32 the CPU that died
//     192   the registers of each CPU, as many as the kernel was built for (NR_CPUS, told by the size alone)
//           then for each the current task, the stack, the stack pointer: 8 bytes each
//
// Bases of segments are not among them. Specified by the LKCD patches, include/asm-x86_64/dump.h and drivers/dump/dump_fmt.c.
#include "core/dump/lkcd_cpus.hpp"
#include "core/cursor.hpp"
#include "core/dump/x86_notes.hpp"
#include <algorithm>

namespace kcrash {
namespace {

constexpr uint64_t magic = 0xdeaddead, head_bytes = 192, register_bytes = 21 * 8, other_bytes = 3 * 8;
constexpr uint32_t most_cpus = 8192;

// Nothing when nobody wrote it.
std::optional<X86Registers> parse(std::span<const std::byte> bytes) {
    using R = X86Registers;
    if (std::all_of(bytes.begin(), bytes.end(), [](std::byte b) { return b == std::byte{0}; })) return std::nullopt;
    Cursor cursor(bytes, ByteOrder::little, "pt_regs");
    R registers;
    for (const int i : {15, 14, 13, 12, R::rbp, R::rbx, 11, 10, 9, 8, R::rax, R::rcx, R::rdx, R::rsi, R::rdi})
        registers.general[i] = cursor.u64();
    cursor.skip(8); // orig_rax
    registers.rip = cursor.u64();
    registers.segments[R::cs] = cursor.u64();
    registers.flags = cursor.u64();
    registers.general[R::rsp] = cursor.u64();
    registers.segments[R::ss] = cursor.u64();
    return registers;
}

} // namespace

std::vector<Note> lkcd_x86_64_registers(const ByteSource& file, FileOffset at) {
    std::vector<Note> notes;
    std::byte head[head_bytes], one[register_bytes];
    if (file.try_read(at, head) != Fault::none) return notes;
    Cursor cursor(head, ByteOrder::little, file.path(), at.value);
    if (cursor.u64() != magic) return notes;
    cursor.skip(4);
    const uint64_t size = cursor.u32();
    cursor.seek(head_bytes - 8);
    const uint32_t cpus = cursor.u32(), dead = cursor.u32();
    const uint64_t places = size < head_bytes ? 0 : (size - head_bytes) / (register_bytes + other_bytes);
    for (uint32_t cpu = 0; cpu < std::min<uint64_t>({cpus, places, most_cpus}); ++cpu) {
        if (file.try_read(at + head_bytes + cpu * register_bytes, one) != Fault::none) break;
        auto registers = parse(one);
        if (cpu == dead && !registers) registers = parse(std::span(head).subspan(16, register_bytes));
        if (registers) notes.push_back(x86_prstatus(*registers, cpu));
    }
    return notes;
}

} // namespace kcrash
