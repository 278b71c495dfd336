// SPDX-License-Identifier: GPL-3.0-or-later
// libdw's reading beside libdwarf's, entry by entry.
#pragma once
#include "dwarfcheck/definition.hpp"
#include "dwarfcheck/dwarf_reader.hpp"
#include "dwarfcheck/findings.hpp"
#include <deque>
#include <optional>

namespace kcrash::dwarfcheck {

// A definition, and where it stands first.
struct Placed {
    Definition definition;
    uint64_t offset = 0;
    bool part = false; // of another one, as far as was seen
};

// Definitions that differ from each other: a header's structs are in a thousand units.
class DistinctDefinitions {
public:
    void add(Placed placed);
    const std::deque<Placed>& all() const { return all_; }

private:
    std::deque<Placed> all_;
    std::unordered_multimap<uint64_t, Placed*> by_hash_;
};

class DwarfCheck {
public:
    DwarfCheck(DwarfReader& ours, DwarfReader& theirs, Texts& texts, Findings& findings);
    void run(); // until one of both has no more units
    // libdw's definitions; strings live as long as the readers and the texts.
    const DistinctDefinitions& distinct() const { return distinct_; }

private:
    bool next_pair();
    bool take(DwarfReader& reader, Unit& unit, bool& ended);
    void compare_units();
    void compare_entries(bool named);
    void compare_entry(const Entry& entry, const Type& type);
    void only_one_has(const Entry& entry, DwarfReader& has, DwarfReader& has_not);
    const Type* read(DwarfReader& reader, const Entry& entry);
    std::optional<Definition> describe(Describer& describer, DwarfReader& reader, const Type& type, uint64_t offset);

    DwarfReader &ours_, &theirs_;
    Findings& findings_;
    Describer our_describer_, their_describer_;
    Unit our_unit_, their_unit_;
    bool our_end_ = false, their_end_ = false;
    DistinctDefinitions distinct_;
};

} // namespace kcrash::dwarfcheck
