// SPDX-License-Identifier: GPL-3.0-or-later
// The machines whose dumps occur: the name in utsname, the number in ELF, the width of a word.
#pragma once
#include "core/bytes.hpp"
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace kcrash {

struct Machine {
    const char* name;     // utsname.machine, or how it begins
    uint16_t elf_machine; // EM_* of elf.h
    unsigned word_size;   // bytes; 0: the ELF class tells
    std::optional<ByteOrder> order;
};

// Nothing when the name is unknown, or empty.
std::optional<Machine> machine_by_name(std::string_view name);
// What utsname calls the machine; "ELF machine N" when the number is unknown, empty for 0.
std::string machine_name(uint16_t elf_machine, ByteOrder order, unsigned word_size);
// Are pages of this ELF machine always of 4096 bytes? Others have several sizes, and a kernel's VMCOREINFO tells which.
bool has_one_page_size(uint16_t elf_machine);
// The kernel of 32 bits that a processor of 64 can run; nothing: there is none.
std::optional<Machine> kernel_of_32_bits(uint16_t processor);
// The bytes of a word of this ELF machine; a 32-bit kernel's dump may well be an ELF64 file.
unsigned word_size_of(uint16_t elf_machine, bool elf64);

} // namespace kcrash
