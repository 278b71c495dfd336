// SPDX-License-Identifier: GPL-3.0-or-later
// One reading of a file's DWARF: its units, which of their entries define types, and the types.
#pragma once
#include "symbols/elf_file.hpp"
#include "symbols/type.hpp"
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace kcrash::dwarfcheck {

// An entry that stands for a struct, union, enum, typedef or base type.
struct Entry {
    uint64_t offset = 0; // in .debug_info
    TypeKind kind = TypeKind::void_type; // structure, union_type, enumeration, typedef_type, integer: by its tag alone
    bool declared = false; // by name only
    bool operator==(const Entry&) const = default;
};

struct Unit {
    uint64_t offset = 0;        // of its first entry, in .debug_info
    bool split = false;         // its types are in another file (.dwo)
    std::vector<Entry> entries; // in the order of the file
    std::string problem;        // what kept its entries from being read; empty: nothing did
};

// Not safe from several threads. Strings of types live as long as the reader, types until next() is called.
class DwarfReader {
public:
    virtual ~DwarfReader() = default;
    virtual std::string_view name() const = 0; // of the library, for messages
    virtual bool next(Unit& unit) = 0;         // false: that was the last. FileError: the units cannot be told apart from here on
    virtual const Type* at(uint64_t offset) = 0; // of an entry; null or FileError: it cannot be read
};

// kcrash's own reading, which stands on libdw. FileError.
std::unique_ptr<DwarfReader> open_libdw(std::shared_ptr<const ElfFile> file);
// The second reading, which shares no code with the first. FileError.
std::unique_ptr<DwarfReader> open_libdwarf(const ElfFile& file);

constexpr size_t deepest_entry = 256; // of entries inside of entries

} // namespace kcrash::dwarfcheck
