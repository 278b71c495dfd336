// SPDX-License-Identifier: GPL-3.0-or-later
// Rows of memory: an address, its words, its characters. For rd and struct -r.
#pragma once
#include "commands/report/report.hpp"
#include "core/bytes.hpp"
#include "core/fault.hpp"
#include <functional>
#include <span>

namespace kcrash {

struct MemoryRows {
    unsigned unit = 8; // bytes of a word: 1, 2, 4, 8
    enum class Base : uint8_t { hex, decimal, unsigned_decimal } base = Base::hex;
    bool ascii = true; // the characters at the end of each row
    ByteOrder order = ByteOrder::little;
    std::function<std::string(uint64_t word)> name_of = {}; // text in place of a word; empty: the word
    // Reads memory of whatever kind; quiet.
    std::function<Fault(uint64_t address, std::span<std::byte> into)> read = {};
};

// One row: up to 16 bytes, a whole number of words.
void print_memory_row(Report& report, const MemoryRows& rows, uint64_t address, std::span<const std::byte> bytes);

// Printable ASCII; a dot for what is not.
std::string printable(std::span<const std::byte> bytes);

// `count` words from `address`, 16 bytes to a row. A part that cannot be read is one line that says why, and the rest
// goes on. Returns the first fault when nothing at all could be read, else Fault::none.
Fault print_memory(Report& report, const MemoryRows& rows, uint64_t address, uint64_t count);

} // namespace kcrash
