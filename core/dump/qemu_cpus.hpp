// SPDX-License-Identifier: GPL-3.0-or-later
// The registers of the CPUs in a QEMU stream.
#pragma once
#include "core/dump/dump.hpp"

namespace kcrash {

// As the notes that QEMU writes into a dump of the same machine, in the order of the CPUs; empty when they are not found, or are not
// what a processor has in its registers. devices: what follows the memory in the stream; end: the last bytes of the stream.
std::vector<Note> qemu_cpu_notes(uint16_t elf_machine, std::span<const std::byte> devices, std::span<const std::byte> end);
// Of the words in those notes.
ByteOrder qemu_note_order(uint16_t elf_machine);

} // namespace kcrash
