// SPDX-License-Identifier: GPL-3.0-or-later
// x86_64: which of ORC's layouts a table has, and what one entry says.
//
// An entry has 6 bytes and no version. The first four were never changed; the last two were, three times:
//
//      bit 0            16           32       36       40
//      | sp_offset: s16 | bp_offset  | sp_reg | bp_reg | type:2 end:1 ...              until 6.2; the first ones had no `end`
//                                                      | type:2 signal:1 end:1         6.3
//                                                      | type:3 signal:1               6.4
//                                                      | type:3 signal:1, renumbered   7.1, and what it was backported to
//
//      type      until 6.3: CALL 0, REGS 1, REGS_PARTIAL 2
//                from 6.4:  UNDEFINED 0, END_OF_STACK 1, CALL 2, REGS 3, REGS_PARTIAL 4
//      register  until 7.0: PREV_SP 1, DX 2, DI 3, BP 4, SP 5, R10 6, R13 7, *BP 8, *SP 9
//                from 7.1:  AX 1, DX 2, SP 3, BP 4, DI 5, R10 6, R13 7, PREV_SP 8, *SP 9, *BP 10
//
// Where the fields are is told by BTF's struct orc_entry. The registers' numbers are macros and leave no trace in any type.
// So the tables are asked: the first instruction of every function has the rule "CFA is SP + 8, BP is as it was", and
// nothing else is nearly as frequent. Which number SP has there is the numbering: 5 or 3. The other reading of either
// number is DI, which a handful of entries use.
//
// Without BTF the fields are told likewise. Ordinary code has the type CALL: if most rules of ordinary code have 2 in their
// low type bits, the layout is that of 6.4; if 0, an older one, in which bit 43 is set only where it is `end` (6.3).
//
// Specified by arch/x86/include/asm/orc_types.h and by the unwinder, arch/x86/kernel/unwind_orc.c.
#include "core/bytes.hpp"
#include "symbols/orc.hpp"
#include <algorithm>

namespace kcrash::orc {
namespace {

constexpr Base old_numbers[16] = {none,  previous_sp, rdx,     rdi,     rbp,     rsp,     r10,     r13,
                                  at_bp, at_sp,       unknown, unknown, unknown, unknown, unknown, unknown};
constexpr Base new_numbers[16] = {none,        rax,   rdx,   rsp,     rbp,     rdi,     r10,     r13,
                                  previous_sp, at_sp, at_bp, unknown, unknown, unknown, unknown, unknown};
constexpr unsigned old_sp = 5, new_sp = 3;

constexpr size_t few_runs = 4, many_runs = 512; // for the numbering alone; for the fields as well, which rare entries tell

uint64_t value_of(std::span<const std::byte> bytes) { return load_unsigned(bytes, ByteOrder::little); }
uint64_t field(uint64_t value, unsigned bit, unsigned bits) { return value >> bit & ((uint64_t{1} << bits) - 1); }

// The fields by BTF. False: it has no struct orc_entry of this size.
bool fields_by_type(const TypeSource* types, Layout& layout) {
    const Type* type = types ? types->find(TypeKind::structure, "orc_entry") : nullptr;
    if (!type || type->size != entry_size) return false;
    bool sp = false, bp = false, kind = false;
    layout.end_bit.reset();
    for (const TypeMember& member : type->members) {
        const unsigned bit = static_cast<unsigned>(member.bit_offset);
        if (bit >= entry_size * 8) return false;
        if (member.name == "sp_reg") layout.sp_bit = bit, sp = member.bit_size == 4;
        if (member.name == "bp_reg") layout.bp_bit = bit, bp = member.bit_size == 4;
        if (member.name == "type") layout.type_bit = bit, layout.type_bits = member.bit_size, kind = true;
        if (member.name == "end") layout.end_bit = bit;
    }
    return sp && bp && kind && (layout.type_bits == 2 || layout.type_bits == 3);
}

// Runs of entries at even distances: a run lies in one page or two. All entries of a small table.
std::vector<uint64_t> samples(size_t count, size_t runs, const EntryReader& read) {
    constexpr size_t run = 128;
    std::vector<uint64_t> values;
    const size_t step = std::max<size_t>(run, count / runs);
    std::byte bytes[entry_size];
    for (size_t begin = 0; begin < count; begin += step)
        for (size_t i = begin; i < std::min(count, begin + run); ++i)
            if (read(i, bytes)) values.push_back(value_of(bytes));
    return values;
}

// "CFA is SP + 8, BP is as it was", in whatever numbering.
bool at_function_entry(uint64_t value, const Layout& layout) {
    return field(value, 0, 16) == 8 && field(value, layout.bp_bit, 4) == 0 && field(value, layout.sp_bit, 4) != 0;
}

void fields_by_content(const std::vector<uint64_t>& values, Layout& layout) {
    size_t ordinary = 0, split = 0;
    bool last_bit = false;
    for (const uint64_t value : values) {
        last_bit |= field(value, 43, 1);
        if (!at_function_entry(value, layout)) continue;
        ++ordinary;
        split += field(value, 40, 3) == 2;
    }
    if (split * 2 > ordinary) layout.type_bits = 3, layout.end_bit.reset();
    else layout.end_bit = last_bit ? 43 : 42;
}

} // namespace

std::optional<Layout> tell_layout(const TypeSource* types, size_t count, const EntryReader& read) {
    Layout layout;
    const bool told = fields_by_type(types, layout);
    if (!told) layout = Layout{};
    const std::vector<uint64_t> values = samples(count, told ? few_runs : many_runs, read);
    if (values.empty()) return std::nullopt;
    if (!told) fields_by_content(values, layout);
    size_t old_votes = 0, new_votes = 0;
    for (const uint64_t value : values) {
        if (!at_function_entry(value, layout)) continue;
        old_votes += field(value, layout.sp_bit, 4) == old_sp;
        new_votes += field(value, layout.sp_bit, 4) == new_sp;
    }
    layout.renumbered = new_votes > old_votes;
    return layout;
}

Entry decode(const Layout& layout, std::span<const std::byte> bytes) {
    const uint64_t value = value_of(bytes);
    const Base* numbers = layout.renumbered ? new_numbers : old_numbers;
    Entry entry;
    entry.sp_offset = static_cast<int16_t>(field(value, 0, 16));
    entry.bp_offset = static_cast<int16_t>(field(value, 16, 16));
    entry.sp = numbers[field(value, layout.sp_bit, 4)];
    entry.bp = numbers[field(value, layout.bp_bit, 4)];
    const uint64_t type = field(value, layout.type_bit, layout.type_bits);
    if (layout.type_bits == 3) {
        constexpr Kind kinds[8] = {Kind::undefined,    Kind::end,       Kind::call,      Kind::regs,
                                   Kind::partial_regs, Kind::undefined, Kind::undefined, Kind::undefined};
        entry.kind = kinds[type];
    } else {
        constexpr Kind kinds[4] = {Kind::call, Kind::regs, Kind::partial_regs, Kind::undefined};
        entry.kind = layout.end_bit && field(value, *layout.end_bit, 1) ? Kind::end : kinds[type];
    }
    // Until 6.3 a gap between functions has no type of its own: it names no register for SP.
    if (entry.kind != Kind::end && (entry.sp == none || entry.sp == unknown || entry.sp == previous_sp)) entry.kind = Kind::undefined;
    return entry;
}

namespace {

// CFA: a register and an offset, or what lies there.
void cfa_of(const Entry& entry, UnwindRow& row) {
    switch (entry.sp) {
    case rsp:
    case rbp:
        row.cfa_register = entry.sp;
        row.cfa_offset = entry.sp_offset;
        return;
    case at_sp: // the other stack's pointer was stored where this one's points to; the offset is from what was stored
        row.cfa_register = rsp;
        row.cfa_dereference = true;
        row.cfa_add = entry.sp_offset;
        return;
    case at_bp:
        row.cfa_register = rbp;
        row.cfa_offset = entry.sp_offset;
        row.cfa_dereference = true;
        return;
    default: // a register that holds it, for the few instructions in which stacks are changed
        row.cfa_register = entry.sp;
        return;
    }
}

RegisterRule bp_of(const Entry& entry) {
    switch (entry.bp) {
    case none: return {RegisterRule::Kind::same, rbp, 0};
    case previous_sp: return {RegisterRule::Kind::at_cfa, 0, entry.bp_offset};
    case rbp: return {RegisterRule::Kind::at_register, rbp, entry.bp_offset};
    default: return {RegisterRule::Kind::undefined, 0, 0};
    }
}

constexpr unsigned rip = 16; // of DWARF

} // namespace

UnwindRow to_row(const Entry& entry) {
    using Rule = RegisterRule::Kind;
    UnwindRow row;
    row.source = "ORC";
    switch (entry.kind) {
    case Kind::undefined: row.frame = UnwindRow::Frame::undefined; return row;
    case Kind::end: row.frame = UnwindRow::Frame::end; return row;
    case Kind::call: row.frame = UnwindRow::Frame::call; break;
    case Kind::regs: row.frame = UnwindRow::Frame::exception; break;
    case Kind::partial_regs: row.frame = UnwindRow::Frame::partial_regs; break;
    }
    cfa_of(entry, row);
    if (entry.kind == Kind::call) {
        row.rules.push_back({rip, {Rule::at_cfa, 0, -8}});
        row.rules.push_back({rsp, {Rule::cfa_plus, 0, 0}});
        row.rules.push_back({rbp, bp_of(entry)});
    } else if (entry.kind == Kind::partial_regs) {
        row.rules.push_back({rbp, bp_of(entry)});
    }
    return row;
}

extern const Format format_x86_64;
const Format format_x86_64{"x86_64", entry_size, [](const TypeSource* types, size_t count, const EntryReader& read) {
                               std::function<UnwindRow(std::span<const std::byte>)> rows;
                               if (const auto layout = tell_layout(types, count, read))
                                   rows = [layout = *layout](std::span<const std::byte> entry) { return to_row(decode(layout, entry)); };
                               return rows;
                           }};

} // namespace kcrash::orc
