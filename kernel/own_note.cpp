// SPDX-License-Identifier: GPL-3.0-or-later
// The kernel's own note, from the cheapest source to the dearest.
#include "kernel/own_note.hpp"
#include "core/memory/physical_memory.hpp"

namespace kcrash {

const std::optional<MemoryNote>& OwnNote::note() {
    if (!sought_) note_ = find_memory_note(memory_.dump(), search_);
    sought_ = true;
    return note_;
}

const Architecture* OwnNote::architecture() {
    const Dump& dump = memory_.dump();
    if (const Architecture* arch = architecture_of_notes(dump.notes(), dump.info())) return arch;
    if (!dump.vmcoreinfo().empty()) return nullptr; // it would say the same again
    const auto machine = note() ? machine_of_vmcoreinfo(note()->text, note()->order) : std::nullopt;
    return machine ? find_architecture(machine->elf_machine, note()->order, machine->word_size) : nullptr;
}

VmcoreInfo OwnNote::pointed_at(const Architecture& arch) const {
    return arch.find_vmcoreinfo ? VmcoreInfo(arch.find_vmcoreinfo(memory_)) : VmcoreInfo();
}

VmcoreInfo OwnNote::searched() { return note() ? VmcoreInfo(note()->text) : VmcoreInfo(); }

} // namespace kcrash
