// SPDX-License-Identifier: GPL-3.0-or-later
// What the dump formats share about ELF notes.
#pragma once
#include "core/dump/dump.hpp"

namespace kcrash {

// The most bytes of notes that are read. Real ones: 336 per CPU, 440 more from QEMU, and device dumps.
constexpr uint64_t max_note_bytes = uint64_t{64} << 20;
// The most notes of one area: thousands of CPUs with a few each.
constexpr size_t max_notes = size_t{1} << 18;

// Reads and cuts one area of notes, as much of it as the file has; `warnings` says what was left out.
std::vector<Note> read_notes(const ByteSource& file, FileOffset at, uint64_t size, ByteOrder order,
                             std::vector<std::string>& warnings);

// The text of the first VMCOREINFO note, or nothing.
std::string vmcoreinfo_text(const std::vector<Note>& notes);

// The text of the first ERASEINFO note (makedumpfile -E), or nothing.
std::string erased_text(const std::vector<Note>& notes);

// What to tell the user of a text of erased data.
std::string erased_warning(std::string_view text);

// Does the dump hold a whole machine under the Xen hypervisor? Its physical addresses are the machine's then, not those of a
// domain's kernel.
bool of_xen_hypervisor(const std::vector<Note>& notes);
constexpr const char* xen_hypervisor_warning =
    "a dump of the Xen hypervisor: addresses are the machine's, and the memory of a domain is not looked for";

// PAGESIZE of a VMCOREINFO text when it is a possible page size, else 0.
uint64_t vmcoreinfo_page_size(const std::string& text);

// A page size that some Linux port has: a power of two from 4 kB to 1 MB.
constexpr bool possible_page_size(uint64_t size) { return size >= 4096 && size <= uint64_t{1} << 20 && (size & (size - 1)) == 0; }

} // namespace kcrash
