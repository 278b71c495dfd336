// SPDX-License-Identifier: GPL-3.0-or-later
// Types of the dumped kernel, whatever they were read from (BTF, DWARF).
#pragma once
#include "symbols/lazy_list.hpp"
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace kcrash {

enum class TypeKind : uint8_t {
    void_type, integer, boolean, floating, pointer, array, structure, union_type, enumeration, typedef_type,
    const_type, volatile_type, restrict_type, atomic_type, function, declaration, // declaration: struct known by name only
};

struct Type;

struct TypeMember {
    std::string_view name;    // empty: anonymous struct or union
    const Type* type = nullptr;
    uint64_t bit_offset = 0;  // from the start of the struct; for a bit-field, of its lowest bit (little) or as BTF counts (big)
    uint32_t bit_size = 0;    // 0: not a bit-field
    uint64_t offset() const { return bit_offset / 8; } // bytes
};

struct Enumerator {
    std::string_view name;
    int64_t value;            // an unsigned 64-bit value keeps its bits
};

// Owned by its TypeSource, valid as long as the target. Immutable after it was handed out; may be read from many threads.
struct Type {
    TypeKind kind = TypeKind::void_type;
    std::string_view name;             // without "struct "; empty: anonymous
    uint64_t size = 0;                 // bytes; arrays: all elements
    bool is_signed = false;            // integer, enumeration
    bool is_char = false;              // integer that prints as a character
    const Type* target = nullptr;      // pointee, element, aliased or qualified type, return type; null: void
    uint64_t count = 0;                // array: elements
    bool flexible = false;             // array: [] or [0]
    bool declared_union = false;       // declaration: of a union
    bool variadic = false;             // function
    LazyList<TypeMember> members;      // structure, union; function: parameters. Read like a vector
    LazyList<Enumerator> enumerators;
};

// Through typedefs and qualifiers, to what the bytes are. Never null for a non-null argument; bounded.
const Type* strip(const Type* type);
// Through qualifiers only.
const Type* strip_qualifiers(const Type* type);
bool is_compound(const Type* type); // struct or union after strip()

// "long unsigned int", as compilers write it down, is "unsigned long" for us and for gdb. Other names are given back.
std::string_view canonical_integer_name(std::string_view name);
// Every way compilers write a canonical name down; empty for names that have one way.
std::span<const std::string_view> spellings_of_integer(std::string_view canonical);

// A declaration in C, as crash prints one: declare(type, "prev") gives "struct list_head *prev", "int (*fn)(void *)".
std::string declare(const Type* type, std::string_view name);
// The name of the type alone: "struct list_head *", "unsigned long [4]".
std::string type_name(const Type* type);

// A member path resolved inside a type: "se.avg.load_avg", "cpus_mask.bits[0]". Through anonymous members.
struct ResolvedMember {
    const Type* type = nullptr;
    uint64_t bit_offset = 0; // from the start of the outer type
    uint32_t bit_size = 0;   // 0: not a bit-field
};
std::optional<ResolvedMember> find_member(const Type* type, std::string_view path);

} // namespace kcrash
