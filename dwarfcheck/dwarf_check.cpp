// SPDX-License-Identifier: GPL-3.0-or-later
// Both readers go through the file unit by unit, and within a unit entry by entry: an entry is known by its offset in .debug_info,
// so that nothing has to be matched by name and a thousand structs of one name are a thousand comparisons.
//
//     units by offset  ->  entries by offset  ->  definitions  ->  differences, each told once
//
// A unit that one of both cannot read to its end is a difference; its entries are not compared, since types of a walk that broke
// may lead anywhere. Entries with a name go first: unnamed ones that are part of these were compared with them.
#include "dwarfcheck/dwarf_check.hpp"
#include "core/error.hpp"
#include <fmt/format.h>

namespace kcrash::dwarfcheck {
namespace {

std::string place(uint64_t offset) { return fmt::format(".debug_info+0x{:x}", offset); }

} // namespace

void DistinctDefinitions::add(Placed placed) {
    const uint64_t key = hash(placed.definition);
    const auto [begin, end] = by_hash_.equal_range(key);
    for (auto it = begin; it != end; ++it)
        if (it->second->definition == placed.definition) {
            it->second->part = it->second->part || placed.part;
            return;
        }
    by_hash_.emplace(key, &all_.emplace_back(std::move(placed)));
}

DwarfCheck::DwarfCheck(DwarfReader& ours, DwarfReader& theirs, Texts& texts, Findings& findings)
    : ours_(ours), theirs_(theirs), findings_(findings), our_describer_(texts), their_describer_(texts) {}

void DwarfCheck::run() {
    while (next_pair()) compare_units();
    findings_.distinct = distinct_.all().size();
}

// False: it has no more, or cannot find them.
bool DwarfCheck::take(DwarfReader& reader, Unit& unit, bool& ended) {
    if (ended) return false;
    try {
        ended = !reader.next(unit);
    } catch (const FileError& error) {
        findings_.difference(error.what(), "");
        ended = true;
    }
    return !ended;
}

// The next unit that both have. One that only one has is a difference.
bool DwarfCheck::next_pair() {
    bool ours = take(ours_, our_unit_, our_end_), theirs = take(theirs_, their_unit_, their_end_);
    our_describer_.forget(), their_describer_.forget();
    const auto alone = [&](const Unit& unit, DwarfReader& has, DwarfReader& has_not) {
        findings_.difference(fmt::format("unit at {}: {} has it, {} has not", place(unit.offset), has.name(), has_not.name()), place(unit.offset));
    };
    while (ours || theirs) {
        if (ours && theirs && our_unit_.offset == their_unit_.offset) return true;
        if (ours && (!theirs || our_unit_.offset < their_unit_.offset)) alone(our_unit_, ours_, theirs_), ours = take(ours_, our_unit_, our_end_);
        else alone(their_unit_, theirs_, ours_), theirs = take(theirs_, their_unit_, their_end_);
    }
    return false;
}

void DwarfCheck::compare_units() {
    ++findings_.libdw.units, ++findings_.libdwarf.units;
    if (our_unit_.split) findings_.skipped("a unit whose types are in a file of its own (.dwo)");
    bool broken = false;
    for (const auto& [unit, reader] : {std::pair(&our_unit_, &ours_), std::pair(&their_unit_, &theirs_)}) {
        if (unit->problem.empty()) continue;
        findings_.difference(fmt::format("unit at {}: {} cannot read its entries: {}", place(unit->offset), reader->name(), unit->problem), place(unit->offset));
        broken = true;
    }
    for (const Entry& entry : our_unit_.entries) findings_.libdw.add(entry.kind, entry.declared);
    for (const Entry& entry : their_unit_.entries) findings_.libdwarf.add(entry.kind, entry.declared);
    if (broken) return findings_.skipped("a unit that one of both cannot read");
    compare_entries(true);
    compare_entries(false);
}

void DwarfCheck::only_one_has(const Entry& entry, DwarfReader& has, DwarfReader& has_not) {
    findings_.difference(fmt::format("entry at {}: {} has a type there, {} has not", place(entry.offset), has.name(), has_not.name()), place(entry.offset));
}

void DwarfCheck::compare_entries(bool named) {
    const auto &ours = our_unit_.entries, &theirs = their_unit_.entries;
    for (size_t i = 0, j = 0; i < ours.size() || j < theirs.size();) {
        const bool first = i < ours.size() && (j == theirs.size() || ours[i].offset < theirs[j].offset);
        const bool second = j < theirs.size() && (i == ours.size() || theirs[j].offset < ours[i].offset);
        if (first || second) {
            if (named && first) only_one_has(ours[i], ours_, theirs_);
            if (named && second) only_one_has(theirs[j], theirs_, ours_);
            i += first, j += second;
            continue;
        }
        const Entry &our_entry = ours[i++], &their_entry = theirs[j++];
        if (our_entry != their_entry && named)
            findings_.difference(fmt::format("entry at {}: {} and {} say different kinds of it", place(our_entry.offset), ours_.name(), theirs_.name()),
                                 place(our_entry.offset));
        if (our_entry != their_entry || our_entry.declared) continue;
        const Type* type = read(ours_, our_entry);
        if (type && type->name.empty() != named) compare_entry(our_entry, *type);
    }
}

const Type* DwarfCheck::read(DwarfReader& reader, const Entry& entry) {
    std::string reason = "it is no type";
    try {
        if (const Type* type = reader.at(entry.offset)) return type;
    } catch (const FileError& error) {
        reason = error.what();
    }
    findings_.difference(fmt::format("entry at {}: {} cannot read it: {}", place(entry.offset), reader.name(), reason), place(entry.offset));
    return nullptr;
}

std::optional<Definition> DwarfCheck::describe(Describer& describer, DwarfReader& reader, const Type& type, uint64_t offset) {
    try {
        return describer.describe(type);
    } catch (const FileError& error) {
        findings_.difference(fmt::format("entry at {}: {} cannot read it: {}", place(offset), reader.name(), error.what()), place(offset));
        return std::nullopt;
    }
}

void DwarfCheck::compare_entry(const Entry& entry, const Type& type) {
    auto ours = describe(our_describer_, ours_, type, entry.offset);
    const Type* their_type = read(theirs_, entry);
    if (!ours || !their_type) return;
    if (our_describer_.is_part(type) && their_type->name.empty()) return distinct_.add({std::move(*ours), entry.offset, true});
    const auto theirs = describe(their_describer_, theirs_, *their_type, entry.offset);
    if (!theirs) return;
    ++findings_.pairs;
    if (*ours != *theirs)
        differences(*ours, ours_.name(), *theirs, theirs_.name(), [&](std::string text) { findings_.difference(std::move(text), place(entry.offset)); });
    distinct_.add({std::move(*ours), entry.offset, false});
}

} // namespace kcrash::dwarfcheck
