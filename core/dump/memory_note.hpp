// SPDX-License-Identifier: GPL-3.0-or-later
// VMCOREINFO found in memory: for dumps whose format has no place for it.
#pragma once
#include "core/dump/dump.hpp"
#include "core/dump/extents.hpp"
#include "core/dump/machines.hpp"
#include "core/file.hpp"

namespace kcrash {

struct MemoryNote {
    std::string text; // of VMCOREINFO
    ByteOrder order;  // of the note's own numbers: the kernel's
};

// Looks through memory, lowest address first, for the note that the kernel keeps ready for its death (kernel/vmcore_info.c:
// vmcoreinfo_note). `memory` are resolved extents of physical memory, `bytes` what their sources are offsets of. What cannot be
// read is passed over; behind 64 GB of it the search ends. Reads all there is where there is none. Nothing: none was found.
std::optional<MemoryNote> find_memory_note(const ByteSource& bytes, const std::vector<Extent>& memory);

// The same in the memory of a dump of whatever format.
std::optional<MemoryNote> find_memory_note(const Dump& dump);

// The machine whose kernel writes such a VMCOREINFO, by the keys that only its architecture adds. Nothing: not told.
std::optional<Machine> machine_of_vmcoreinfo(const std::string& text, ByteOrder order);

} // namespace kcrash
