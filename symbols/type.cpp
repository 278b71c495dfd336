// SPDX-License-Identifier: GPL-3.0-or-later
// Looking through types, naming them in C, and finding members in them.
#include "symbols/type.hpp"
#include <algorithm>
#include <charconv>

namespace kcrash {

namespace {

constexpr unsigned max_chain = 100; // typedefs of typedefs: a longer chain is a cycle of a damaged file
constexpr unsigned max_nesting = 32;

bool is_qualifier(TypeKind kind) {
    return kind == TypeKind::const_type || kind == TypeKind::volatile_type || kind == TypeKind::restrict_type ||
           kind == TypeKind::atomic_type;
}

const Type* skip(const Type* type, bool typedefs) {
    for (unsigned i = 0; type && i < max_chain; ++i) {
        if (!is_qualifier(type->kind) && !(typedefs && type->kind == TypeKind::typedef_type)) return type;
        if (!type->target) break; // "const void"
        type = type->target;
    }
    static const Type nothing{};
    return type ? &nothing : nullptr;
}

struct IntegerName {
    std::string_view canonical;
    std::vector<std::string_view> spellings;
};

const std::vector<IntegerName>& integer_names() {
    static const std::vector<IntegerName> names{
        {"unsigned long", {"long unsigned int", "unsigned long int"}},
        {"long", {"long int", "signed long"}},
        {"unsigned int", {"unsigned"}},
        {"int", {"signed int", "signed"}},
        {"unsigned long long", {"long long unsigned int", "unsigned long long int"}},
        {"long long", {"long long int", "signed long long"}},
        {"unsigned short", {"short unsigned int", "unsigned short int"}},
        {"short", {"short int", "signed short"}},
        {"unsigned __int128", {"__int128 unsigned"}},
        {"_Bool", {"bool"}},
    };
    return names;
}

std::string_view keyword(const Type& type) {
    switch (type.kind) {
    case TypeKind::structure: return "struct ";
    case TypeKind::union_type: return "union ";
    case TypeKind::enumeration: return "enum ";
    case TypeKind::declaration: return type.declared_union ? "union " : "struct ";
    default: return "";
    }
}

std::string_view qualifier(TypeKind kind) {
    switch (kind) {
    case TypeKind::const_type: return "const";
    case TypeKind::volatile_type: return "volatile";
    case TypeKind::restrict_type: return "restrict";
    case TypeKind::atomic_type: return "_Atomic";
    default: return "";
    }
}

// Qualifiers of the type that follow each other, "const volatile", in the order gdb prints them; `type` becomes what they qualify.
std::string take_qualifiers(const Type*& type) {
    bool seen[4] = {};
    for (unsigned i = 0; type && is_qualifier(type->kind) && i < max_chain; ++i) {
        seen[static_cast<unsigned>(type->kind) - static_cast<unsigned>(TypeKind::const_type)] = true;
        type = type->target;
    }
    std::string text;
    constexpr TypeKind order[] = {TypeKind::const_type, TypeKind::volatile_type, TypeKind::restrict_type, TypeKind::atomic_type};
    for (unsigned i = 0; i < 4; ++i)
        if (seen[i]) text += (text.empty() ? "" : " ") + std::string(qualifier(order[i]));
    return text;
}

// Brackets and parentheses bind before a star: a pointer to these needs parentheses of its own.
bool binds_loosely(const Type* type) {
    type = skip(type, false);
    return type && (type->kind == TypeKind::array || type->kind == TypeKind::function);
}

std::string parameters(const Type& function, unsigned depth);

// C declares from the inside out: wraps `inner` in what `type` adds, then goes on with the type's target.
std::string declare_around(const Type* type, std::string inner, unsigned depth) {
    for (unsigned i = 0; i < max_chain; ++i) {
        const std::string qualifiers = take_qualifiers(type);
        const TypeKind kind = type ? type->kind : TypeKind::void_type;
        if (kind == TypeKind::pointer) {
            std::string star = "*";
            if (!qualifiers.empty()) star += " " + qualifiers + (inner.empty() ? "" : " ");
            inner = star + inner;
            if (binds_loosely(type->target)) inner = "(" + inner + ")";
            type = type->target;
        } else if (kind == TypeKind::array) {
            inner += type->flexible ? "[]" : "[" + std::to_string(type->count) + "]";
            type = type->target;
        } else if (kind == TypeKind::function) {
            inner += (inner.empty() ? "(" : "(") + parameters(*type, depth) + ")";
            type = type->target;
        } else {
            std::string name = kind == TypeKind::void_type ? "void" : std::string(keyword(*type));
            if (type && type->name.empty() && kind != TypeKind::void_type) name += "{...}";
            else if (type) name += type->name;
            if (!qualifiers.empty()) name = qualifiers + " " + name;
            return inner.empty() ? name : name + " " + inner;
        }
    }
    return inner;
}

std::string parameters(const Type& function, unsigned depth) {
    if (depth > max_nesting) return "...";
    std::string text;
    for (const TypeMember& parameter : function.members)
        text += (text.empty() ? "" : ", ") + declare_around(parameter.type, "", depth + 1);
    if (function.variadic) text += text.empty() ? "..." : ", ...";
    return text.empty() ? "void" : text;
}

// Between a type and its name gdb puts a blank, and none between a type and its brackets: "int [3]", "int (*)(void)".
std::optional<ResolvedMember> find_named(const Type* type, std::string_view name, unsigned depth) {
    type = strip(type);
    if (!type || !is_compound(type) || depth > max_nesting) return std::nullopt;
    for (const TypeMember& m : type->members)
        if (!m.name.empty() && m.name == name) return ResolvedMember{m.type, m.bit_offset, m.bit_size};
    for (const TypeMember& m : type->members) {
        if (!m.name.empty()) continue;
        if (auto found = find_named(m.type, name, depth + 1)) {
            found->bit_offset += m.bit_offset;
            return found;
        }
    }
    return std::nullopt;
}

// "[3]" at the start of `path`; consumed.
std::optional<uint64_t> take_index(std::string_view& path) {
    const size_t end = path.find(']');
    if (end == std::string_view::npos) return std::nullopt;
    std::string_view digits = path.substr(1, end - 1);
    const bool hex = digits.starts_with("0x");
    if (hex) digits.remove_prefix(2);
    uint64_t index = 0;
    const auto [stop, error] = std::from_chars(digits.data(), digits.data() + digits.size(), index, hex ? 16 : 10);
    if (error != std::errc() || stop != digits.data() + digits.size()) return std::nullopt;
    path.remove_prefix(end + 1);
    return index;
}

} // namespace

const Type* strip(const Type* type) { return skip(type, true); }
const Type* strip_qualifiers(const Type* type) { return skip(type, false); }

bool is_compound(const Type* type) {
    type = strip(type);
    return type && (type->kind == TypeKind::structure || type->kind == TypeKind::union_type);
}

std::string_view canonical_integer_name(std::string_view name) {
    for (const IntegerName& known : integer_names())
        if (name != "bool" && std::ranges::find(known.spellings, name) != known.spellings.end()) return known.canonical;
    return name;
}

std::span<const std::string_view> spellings_of_integer(std::string_view canonical) {
    for (const IntegerName& known : integer_names())
        if (known.canonical == canonical) return known.spellings;
    return {};
}

std::string declare(const Type* type, std::string_view name) { return declare_around(type, std::string(name), 0); }

std::string type_name(const Type* type) { return declare_around(type, "", 0); }

std::optional<ResolvedMember> find_member(const Type* type, std::string_view path) {
    ResolvedMember at{type, 0, 0};
    for (bool first = true; first || !path.empty(); first = false) {
        if (!first && path.starts_with('.')) path.remove_prefix(1);
        if (path.starts_with('[')) {
            const Type* array = strip(at.type);
            const auto index = take_index(path);
            if (!index || !array || array->kind != TypeKind::array || !array->target) return std::nullopt;
            const uint64_t bits = array->target->size * 8;
            if (bits && *index > (UINT64_MAX - at.bit_offset) / bits) return std::nullopt;
            at = {array->target, at.bit_offset + *index * bits, 0};
            continue;
        }
        const size_t end = std::min(path.find_first_of(".["), path.size());
        const auto found = find_named(at.type, path.substr(0, end), 0);
        if (!found) return std::nullopt;
        at = {found->type, at.bit_offset + found->bit_offset, found->bit_size};
        path.remove_prefix(end);
    }
    return at;
}

} // namespace kcrash
