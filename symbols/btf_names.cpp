// SPDX-License-Identifier: GPL-3.0-or-later
// Finding in BTF by name: types through the index that the first walk made, the rest through indexes made when somebody asks.
#include "symbols/btf.hpp"

namespace kcrash {

using namespace btf;

uint32_t btf::name_hash(std::string_view name) {
    uint32_t hash = 2166136261u;
    for (const char c : name) hash = (hash ^ static_cast<unsigned char>(c)) * 16777619u;
    return hash ^ hash >> 15;
}

void NameIndex::build(const std::vector<uint32_t>& ids, const std::function<uint32_t(uint32_t)>& hash) {
    size_t slots = 16;
    while (slots < 2 * ids.size()) slots *= 2;
    slots_.assign(slots, 0);
    for (const uint32_t id : ids) {
        size_t at = hash(id) & (slots - 1);
        while (slots_[at]) at = (at + 1) & (slots - 1);
        slots_[at] = id;
    }
}

// The number of the first named type of one of these kinds; 0: none here.
uint32_t BtfSource::find_id(TypeKind kind, std::string_view name) const {
    return index_.find(name_hash(name), [&](uint32_t id) {
        const Record r = record(id);
        if (string(r.name) != name) return false;
        switch (kind) {
        case TypeKind::structure: return r.kind == kind_struct;
        case TypeKind::union_type: return r.kind == kind_union;
        case TypeKind::enumeration: return (r.kind == kind_enum || r.kind == kind_enum64) && r.count > 0;
        case TypeKind::typedef_type: return r.kind == kind_typedef;
        case TypeKind::declaration: return r.kind == kind_struct || r.kind == kind_union;
        case TypeKind::integer: case TypeKind::boolean: case TypeKind::floating:
            return r.kind == kind_int || r.kind == kind_float;
        default: return false;
        }
    });
}

const Type* BtfSource::definition_of(std::string_view name, bool is_union, unsigned depth) const {
    const TypeKind kind = is_union ? TypeKind::union_type : TypeKind::structure;
    if (const auto id = find_id(kind, name)) return make(id, depth + 1);
    return base_ ? base_->find(kind, name) : nullptr;
}

const Type* BtfSource::find(TypeKind kind, std::string_view name) const {
    if (name.empty()) return nullptr;
    if (const auto id = find_id(kind, name)) return type(id);
    if (kind != TypeKind::integer && kind != TypeKind::boolean) return nullptr;
    // "unsigned long" stands in BTF as "long unsigned int".
    for (const std::string_view spelled : spellings_of_integer(name))
        if (const auto id = find_id(kind, spelled)) return type(id);
    return nullptr;
}

// Names of variables, functions and enumerators are asked for seldom: each index is made then.
const Type* BtfSource::of_variable(std::string_view name) const {
    std::call_once(variables_once_, [this] { index_kind(kind_var, variables_); });
    const auto found = variables_.find(name);
    return found == variables_.end() ? nullptr : type(found->second);
}

const Type* BtfSource::of_function(std::string_view name) const {
    std::call_once(functions_once_, [this] { index_kind(kind_func, functions_); });
    const auto found = functions_.find(name);
    return found == functions_.end() ? nullptr : type(found->second);
}

void BtfSource::index_kind(unsigned kind, Index& index) const {
    for (uint32_t id = first_id_; id < end_id(); ++id)
        if (const Record r = record(id); r.kind == kind) index.try_emplace(string(r.name), id);
}

uint32_t BtfSource::enum_with(std::string_view enumerator) const {
    std::call_once(enumerators_once_, [this] {
        for (uint32_t id = first_id_; id < end_id(); ++id) {
            const Record r = record(id);
            if (r.kind != kind_enum && r.kind != kind_enum64) continue;
            for (uint32_t i = 0; i < r.count; ++i) enumerators_.try_emplace(enumerator_at(r, i).name, id);
        }
    });
    const auto found = enumerators_.find(enumerator);
    return found == enumerators_.end() ? 0 : found->second;
}

std::optional<int64_t> BtfSource::enumerator(std::string_view name) const {
    const uint32_t id = enum_with(name);
    if (!id) return std::nullopt;
    const Record r = record(id);
    for (uint32_t i = 0; i < r.count; ++i)
        if (const Enumerator e = enumerator_at(r, i); e.name == name) return e.value;
    return std::nullopt;
}

const Type* BtfSource::enumeration_of(std::string_view enumerator) const {
    const uint32_t id = enum_with(enumerator);
    return id ? type(id) : nullptr;
}

void BtfSource::each(const std::function<bool(const Type&)>& visit) const {
    for (uint32_t id = first_id_; id < end_id(); ++id) {
        const Record r = record(id);
        const bool wanted = r.name && (r.kind == kind_struct || r.kind == kind_union || r.kind == kind_typedef ||
                                       ((r.kind == kind_enum || r.kind == kind_enum64) && r.count));
        if (wanted && !visit(*type(id))) return;
    }
}

} // namespace kcrash
