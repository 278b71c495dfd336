// SPDX-License-Identifier: GPL-3.0-or-later
// Entries as types, by libdwarf.
#pragma once
#include "core/bytes.hpp"
#include "dwarfcheck/libdwarf_facts.hpp"
#include "symbols/type.hpp"
#include <deque>
#include <unordered_map>
#include <vector>

namespace kcrash::dwarfcheck {

// Types live until forget(). Members and enumerators are read when somebody looks at them; that may throw FileError.
class LibdwarfTypes final : private ListSource<TypeMember>, private ListSource<Enumerator> {
public:
    LibdwarfTypes(Dwarf_Debug debug, ByteOrder order, unsigned word_size) : debug_(debug), order_(order), word_size_(word_size) {}
    const Type* at(uint64_t offset) { return make(offset, 0); } // null: not a type's entry
    static bool is_type(Dwarf_Half tag);
    // An entry that a walk has passed: finding it again by its offset would look through the list of all units.
    void keep(uint64_t offset, Die entry) { entries_.emplace(offset, std::move(entry)); }

    void forget() { by_offset_.clear(), made_.clear(), entries_.clear(); } // before the next unit

private:
    const Type* make(uint64_t offset, unsigned depth) const;
    const Die& entry(uint64_t offset) const;
    const Type* target(const Facts& facts, unsigned depth) const;
    const Type* make_array(uint64_t offset, const Die& die, const Facts& facts, unsigned depth) const;
    void fill(Type& type, uint64_t offset, const Die& die, Dwarf_Half tag, const Facts& facts, unsigned depth) const;
    static void fill_base(Type& type, const Facts& facts);
    void place(TypeMember& member, const Facts& facts) const;
    template <typename Visit> void children(const Die& parent, Visit visit) const;
    std::vector<TypeMember> load_list(uint64_t offset, const TypeMember*) const override;
    std::vector<Enumerator> load_list(uint64_t offset, const Enumerator*) const override;

    Dwarf_Debug debug_;
    ByteOrder order_;
    unsigned word_size_;
    mutable std::unordered_map<uint64_t, Die> entries_;  // of this unit
    mutable std::unordered_map<uint64_t, Die> foreign_;  // that other units refer to: few, and asked for again and again after dwz
    mutable std::deque<Type> made_;
    mutable std::unordered_map<uint64_t, const Type*> by_offset_;
};

} // namespace kcrash::dwarfcheck
