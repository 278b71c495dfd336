// SPDX-License-Identifier: GPL-3.0-or-later
// Areas of mapped kernel memory: include/linux/vmalloc.h.
#pragma once
#include "kernel/target.hpp"

namespace kcrash {

struct VmallocArea {
    uint64_t address = 0;               // of vmap_area
    uint64_t vm = 0;                    // of vm_struct
    uint64_t begin = 0, end = 0;        // kernel virtual, exclusive end
    std::optional<uint64_t> caller;     // who asked for it: a text address
    std::optional<uint64_t> flags;      // VM_* of vmalloc.h
    std::optional<uint64_t> pages;      // that back it
};

// All areas that have a vm_struct, in the order of their addresses. LookupError when this kernel's are unknown.
std::vector<VmallocArea> read_vmalloc_areas(const Target& target, std::vector<std::string>& warnings);

} // namespace kcrash
