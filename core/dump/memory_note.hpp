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

// For opening a dump on this thread while it lives: so many bytes of memory at most are searched. --identify has no time for more.
class ShortNoteSearch {
public:
    explicit ShortNoteSearch(uint64_t most);
    ~ShortNoteSearch();
    ShortNoteSearch(const ShortNoteSearch&) = delete;
    ShortNoteSearch& operator=(const ShortNoteSearch&) = delete;
    static uint64_t most(); // bytes; without one of them 16 GB: opening must not take longer the more memory there is

private:
    uint64_t before_;
};

// How far to look, and whether that was far enough.
struct NoteSearch {
    uint64_t most = ShortNoteSearch::most(); // bytes of memory to read
    bool cut = false;                   // set when memory was left that was not looked through
};

// Looks through memory for the note that the kernel keeps ready for its death (kernel/vmcore_info.c: vmcoreinfo_note), in the likely
// places first: where memory begins, from 4 GB on, where it ends. `memory` are resolved extents of physical memory, `bytes` what
// their sources are offsets of. What cannot be read is passed over; behind 64 GB of it the search ends. Nothing: none was found.
std::optional<MemoryNote> find_memory_note(const ByteSource& bytes, const std::vector<Extent>& memory, NoteSearch& search);

// The same in the memory of a dump of whatever format, unless it was looked through when it was opened.
std::optional<MemoryNote> find_memory_note(const Dump& dump, NoteSearch& search);

// The machine whose kernel writes such a VMCOREINFO, by the keys that only its architecture adds. Nothing: not told.
std::optional<Machine> machine_of_vmcoreinfo(const std::string& text, ByteOrder order);

} // namespace kcrash
