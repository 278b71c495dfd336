// SPDX-License-Identifier: GPL-3.0-or-later
// What a reader says of one type, flat, so that two readers' words can be laid side by side.
#pragma once
#include "symbols/type.hpp"
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

namespace kcrash::dwarfcheck {

// A member, an enumerator, or what a typedef names (without a name).
struct Field {
    std::string_view name;   // "lru", "table.key" for a member of an unnamed struct that `table` is; empty: unnamed
    std::string_view type;   // as C spells it; empty: an enumerator
    uint64_t bit_offset = 0; // from the start of the outermost struct; of what a pointer leads to, from there
    uint32_t bit_size = 0;   // 0: not a bit-field
    uint64_t size = 0;       // bytes of its type
    int64_t value = 0;       // of an enumerator
    bool operator==(const Field&) const = default;
};

struct Definition {
    TypeKind kind = TypeKind::void_type; // structure, union_type, enumeration, typedef_type, integer, boolean, floating, declaration
    std::string_view name;
    uint64_t size = 0;
    bool is_signed = false;
    std::vector<Field> fields;
    bool operator==(const Definition&) const = default;
};

uint64_t hash(const Definition& definition);
std::string title(const Definition& definition); // "struct page", "enum {RED, ...}", "typedef u8"

// Strings that were made; each once.
class Texts {
public:
    std::string_view keep(std::string text) { return *texts_.insert(std::move(text)).first; }

private:
    std::unordered_set<std::string> texts_;
};

// Turns a reader's types into definitions. Unnamed structs, unions and enums become part of what they stand in.
class Describer {
public:
    explicit Describer(Texts& texts) : texts_(texts) {}
    Definition describe(const Type& type);
    bool is_part(const Type& type) const { return parts_.contains(&type); } // of something described before
    void forget() { parts_.clear(), spelled_.clear(); }                      // when the reader's types go

private:
    void add_members(const Type& type, std::string_view prefix, uint64_t base, unsigned depth, std::vector<Field>& fields);
    void add_part(const Type* type, std::string_view prefix, uint64_t base, unsigned depth, std::vector<Field>& fields);
    void add_enumerators(const Type& type, std::string_view prefix, std::vector<Field>& fields);
    std::string_view join(std::string_view prefix, std::string_view name);
    std::string_view spell(const Type* type);

    Texts& texts_;
    std::unordered_map<const Type*, std::string_view> spelled_;
    std::unordered_set<const Type*> parts_;
    std::vector<const Type*> around_; // those that are being described, outermost first
};

// Says each difference: "size 64, libdwarf 72" with what it is about before it: "struct page: member flags: libdw says offset 0, libdwarf 8".
void differences(const Definition& ours, std::string_view our_reader, const Definition& theirs, std::string_view their_reader,
                 const std::function<void(std::string)>& say);

} // namespace kcrash::dwarfcheck
