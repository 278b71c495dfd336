// SPDX-License-Identifier: GPL-3.0-or-later
// The frames that GDB cannot cross by itself.
//
// GDB unwinds with .debug_frame, and does so here wherever a function has an entry in it. Three kinds of frames have none, or a wrong
// one: assembly (entry code, where the registers of what was interrupted lie on the stack) and code without debug information;
// functions that change to another stack in the middle; those that never return, and so keep no return address. For these alone
// the kernel's own rules are asked. In all other frames the two readings stay independent of each other.
//
//   SIGTRAMP_FRAME  the caller was interrupted, or is on another stack: its pc is looked up as it is, and its stack may lie anywhere
//   NORMAL_FRAME    the caller called; or nobody knows it, and the stack ends here
//
// A signed return address (arm64) loses its signature where GDB takes one from the stack: gdbarch_addr_bits_remove.
#include "defs.h"
#include "arch-utils.h"
#include "dwarf2/frame.h"
#include "dwarf2/loc.h"
#include "frame-base.h"
#include "frame-unwind.h"
#include "frame.h"
#include "gdbarch.h"
#include "inferior.h"
#include "target.h"
#include "user-regs.h"
#include "value.h"
#include "symbols/gdb/inside.hpp"

namespace kcrash::gdb_inside {
namespace {

// What is kept with a frame: GDB frees its memory without a destructor, so there are no members that need one.
struct Crossing {
    bool known;
    CORE_ADDR cfa, pc;        // of this frame: where the caller's stack pointer is, as in frames by CFI beside it
    unsigned count;
    struct Value {
        int number;           // of GDB
        uint64_t value;
    } values[100];
};

std::optional<uint64_t> register_of(frame_info_ptr frame, int number) {
    if (number < 0) return std::nullopt;
    ULONGEST value = 0;
    try {
        struct value* found = get_frame_register_value(frame, number);
        if (!found || value_optimized_out(found) || !value_entirely_available(found)) return std::nullopt;
        const auto bytes = value_contents(found);
        if (bytes.size() > 8) return std::nullopt;
        value = extract_unsigned_integer(bytes, gdbarch_byte_order(get_frame_arch(frame)));
    } catch (const gdb_exception_error&) { return std::nullopt; }
    return value;
}

GdbRegisters registers_of(frame_info_ptr frame) {
    struct gdbarch* arch = get_frame_arch(frame);
    GdbRegisters registers;
    for (const unsigned dwarf : state().world->register_numbers())
        if (const auto value = register_of(frame, register_of_gdb(arch, dwarf))) registers.values.emplace_back(dwarf, *value);
    CORE_ADDR pc = 0;
    if (get_frame_pc_if_available(frame, &pc)) registers.pc = pc;
    registers.sp = register_of(frame, gdbarch_sp_regnum(arch));
    return registers;
}

void keep(Crossing& crossing, struct gdbarch* arch, const GdbCaller& caller) {
    const auto add = [&crossing](int number, uint64_t value) {
        if (number >= 0 && crossing.count < std::size(crossing.values)) crossing.values[crossing.count++] = {number, value};
    };
    if (caller.registers.pc) {
        add(gdbarch_pc_regnum(arch), *caller.registers.pc);
        add(user_reg_map_name_to_regnum(arch, "pswa", -1), *caller.registers.pc);
    }
    if (caller.registers.sp) add(gdbarch_sp_regnum(arch), *caller.registers.sp);
    for (const auto& [dwarf, value] : caller.registers.values) add(register_of_gdb(arch, dwarf), value);
    crossing.known = caller.registers.pc && caller.registers.sp;
}

// Was the frame's pc found as a return address? While an unwinder sniffs, GDB takes the frame for one of that unwinder's kind, so
// get_frame_address_in_block() does not tell.
bool was_called(frame_info_ptr frame) {
    frame_info_ptr next = get_next_frame(frame);
    while (next != nullptr && get_frame_type(next) == INLINE_FRAME) next = get_next_frame(next);
    return next != nullptr && (get_frame_type(next) == NORMAL_FRAME || get_frame_type(next) == TAILCALL_FRAME);
}

// Is the frame ours, and does it lead away? Asked twice for each frame, once by each kind.
int sniff(frame_info_ptr frame, void** cache, bool leads_away) {
    if (!state().world || selected_task() == 0) return 0;
    CORE_ADDR pc = 0;
    if (!get_frame_pc_if_available(frame, &pc)) return 0;
    gdb_byte code[4]; // GDB gives frames up whose code it cannot read: that of __init is gone
    const bool has_rules = dwarf2_frame_base_sniffer(frame) && target_read_memory(pc, code, sizeof code) == 0;
    const GdbRegisters here = registers_of(frame);
    if (!here.sp) return 0;
    const auto caller = state().world->caller(selected_task(), here, was_called(frame));
    if (has_rules && !(caller && (caller->leaves_stack || !caller->cfi_leads))) return 0;
    if ((caller && (caller->interrupted || caller->leaves_stack)) != leads_away) return 0;
    auto* crossing = FRAME_OBSTACK_ZALLOC(Crossing);
    crossing->pc = pc;
    crossing->cfa = caller && !leads_away && caller->cfa ? caller->cfa : *here.sp;
    if (caller) keep(*crossing, get_frame_arch(frame), *caller);
    *cache = crossing;
    return 1;
}

int sniff_away(const frame_unwind*, frame_info_ptr frame, void** cache) { return sniff(frame, cache, true); }
int sniff_called(const frame_unwind*, frame_info_ptr frame, void** cache) { return sniff(frame, cache, false); }

enum unwind_stop_reason stop_reason(frame_info_ptr, void** cache) {
    return static_cast<const Crossing*>(*cache)->known ? UNWIND_NO_REASON : UNWIND_OUTERMOST;
}

void frame_identity(frame_info_ptr, void** cache, frame_id* id) {
    const auto* crossing = static_cast<const Crossing*>(*cache);
    *id = frame_id_build(crossing->cfa, crossing->pc);
}

struct value* previous_register(frame_info_ptr frame, void** cache, int number) {
    const auto* crossing = static_cast<const Crossing*>(*cache);
    for (unsigned i = 0; i < crossing->count; ++i)
        if (crossing->values[i].number == number) return frame_unwind_got_constant(frame, number, crossing->values[i].value);
    return frame_unwind_got_optimized(frame, number);
}

const frame_unwind away_unwinder = {"kcrash: another stack", SIGTRAMP_FRAME, stop_reason, frame_identity, previous_register,
                                           nullptr, sniff_away, nullptr, nullptr};
const frame_unwind called_unwinder = {"kcrash: called", NORMAL_FRAME, stop_reason, frame_identity, previous_register,
                                      nullptr, sniff_called, nullptr, nullptr};

CORE_ADDR remove_signature(struct gdbarch*, CORE_ADDR address) { return state().world ? state().world->code_address(address) : address; }

} // namespace

void prepare_architecture() {
    struct gdbarch* arch = get_current_arch();
    if (!state().prepared.insert(arch).second) return;
    frame_unwind_prepend_unwinder(arch, &called_unwinder);
    frame_unwind_prepend_unwinder(arch, &away_unwinder);
    // Where nothing is signed the architecture's own answer stays.
    if (state().world->signs_code()) set_gdbarch_addr_bits_remove(arch, remove_signature);
    add_told_registers(arch);
    reinit_frame_cache();
}

} // namespace kcrash::gdb_inside
