// SPDX-License-Identifier: GPL-3.0-or-later
// What a kernel left in memory about itself, for a dump that does not carry it.
#pragma once
#include "arch/architecture.hpp"
#include "core/dump/memory_note.hpp"
#include "core/dump/vmcoreinfo.hpp"

namespace kcrash {

// Asks each source when it is needed, and memory once. Looks at the memory, which must outlive it. Never throws, but when the user
// interrupts.
class OwnNote {
public:
    explicit OwnNote(const PhysicalMemory& memory, NoteSearch search = {}) : memory_(memory), search_(search) {}

    // Of a dump that names no architecture that is supported: the registers in its notes tell, or else the note in memory. Null:
    // neither does.
    const Architecture* architecture();
    // VMCOREINFO from where this architecture's kernel points at it; empty when it has no such place, or nothing is there.
    VmcoreInfo pointed_at(const Architecture& arch) const;
    // VMCOREINFO from anywhere in memory; empty when it is not found. Costs as much as `search` allows.
    VmcoreInfo searched();
    // Was memory left that was not looked through?
    bool cut() const { return search_.cut; }

private:
    const std::optional<MemoryNote>& note();
    const PhysicalMemory& memory_;
    NoteSearch search_;
    bool sought_ = false;
    std::optional<MemoryNote> note_;
};

} // namespace kcrash
