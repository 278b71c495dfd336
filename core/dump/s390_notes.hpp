// SPDX-License-Identifier: GPL-3.0-or-later
// What s390's own dump formats share: registers as notes, and VMCOREINFO where the kernel leaves it.
#pragma once
#include "core/dump/dump.hpp"
#include <array>
#include <functional>

namespace kcrash {

// The registers of one CPU at the time of the dump.
struct S390Registers {
    std::array<uint64_t, 2> psw{}; // mask, address
    std::array<uint64_t, 16> general{}, control{};
    std::array<uint32_t, 16> access{};
    uint32_t prefix = 0; // physical address of the CPU's lowcore
};

// As the notes that a kdump of the same machine has: NT_PRSTATUS, then NT_S390_CTRS and NT_S390_PREFIX.
std::vector<Note> s390_notes(const S390Registers& registers);

// Fills `into` with physical memory, or says why not.
using PhysicalReader = std::function<Fault(PhysicalAddress, std::span<std::byte>)>;

// Registers that "store status" left in the lowcore at `prefix` of a 64-bit machine. Nothing when that cannot be read.
std::optional<S390Registers> s390_stored_status(uint32_t prefix, const PhysicalReader& read);

// The text of the VMCOREINFO note to which absolute address 0xe0c points. Empty when there is none.
std::string s390_vmcoreinfo(const PhysicalReader& read);

// Memory across pages of a dump whose pages have 4096 bytes.
PhysicalReader s390_reader(const Dump& dump);

} // namespace kcrash
