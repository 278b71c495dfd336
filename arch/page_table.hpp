// SPDX-License-Identifier: GPL-3.0-or-later
// The one page-table walker: an architecture gives its layout as numbers and one function that decodes an entry.
#pragma once
#include "core/memory/address_space.hpp"
#include <array>

namespace kcrash {

// What an entry of a table means.
struct DecodedEntry {
    enum class Kind : uint8_t { table, page, absent, swap, invalid } kind = Kind::absent;
    PhysicalAddress address; // of the next table, or of the page
    // log2 of the page's size where it is not its level's: one page of many equal entries. Else 0.
    unsigned page_bits = 0;
    // The entries that the next table has, where it need not be whole.
    uint64_t first_index = 0, end_index = UINT64_MAX;
    // Not 0: the next table is no level's but the last, of pages of this size (log2) that together cover this entry.
    unsigned last_shift = 0;
};

struct PageTableLevel {
    const char* name; // as vtop prints it
    unsigned shift;   // lowest bit of the index in the virtual address
    unsigned bits;    // of the index
};

struct PageTableLayout {
    std::array<PageTableLevel, 6> levels{}; // top first
    unsigned count = 0;
    unsigned entry_size = 8;                // bytes
    ByteOrder order = ByteOrder::little;
    unsigned physical_bits = 52;
    bool (*canonical)(uint64_t address) = nullptr; // under this layout
    // last: the level below which there is none; ignored_bits: to be cleared from addresses. Pure.
    DecodedEntry (*decode)(uint64_t entry, const PageTableLevel& level, bool last, uint64_t ignored_bits) = nullptr;
    uint64_t ignored_bits = 0;              // of an entry's address: memory encryption
    // The kernel's own half: what is not present there is not mapped (freed init memory keeps its frame in the entry).
    bool (*never_swapped)(uint64_t address, uint64_t kernel_begin) = nullptr;
    uint64_t kernel_begin = 0;              // for it, where it differs between kernels
};

// Does `at` translate to `physical`? For choosing among layouts that nothing else tells
// apart: the kernel's top table maps itself.
bool maps_to(const Translator& translator, VirtualAddress at, PhysicalAddress physical);

// Walks from the root. Depth is bounded by the layout. Looks at the memory, which must outlive it.
std::unique_ptr<Translator> make_translator(const PhysicalMemory& memory, const PageTableLayout& layout, PhysicalAddress root);

} // namespace kcrash
