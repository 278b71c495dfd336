// SPDX-License-Identifier: GPL-3.0-or-later
// All types of the target: one look-up over BTF (kernel, modules) and DWARF.
#pragma once
#include "symbols/type.hpp"
#include <functional>
#include <initializer_list>
#include <memory>
#include <span>

namespace kcrash {

// One origin of types: the kernel's BTF, a module's BTF, a file's DWARF. Safe from many threads.
// Types come into being when they are first asked for and stay.
class TypeSource {
public:
    virtual ~TypeSource() = default;
    // kind: structure, union_type, enumeration, typedef_type, integer; declaration finds any struct or union.
    virtual const Type* find(TypeKind kind, std::string_view name) const = 0; // null: not here
    // The type of a variable or function, where the source knows it (DWARF always, BTF functions and per-cpu variables).
    virtual const Type* of_variable(std::string_view name) const = 0;
    virtual const Type* of_function(std::string_view name) const = 0;
    // Every named struct, union, enum and typedef; stops when the callback returns false. For whatis -r/-m, completion.
    virtual void each(const std::function<bool(const Type&)>& visit) const = 0;
    // The value of an enumerator by name ("PG_slab"), whichever enum it is in.
    virtual std::optional<int64_t> enumerator(std::string_view name) const = 0;
    // The enum that has it; null: not told by this source.
    virtual const Type* enumeration_of(std::string_view) const { return nullptr; }
    virtual std::string_view source() const = 0; // "BTF", "DWARF of FILE"
};

// BTF bytes (the .BTF section, or the dump's own copy). base: the kernel's source, for a module's split BTF; null for the kernel.
// Throws FileError. `bytes` must outlive the source and so must base.
std::unique_ptr<TypeSource> open_btf(std::span<const std::byte> bytes, const TypeSource* base, std::string name);

// Asks its sources in order. Owns them. An immutable snapshot; safe from many threads.
class Types {
public:
    explicit Types(std::vector<std::shared_ptr<const TypeSource>> sources);
    const Type* find(TypeKind kind, std::string_view name) const;
    const Type* of_variable(std::string_view name) const;
    const Type* of_function(std::string_view name) const;
    std::optional<int64_t> enumerator(std::string_view name) const;
    const Type* enumeration_of(std::string_view enumerator) const; // null: unknown
    // "struct task_struct", "task_struct" (struct, union, typedef, enum in that order), "unsigned long", "struct page *",
    // "int [4]". Null when unknown. Pointer and array types that it makes are owned by Types.
    const Type* parse(std::string_view text) const;
    const Type& require(std::string_view text) const;       // LookupError "unknown type "struct foo""
    const Type* pointer_to(const Type* target) const;
    const Type* array_of(const Type* element, uint64_t count) const;
    bool has_member(std::string_view type, std::string_view path) const;
    std::span<const std::shared_ptr<const TypeSource>> sources() const { return sources_; }

private:
    struct Made;
    std::vector<std::shared_ptr<const TypeSource>> sources_;
    std::shared_ptr<Made> made_;
};

} // namespace kcrash
