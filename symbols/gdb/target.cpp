// SPDX-License-Identifier: GPL-3.0-or-later
// The dead kernel as a target of GDB: memory and registers come from the dump, every task is a thread.
//
// A thread is made when it is asked for: the current task's at once, all others when GDB wants the list ("info threads", "thread
// apply"). ptid_t(1, number, task): `number` is the place in the list of tasks, from 1, and `task` the address of the task_struct.
#include "defs.h"
#include "frame.h"
#include "gdbarch.h"
#include "gdbthread.h"
#include "inferior.h"
#include "process-stratum-target.h"
#include "regcache.h"
#include "target.h"
#include "dwarf2/frame.h"
#include "dwarf2/loc.h"
#include "user-regs.h"
#include "symbols/gdb/inside.hpp"

namespace kcrash::gdb_inside {
namespace {

const target_info kernel_target_info = {"kcrash", "the dump of a dead kernel", "Memory and registers come from the dump."};

uint64_t task_of(ptid_t ptid) { return ptid.tid(); }

// Fills the register from the value, in the kernel's byte order. Registers that are views of others are not stored.
void supply(regcache* registers, int number, uint64_t value) {
    struct gdbarch* arch = registers->arch();
    if (number < 0 || number >= gdbarch_num_regs(arch)) return;
    const int size = register_size(arch, number);
    gdb_byte bytes[16] = {};
    if (size <= 0 || size > static_cast<int>(sizeof bytes)) return;
    store_unsigned_integer(bytes, std::min(size, 8), gdbarch_byte_order(arch), value);
    registers->raw_supply(number, bytes);
}

// The program counter of s390x is a view of the second word of the PSW.
int storable_pc(struct gdbarch* arch) {
    const int number = gdbarch_pc_regnum(arch);
    return number < gdbarch_num_regs(arch) ? number : user_reg_map_name_to_regnum(arch, "pswa", -1);
}

class KernelTarget final : public process_stratum_target {
public:
    const target_info& info() const override { return kernel_target_info; }
    bool has_all_memory() override { return true; } // else what the dump left out would be read from vmlinux
    bool has_memory() override { return true; }
    bool has_stack() override { return true; }
    bool has_registers() override { return true; }
    bool has_execution(inferior*) override { return false; }
    bool thread_alive(ptid_t) override { return state().world != nullptr; }
    void close() override {}
    void files_info() override { gdb_printf("\tMemory and registers come from the dump.\n"); }

    std::string pid_to_str(ptid_t ptid) override { return state().world ? state().world->task_title(task_of(ptid)) : "gone"; }

    const char* thread_name(thread_info* thread) override {
        if (!state().world) return nullptr;
        name_ = state().world->task_name(task_of(thread->ptid));
        return name_.c_str();
    }

    void update_thread_list() override {
        if (!state().world) return;
        long number = 0;
        for (const uint64_t task : state().world->tasks()) {
            const ptid_t ptid(1, ++number, task);
            if (!find_thread_ptid(this, ptid)) add_thread_silent(this, ptid);
        }
    }

    void fetch_registers(regcache* registers, int) override {
        struct gdbarch* arch = registers->arch();
        for (int number = 0; number < gdbarch_num_regs(arch); ++number) registers->raw_supply(number, nullptr);
        if (!state().world) return;
        const GdbRegisters known = state().world->task_registers(task_of(registers->ptid()));
        for (const auto& [dwarf, value] : known.values) supply(registers, register_of_gdb(arch, dwarf), value);
        if (known.pc) supply(registers, storable_pc(arch), *known.pc);
        if (known.sp) supply(registers, gdbarch_sp_regnum(arch), *known.sp);
    }

    void prepare_to_store(regcache*) override { error("the kernel is dead: its dump is only read, never written"); }

    enum target_xfer_status xfer_partial(enum target_object object, const char*, gdb_byte* into, const gdb_byte* from, ULONGEST offset,
                                         ULONGEST size, ULONGEST* done) override {
        if (object != TARGET_OBJECT_MEMORY || !state().world) return TARGET_XFER_E_IO;
        if (from) {
            state().wrote = true;
            return TARGET_XFER_E_IO;
        }
        const uint64_t task = task_of(inferior_ptid);
        const uint64_t page_end = (offset | 0xfff) + 1; // what is known of one page is not known of the next
        const uint64_t part = std::min<uint64_t>(size, page_end - offset);
        std::string reason;
        const size_t got = state().world->read(task, offset, into, part, reason);
        *done = got;
        if (got) return TARGET_XFER_OK;
        if (state().unreadable.size() < 10000) state().unreadable[offset] = reason;
        return TARGET_XFER_E_IO;
    }

private:
    std::string name_;
};

KernelTarget& target() {
    static KernelTarget* const only = new KernelTarget; // GDB's own list refers to it until the process ends
    return *only;
}

thread_info* thread_of(uint64_t task) {
    for (thread_info* thread : all_threads(&target()))
        if (task_of(thread->ptid) == task) return thread;
    long number = 0;
    for (const uint64_t other : state().world->tasks()) {
        ++number;
        if (other == task) return add_thread_silent(&target(), ptid_t(1, number, task));
    }
    return nullptr;
}

} // namespace

// LR of ppc64 is column 65 of .debug_frame, and 108 of other DWARF: GDB knows it by the second alone.
int register_of_gdb(struct gdbarch* arch, unsigned dwarf) {
    const int number = dwarf_reg_to_regnum(arch, static_cast<int>(dwarf));
    return number < 0 && dwarf == state().world->link_register() ? user_reg_map_name_to_regnum(arch, "lr", -1) : number;
}

void open_target() {
    inferior* only = current_inferior();
    only->push_target(&target());
    inferior_appeared(only, 1);
}

void select_task(uint64_t task) {
    if (selected_task() == task) return;
    thread_info* thread = thread_of(task);
    if (!thread) return;
    switch_to_thread(thread);
    registers_changed();
    reinit_frame_cache();
}

uint64_t selected_task() { return inferior_ptid == null_ptid ? 0 : task_of(inferior_ptid); }

} // namespace kcrash::gdb_inside
