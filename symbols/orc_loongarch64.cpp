// SPDX-License-Identifier: GPL-3.0-or-later
// loongarch64: what one entry of an ORC table says.
//
//      bit 0            16           32           48       52       56       60     63
//      | sp_offset: s16 | fp_offset  | ra_offset  | sp_reg | fp_reg | ra_reg | type | signal |
//
//      register  UNDEFINED 0, PREV_SP 1, SP 2, FP 3
//      type      UNDEFINED 0, END_OF_STACK 1, CALL 2, REGS 3
//
// The CFA is SP + sp_offset, or FP itself: the frame pointer is the caller's stack pointer. The caller's FP and the return
// address lie at PREV_SP (the CFA) + offset, or are where they were. The layout has not changed since the first kernel that had it.
//
// Specified by arch/loongarch/include/asm/orc_types.h and by the unwinder, arch/loongarch/kernel/unwind_orc.c, both of Linux
// cb8a2ef0848c ("LoongArch: Add ORC stack unwinder support"), v6.9.
#include "core/bytes.hpp"
#include "symbols/orc.hpp"

namespace kcrash::orc {
namespace {

constexpr size_t size = 8;
enum : unsigned { undefined_register, previous, stack, frame };           // of an entry
enum : unsigned { dwarf_ra = 1, dwarf_sp = 3, dwarf_fp = 22, pc_number = 64 }; // of arch/loongarch64.cpp

uint64_t field(uint64_t value, unsigned bit, unsigned bits) { return value >> bit & ((uint64_t{1} << bits) - 1); }
int64_t offset(uint64_t value, unsigned bit) { return static_cast<int16_t>(field(value, bit, 16)); }

UnwindRow row_of(std::span<const std::byte> bytes) {
    using Rule = RegisterRule::Kind;
    using Frame = UnwindRow::Frame;
    constexpr Frame frames[8] = {Frame::undefined, Frame::end,       Frame::call,      Frame::exception,
                                 Frame::undefined, Frame::undefined, Frame::undefined, Frame::undefined};
    const uint64_t entry = load_unsigned(bytes, ByteOrder::little);
    const uint64_t base = field(entry, 48, 4), fp = field(entry, 52, 4), ra = field(entry, 56, 4);
    UnwindRow row;
    row.source = "ORC";
    row.frame = frames[field(entry, 60, 3)];
    if (row.frame == Frame::undefined || row.frame == Frame::end) return row;
    if ((base != stack && base != frame) || fp > previous || ra > previous) {
        row.frame = Frame::undefined;
        return row;
    }
    row.cfa_register = base == stack ? dwarf_sp : dwarf_fp;
    row.cfa_offset = base == stack ? offset(entry, 0) : 0;
    if (row.frame == Frame::exception) return row;
    row.rules = {{pc_number, ra == previous ? RegisterRule{Rule::at_cfa, 0, offset(entry, 32)} : RegisterRule{Rule::in_register, dwarf_ra, 0}},
                 {dwarf_sp, {Rule::cfa_plus, 0, 0}},
                 {dwarf_fp, fp == previous ? RegisterRule{Rule::at_cfa, 0, offset(entry, 16)} : RegisterRule{Rule::same, dwarf_fp, 0}}};
    return row;
}

} // namespace

extern const Format format_loongarch64;
const Format format_loongarch64{"loongarch64", size, [](const TypeSource*, size_t, const EntryReader& read) {
                                    std::byte first[size];
                                    return read(0, first) ? std::function<UnwindRow(std::span<const std::byte>)>(row_of) : nullptr;
                                }};

} // namespace kcrash::orc
