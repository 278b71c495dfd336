// SPDX-License-Identifier: GPL-3.0-or-later
// The inside of the ORC reader; others use open_orc() of symbols/sources.hpp.
#pragma once
#include "symbols/types.hpp"
#include "symbols/unwind.hpp"
#include <cstddef>
#include <functional>
#include <optional>
#include <span>

namespace kcrash::orc {

// Gives entry `index` of the table, as many bytes as the span has; false when it cannot be read.
using EntryReader = std::function<bool(size_t index, std::span<std::byte> into)>;

// How the tables of an architecture look. To add one: write symbols/orc_<arch>.cpp with a Format and name it in orc.cpp.
struct Format {
    const char* arch;  // Architecture::name
    size_t entry_size; // bytes, at most most_entry_size
    // Gives what says the row of an entry; an empty function when the table cannot be read. types may be null.
    std::function<UnwindRow(std::span<const std::byte> entry)> (*open)(const TypeSource* types, size_t count, const EntryReader& read);
};
constexpr size_t most_entry_size = 8;

// ---- x86_64

constexpr size_t entry_size = 6; // bytes: two offsets and 16 bits of fields, packed

// What the registers' numbers of an entry mean. Numbers of DWARF, or one of these.
enum Base : uint8_t { rax = 0, rdx = 1, rdi = 5, rbp = 6, rsp = 7, r10 = 10, r13 = 13, none = 100, previous_sp, at_sp, at_bp, unknown };

enum class Kind : uint8_t { call, regs, partial_regs, end, undefined };

// Where the fields are and what their values mean: the tables do not say, see tell_layout().
struct Layout {
    unsigned sp_bit = 32, bp_bit = 36, type_bit = 40, type_bits = 2; // from the start of the entry
    std::optional<unsigned> end_bit = 42;                            // nothing: the type says it
    bool renumbered = false;                                         // the registers' numbers of 7.1
};

struct Entry {
    int16_t sp_offset = 0, bp_offset = 0;
    Base sp = none, bp = none;
    Kind kind = Kind::undefined;
};

Entry decode(const Layout& layout, std::span<const std::byte> bytes);
UnwindRow to_row(const Entry& entry);

// Tells the layout from BTF's struct orc_entry, where there is one, and from the table's own content. Nothing when the
// table cannot be read. types may be null.
std::optional<Layout> tell_layout(const TypeSource* types, size_t count, const EntryReader& read);

} // namespace kcrash::orc
