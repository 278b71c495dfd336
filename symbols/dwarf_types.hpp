// SPDX-License-Identifier: GPL-3.0-or-later
// DWARF as a source of types: entries become types when somebody asks for them.
#pragma once
#include "core/progress.hpp"
#include "symbols/dwarf_file.hpp"
#include "symbols/types.hpp"
#include <atomic>
#include <deque>

namespace kcrash {

// Where BTF has a struct, union, enum or typedef of the same name and shape, its type is given: one type, whoever was asked.
class DwarfTypes final : public TypeSource, private ListSource<TypeMember>, private ListSource<Enumerator> {
public:
    // kernel_types: BTF alone; null: none. `progress` is told of the pass over all names.
    DwarfTypes(std::shared_ptr<DwarfFile> file, std::shared_ptr<const Types> kernel_types, bool use_cache, ProgressMaker progress = {});

    const Type* find(TypeKind kind, std::string_view name) const override;
    const Type* of_variable(std::string_view name) const override;
    const Type* of_function(std::string_view name) const override;
    void each(const std::function<bool(const Type&)>& visit) const override;
    std::optional<int64_t> enumerator(std::string_view name) const override;
    std::string_view source() const override { return source_; }

    // The type that an entry's DW_AT_type names; null: void, or damaged.
    const Type* of_entry(Dwarf_Die& entry) const;
    // The type that an entry is; null: it is none.
    const Type* at(Dwarf_Die& entry) const;

private:
    std::vector<TypeMember> load_list(uint64_t offset, const TypeMember*) const override;
    std::vector<Enumerator> load_list(uint64_t offset, const Enumerator*) const override;

    const SymbolTable& code_names() const; // functions and variables: small
    const SymbolTable& all_names() const;  // types too: only for kernels without BTF
    const Type* convert(Dwarf_Die& entry, unsigned depth) const;
    const Type* target_of(Dwarf_Die& entry, unsigned depth) const;
    const Type* from_kernel(Dwarf_Die& entry, TypeKind kind) const;
    const Type* array(Dwarf_Die& entry, unsigned depth) const;
    void describe(Type& type, Dwarf_Die& entry, unsigned depth) const;
    void describe_base(Type& type, Dwarf_Die& entry) const;
    void describe_enumeration(Type& type, Dwarf_Die& entry) const;
    void describe_function(Type& type, Dwarf_Die& entry, unsigned depth) const;
    void describe_reference(Type& type, Dwarf_Die& entry, TypeKind kind, unsigned depth) const;
    std::vector<uint64_t> offsets(const SymbolTable& names, std::string_view name, std::string_view letters) const;

    std::shared_ptr<DwarfFile> file_;
    std::shared_ptr<const Types> kernel_types_;
    bool use_cache_;
    ProgressMaker progress_;
    std::string source_;
    mutable std::shared_ptr<const SymbolTable> code_names_, all_names_;
    mutable std::deque<Type> made_;
    mutable std::unordered_map<uint64_t, const Type*> by_offset_;
};

} // namespace kcrash
