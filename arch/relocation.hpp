// SPDX-License-Identifier: GPL-3.0-or-later
// What an assembler puts into debug sections for the linker to fill in: absolute and place-relative words; and where the linker may
// still shorten code (RISC-V, LoongArch) differences, as one relocation that adds to what is there and one that subtracts.
#pragma once
#include <cstdint>

namespace kcrash {

// A type of relocation, of an architecture's ELF psABI.
struct Relocation {
    enum class Kind : uint8_t { none, absolute, relative, add, subtract, set, set6, add6, subtract6, set_uleb, add_uleb, subtract_uleb };

    uint32_t type; // R_*
    Kind kind;
    uint8_t size = 0; // bytes; 0: as many as are there (LEB128)
};

} // namespace kcrash
