// SPDX-License-Identifier: GPL-3.0-or-later
// What the comparison found: differences, each once, and counts.
#pragma once
#include "symbols/type.hpp"
#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace kcrash::dwarfcheck {

struct Difference {
    std::string text;  // "struct page: member flags: libdw says offset 0, libdwarf 8"
    std::string where; // ".debug_info+0x2d", the first time
    uint64_t times = 0;
};

// What one reader read.
struct Tally {
    uint64_t units = 0, structs = 0, unions = 0, enums = 0, typedefs = 0, base_types = 0, declarations = 0;
    void add(TypeKind kind, bool declared);
    uint64_t total() const { return structs + unions + enums + typedefs + base_types; }
};

class Findings {
public:
    void difference(std::string text, std::string where);
    void skipped(std::string reason, uint64_t count = 1) { skipped_[std::move(reason)] += count; }
    const std::vector<Difference>& differences() const { return differences_; }
    uint64_t untold() const { return untold_; } // differences beyond the most that are kept
    const std::map<std::string, uint64_t>& skipped() const { return skipped_; }

    Tally libdw, libdwarf, btf;
    bool has_btf = false;
    uint64_t pairs = 0;    // of entries that libdw and libdwarf were compared on
    uint64_t distinct = 0; // definitions of DWARF that differ from each other
    uint64_t in_btf = 0;   // of these, those that were compared with BTF

private:
    std::vector<Difference> differences_;
    std::unordered_map<std::string, size_t> known_; // by text
    std::map<std::string, uint64_t> skipped_;
    uint64_t untold_ = 0;
};

// About the file, for the head of the report.
struct FileFacts {
    std::string path, architecture, build_id;
};

std::string as_text(const FileFacts& file, const Findings& findings);
std::string as_json(const FileFacts& file, const Findings& findings);

} // namespace kcrash::dwarfcheck
