// SPDX-License-Identifier: GPL-3.0-or-later
// A process's mapped areas: include/linux/mm_types.h.
#pragma once
#include "kernel/target.hpp"
#include <optional>
#include <string>
#include <vector>

namespace kcrash {

struct Vma {
    uint64_t address = 0;      // of vm_area_struct
    uint64_t begin = 0, end = 0; // bytes of user virtual memory, exclusive end
    uint64_t flags = 0;        // vm_flags
    uint64_t file = 0;         // address of struct file; 0: none
};

// All areas of an mm_struct, ascending. What cannot be read is told in `warnings`. Never hangs.
std::vector<Vma> vmas(const Target& target, uint64_t mm, std::vector<std::string>& warnings);
// The area that contains the address; nothing when none does.
std::optional<Vma> find_vma(const Target& target, uint64_t mm, uint64_t address);

} // namespace kcrash
