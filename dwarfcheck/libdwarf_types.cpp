// SPDX-License-Identifier: GPL-3.0-or-later
// The second reading of types. It says the same things as symbols/dwarf_types.cpp and was written from the specification (DWARF 5,
// chapter 5 and section 7.5), not from that file: what they share is only the record that they fill in (symbols/type.hpp) and the
// one spelling of the names of C's integers.
//
// A damaged file may have types that lead to each other in a ring, entries without end, arrays without a size. A type is in the
// table before its target is read; children are taken while their offsets grow; depth is bounded.
#include "dwarfcheck/libdwarf_types.hpp"
#include <algorithm>

namespace kcrash::dwarfcheck {
namespace {

constexpr unsigned deepest = 128;         // pointers to pointers to ...
constexpr size_t most_items = 1 << 20;    // of one struct or enum
constexpr uint64_t widest_field = 1 << 16; // bytes

std::optional<TypeKind> kind_of(Dwarf_Half tag) {
    switch (tag) {
    case DW_TAG_structure_type: case DW_TAG_class_type: return TypeKind::structure;
    case DW_TAG_union_type: return TypeKind::union_type;
    case DW_TAG_enumeration_type: return TypeKind::enumeration;
    case DW_TAG_typedef: return TypeKind::typedef_type;
    case DW_TAG_base_type: return TypeKind::integer;
    case DW_TAG_pointer_type: case DW_TAG_reference_type: case DW_TAG_rvalue_reference_type: return TypeKind::pointer;
    case DW_TAG_const_type: return TypeKind::const_type;
    case DW_TAG_volatile_type: return TypeKind::volatile_type;
    case DW_TAG_restrict_type: return TypeKind::restrict_type;
    case DW_TAG_atomic_type: return TypeKind::atomic_type;
    case DW_TAG_array_type: return TypeKind::array;
    case DW_TAG_subroutine_type: return TypeKind::function;
    }
    return std::nullopt;
}

} // namespace

// Calls visit(child, tag) until it returns false.
template <typename Visit> void LibdwarfTypes::children(const Die& parent, Visit visit) const {
    uint64_t last = offset_of(debug_, parent);
    for (Die child = first_child(debug_, parent); child; child = sibling(debug_, child)) {
        const uint64_t offset = offset_of(debug_, child);
        if (offset <= last) throw FileError("an entry leads back to one before it");
        last = offset;
        if (!visit(child, tag_of(debug_, child))) return;
    }
}

bool LibdwarfTypes::is_type(Dwarf_Half tag) { return kind_of(tag).has_value(); }

const Die& LibdwarfTypes::entry(uint64_t offset) const {
    const auto known = entries_.find(offset);
    if (known != entries_.end()) return known->second;
    const auto foreign = foreign_.find(offset);
    return foreign != foreign_.end() ? foreign->second : foreign_.emplace(offset, entry_at(debug_, offset)).first->second;
}

const Type* LibdwarfTypes::target(const Facts& facts, unsigned depth) const { return facts.type ? make(*facts.type, depth + 1) : nullptr; }

const Type* LibdwarfTypes::make(uint64_t offset, unsigned depth) const {
    const auto known = by_offset_.find(offset);
    if (known != by_offset_.end()) return known->second;
    if (depth > deepest) return nullptr;
    const Die& die = entry(offset);
    if (!die) return nullptr;
    const Dwarf_Half tag = tag_of(debug_, die);
    const auto kind = kind_of(tag);
    if (!kind) return nullptr;
    const Facts facts = read_facts(debug_, die);
    if (*kind == TypeKind::array) return make_array(offset, die, facts, depth);
    Type& type = made_.emplace_back();
    by_offset_[offset] = &type;
    type.kind = *kind;
    fill(type, offset, die, tag, facts, depth);
    return &type;
}

void LibdwarfTypes::fill(Type& type, uint64_t offset, const Die& die, Dwarf_Half tag, const Facts& facts, unsigned depth) const {
    type.name = facts.name;
    type.size = facts.size.value_or(0);
    switch (type.kind) {
    case TypeKind::structure: case TypeKind::union_type:
        if (!facts.declared) type.members = LazyList<TypeMember>(*this, offset);
        else type.kind = TypeKind::declaration, type.declared_union = tag == DW_TAG_union_type;
        break;
    case TypeKind::enumeration:
        if (!type.size) type.size = 4; // declared only
        type.enumerators = LazyList<Enumerator>(*this, offset);
        type.is_signed = std::ranges::any_of(type.enumerators, [](const Enumerator& item) { return item.value < 0; });
        break;
    case TypeKind::integer: fill_base(type, facts); break;
    case TypeKind::function:
        type.name = {}, type.size = 1;
        type.target = target(facts, depth);
        type.members = LazyList<TypeMember>(*this, offset);
        children(die, [&](const Die&, Dwarf_Half child) { return !(type.variadic = child == DW_TAG_unspecified_parameters); });
        break;
    case TypeKind::pointer:
        type.size = word_size_;
        type.target = target(facts, depth);
        break;
    default:
        type.target = target(facts, depth);
        type.size = type.target ? type.target->size : 0;
    }
}

void LibdwarfTypes::fill_base(Type& type, const Facts& facts) {
    const uint64_t encoding = facts.encoding.value_or(DW_ATE_unsigned);
    type.name = canonical_integer_name(type.name);
    type.kind = encoding == DW_ATE_boolean ? TypeKind::boolean : encoding == DW_ATE_float ? TypeKind::floating : TypeKind::integer;
    type.is_signed = encoding == DW_ATE_signed || encoding == DW_ATE_signed_char;
    type.is_char = type.size == 1 && type.kind == TypeKind::integer;
}

// One entry may describe an array of arrays; then each dimension, the innermost first, becomes a type.
const Type* LibdwarfTypes::make_array(uint64_t offset, const Die& die, const Facts& facts, unsigned depth) const {
    by_offset_[offset] = nullptr; // ends a ring
    std::vector<Facts> dimensions;
    children(die, [&](const Die& child, Dwarf_Half tag) {
        if (tag == DW_TAG_subrange_type) dimensions.push_back(read_facts(debug_, child));
        return dimensions.size() < deepest;
    });
    const Type* element = target(facts, depth);
    if (!element || dimensions.empty()) return nullptr;
    std::ranges::reverse(dimensions);
    for (const Facts& dimension : dimensions) {
        Type& type = made_.emplace_back();
        type.kind = TypeKind::array;
        type.target = element;
        if (dimension.count) type.count = *dimension.count;
        else if (dimension.upper_bound) type.count = *dimension.upper_bound + 1;
        type.flexible = type.count == 0;
        if (__builtin_mul_overflow(type.count, element->size, &type.size)) type.count = type.size = 0;
        element = &type;
    }
    return by_offset_[offset] = element;
}

// Bits from the start of the struct. DWARF 2 and 3 count a bit-field from the most significant bit of its storage unit.
void LibdwarfTypes::place(TypeMember& member, const Facts& facts) const {
    member.bit_offset = 8 * facts.location.value_or(0);
    if (!facts.bit_size) return;
    member.bit_size = static_cast<uint32_t>(std::min(*facts.bit_size, 8 * widest_field));
    if (facts.data_bit_offset) {
        member.bit_offset = *facts.data_bit_offset;
    } else if (facts.bit_offset && order_ == ByteOrder::big) {
        member.bit_offset += *facts.bit_offset;
    } else if (facts.bit_offset) {
        const uint64_t storage = facts.size ? *facts.size : member.type ? member.type->size : 0;
        member.bit_offset += 8 * std::min(storage, widest_field) - *facts.bit_offset - *facts.bit_size;
    }
}

std::vector<TypeMember> LibdwarfTypes::load_list(uint64_t offset, const TypeMember*) const {
    std::vector<TypeMember> members;
    children(entry(offset), [&](const Die& child, Dwarf_Half tag) {
        if (tag != DW_TAG_member && tag != DW_TAG_formal_parameter) return true;
        const Facts facts = read_facts(debug_, child);
        TypeMember member;
        member.name = facts.name;
        member.type = target(facts, 0);
        if (tag == DW_TAG_member) place(member, facts);
        members.push_back(member);
        return members.size() < most_items;
    });
    return members;
}

std::vector<Enumerator> LibdwarfTypes::load_list(uint64_t offset, const Enumerator*) const {
    std::vector<Enumerator> list;
    children(entry(offset), [&](const Die& child, Dwarf_Half tag) {
        if (tag != DW_TAG_enumerator) return true;
        const Facts facts = read_facts(debug_, child);
        list.push_back({facts.name, facts.value.value_or(0)});
        return list.size() < most_items;
    });
    return list;
}

} // namespace kcrash::dwarfcheck
