// SPDX-License-Identifier: GPL-3.0-or-later
// Why bytes cannot be read: the quiet form of an error, for the hot paths.
#pragma once
#include <cstdint>
#include <string_view>

namespace kcrash {

enum class Fault : uint8_t {
    none,             // the bytes were read
    excluded,         // the page existed and the dump tool left it out (makedumpfile -d)
    excluded_or_zero, // an ELF dump left it out: filtered, or all zeroes; the file cannot tell which
    not_in_dump,      // no memory at this physical address, as far as the dump knows
    incomplete,       // the dump tool ran out of room before it wrote this page
    truncated,        // the dump file ends before this page: it was cut
    damaged,          // the page's data does not decompress to one page
    io,               // the operating system failed to read the dump file
    no_mapping,       // the page tables have no entry for this virtual address
    swapped,          // the page tables say that the page is in swap
    bad_table,        // a page table points outside of memory, or breaks the rules of its format
    noncanonical,     // the address is not a valid virtual address of this architecture
};

// A short phrase for messages: "excluded from the dump by makedumpfile".
std::string_view describe(Fault fault);
// A stable word for JSON: "excluded".
std::string_view name(Fault fault);

} // namespace kcrash
