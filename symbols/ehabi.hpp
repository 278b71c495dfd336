// SPDX-License-Identifier: GPL-3.0-or-later
// The unwind tables of 32-bit ARM code: .ARM.exidx and .ARM.extab, which the kernel calls .ARM.unwind_idx and .ARM.unwind_tab.
#pragma once
#include "symbols/unwind.hpp"
#include <cstddef>
#include <span>

namespace kcrash {

class AddressSpace;
class ElfFile;

// Addresses of the dump, exclusive end.
struct EhabiRange {
    uint64_t index_begin, index_end; // entries of 8 bytes, by the address of the function
    uint64_t text_begin, text_end;   // what they cover
};

// Rules hold where a function called another, not in its prologue. vmlinux is asked for what is not in the dump; it may be null. Null: the
// range is no table.
std::unique_ptr<UnwindTable> open_ehabi(const AddressSpace& kernel, const EhabiRange& range, const ElfFile* vmlinux, uint64_t slide);

namespace ehabi {

// What the instructions of one function say; nothing when they say that it cannot be unwound, or what no rule can say.
std::optional<UnwindRow> interpret(std::span<const std::byte> instructions);

} // namespace ehabi
} // namespace kcrash
