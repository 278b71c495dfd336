// SPDX-License-Identifier: GPL-3.0-or-later
// Page tables from a fuzzer's bytes, and what is asked of them.
//
// An input is the text of a fixture of page tables (tests/fixtures/page_walks.hpp: number, option, symbol, text, ram, page_size), a
// NUL, two bytes of size and as many of ELF notes, and then records of 17 bytes, all little-endian: a letter, two words.
//
//     e ADDRESS ENTRY     an entry of 8 bytes in memory; w: of 4 bytes
//     f WORD -            pages without entries are full of this word (else they are not in the dump)
//     r ADDRESS -         a process's top table
//     k ADDRESS -         a question: translate this address of the kernel's; u: of the process's
//     d ENTRY -           describe it, and take it for a swap entry
#pragma once
#include "arch/architecture.hpp"
#include <span>
#include <string>
#include <vector>

namespace kcrash::fuzz {

// False: not such an input. Aborts when a walk does not end within six steps, when vtop's walk and the quick one differ, or when a
// page's size is impossible.
bool walk_tables(const Architecture& arch, std::span<const std::byte> input);

// The same from the text of a fixture (.walks).
std::vector<std::byte> walk_input(const std::string& fixture);
// The machine that a fixture's text names.
std::string walk_machine(const std::string& fixture);

} // namespace kcrash::fuzz
