// SPDX-License-Identifier: GPL-3.0-or-later
// Definitions from types. A struct without a name cannot be found by one, so its members are told with those of the struct around it:
//
//     struct page { union { struct { struct list_head lru; } ; atomic_t count; }; }     ->  "", "", "lru", "count"
//     struct node { struct { u32 low, high; } key; }                                    ->  "key", "key.low", "key.high"
//
// Types that lead to each other in a ring (damage) end by depth and by count.
#include "dwarfcheck/definition.hpp"
#include <algorithm>
#include <fmt/format.h>

namespace kcrash::dwarfcheck {
namespace {

constexpr unsigned deepest = 32;         // unnamed structs inside of unnamed structs
constexpr unsigned longest_chain = 64;   // arrays of pointers to const ...
constexpr size_t most_fields = 1 << 17;

bool is_compound_or_enum(TypeKind kind) { return kind == TypeKind::structure || kind == TypeKind::union_type || kind == TypeKind::enumeration; }

bool is_link(TypeKind kind) {
    switch (kind) {
    case TypeKind::pointer: case TypeKind::array: case TypeKind::const_type: case TypeKind::volatile_type: case TypeKind::restrict_type:
    case TypeKind::atomic_type:
        return true;
    default: return false;
    }
}

std::string_view keyword(TypeKind kind) {
    switch (kind) {
    case TypeKind::structure: case TypeKind::declaration: return "struct";
    case TypeKind::union_type: return "union";
    case TypeKind::enumeration: return "enum";
    case TypeKind::typedef_type: return "typedef";
    default: return "base type";
    }
}

void mix(uint64_t& hash, uint64_t value) {
    hash = (hash ^ value) * 0x9e3779b97f4a7c15;
    hash ^= hash >> 29;
}

} // namespace

uint64_t hash(const Definition& definition) {
    const std::hash<std::string_view> of_text;
    uint64_t result = static_cast<uint64_t>(definition.kind);
    mix(result, of_text(definition.name));
    mix(result, definition.size << 1 | uint64_t{definition.is_signed});
    for (const Field& field : definition.fields) {
        mix(result, of_text(field.name));
        mix(result, of_text(field.type));
        mix(result, field.bit_offset);
        mix(result, uint64_t{field.bit_size} << 40 ^ field.size);
        mix(result, static_cast<uint64_t>(field.value));
    }
    return result;
}

std::string title(const Definition& definition) {
    const std::string_view word = keyword(definition.kind);
    if (!definition.name.empty()) return fmt::format("{} {}", word, definition.name);
    for (const Field& field : definition.fields)
        if (!field.name.empty()) return fmt::format("{} {{{}{}}}", word, field.name, definition.fields.size() > 1 ? ", ..." : "");
    return fmt::format("{} {{...}}", word);
}

Definition Describer::describe(const Type& type) {
    Definition definition{type.kind, type.name, type.size, type.is_signed, {}};
    around_.assign(1, &type);
    switch (type.kind) {
    case TypeKind::structure: case TypeKind::union_type: add_members(type, {}, 0, 0, definition.fields); break;
    case TypeKind::enumeration: add_enumerators(type, {}, definition.fields); break;
    case TypeKind::typedef_type:
        definition.fields.push_back({{}, spell(type.target), 0, 0, type.size, 0});
        add_part(type.target, {}, 0, 0, definition.fields);
        break;
    default: break;
    }
    return definition;
}

void Describer::add_members(const Type& type, std::string_view prefix, uint64_t base, unsigned depth, std::vector<Field>& fields) {
    for (const TypeMember& member : type.members) {
        if (fields.size() >= most_fields) return;
        const std::string_view name = join(prefix, member.name);
        fields.push_back({name, spell(member.type), base + member.bit_offset, member.bit_size, member.type ? member.type->size : 0, 0});
        add_part(member.type, member.name.empty() ? prefix : name, base + member.bit_offset, depth + 1, fields);
    }
}

// What a type that has no name holds, be it there, pointed to or in an array.
void Describer::add_part(const Type* type, std::string_view prefix, uint64_t base, unsigned depth, std::vector<Field>& fields) {
    for (unsigned i = 0; type && is_link(type->kind) && i < longest_chain; ++i) {
        if (type->kind == TypeKind::pointer) base = 0;
        type = type->target;
    }
    if (!type || !is_compound_or_enum(type->kind) || !type->name.empty() || depth > deepest) return;
    if (std::ranges::find(around_, type) != around_.end()) return; // damage: without a name nothing can lead back
    parts_.insert(type);
    around_.push_back(type);
    if (type->kind == TypeKind::enumeration) add_enumerators(*type, prefix, fields);
    else add_members(*type, prefix, base, depth, fields);
    around_.pop_back();
}

void Describer::add_enumerators(const Type& type, std::string_view prefix, std::vector<Field>& fields) {
    for (const Enumerator& enumerator : type.enumerators)
        if (fields.size() < most_fields) fields.push_back({join(prefix, enumerator.name), {}, 0, 0, 0, enumerator.value});
}

std::string_view Describer::join(std::string_view prefix, std::string_view name) {
    if (prefix.empty()) return name;
    return name.empty() ? prefix : texts_.keep(fmt::format("{}.{}", prefix, name));
}

std::string_view Describer::spell(const Type* type) {
    const auto [place, fresh] = spelled_.try_emplace(type);
    if (fresh) place->second = texts_.keep(type_name(type));
    return place->second;
}

} // namespace kcrash::dwarfcheck
