// SPDX-License-Identifier: GPL-3.0-or-later
// Entries of DWARF as types, and the look-up of types, variables and functions by name.
//
// Everything happens under the file's lock. A type is entered into the table before its target is looked at, so that a damaged
// file whose types refer to each other in a ring ends in a ring of pointers and not in endless recursion.
#include "symbols/dwarf_types.hpp"
#include "core/error.hpp"
#include "symbols/dwarf_index.hpp"
#include "symbols/elf_symbols.hpp"
#include "symbols/symbol_cache.hpp"
#include <algorithm>
#include <dwarf.h>

namespace kcrash {
namespace {

constexpr unsigned deepest = 128;           // pointers to pointers to ...
constexpr size_t most_members = 1 << 20;    // of one struct or enum
constexpr size_t most_candidates = 64;      // variables of one name
constexpr size_t largest_field = 1 << 16;   // bytes of a bit-field's storage

std::optional<uint64_t> number(Dwarf_Die& entry, unsigned name) {
    Dwarf_Attribute attribute;
    Dwarf_Word value = 0;
    if (!dwarf_attr_integrate(&entry, name, &attribute) || dwarf_formudata(&attribute, &value) != 0) return std::nullopt;
    return value;
}

bool flag(Dwarf_Die& entry, unsigned name) {
    Dwarf_Attribute attribute;
    bool value = false;
    return dwarf_attr_integrate(&entry, name, &attribute) && dwarf_formflag(&attribute, &value) == 0 && value;
}

// A number that may be signed: its form says so, else it is not.
int64_t constant(Dwarf_Die& entry, unsigned name) {
    Dwarf_Attribute attribute;
    Dwarf_Sword value = 0;
    Dwarf_Word bits = 0;
    if (!dwarf_attr_integrate(&entry, name, &attribute)) return 0;
    const unsigned form = dwarf_whatform(&attribute);
    if ((form == DW_FORM_sdata || form == DW_FORM_implicit_const) && dwarf_formsdata(&attribute, &value) == 0) return value;
    return dwarf_formudata(&attribute, &bits) == 0 ? static_cast<int64_t>(bits) : 0;
}

TypeKind kind_of(int tag) {
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
    case DW_TAG_subroutine_type: case DW_TAG_subprogram: return TypeKind::function;
    default: return TypeKind::void_type;
    }
}

// The index letters of a kind, see dwarf_index.hpp.
std::string_view letters_of(TypeKind kind) {
    switch (kind) {
    case TypeKind::structure: return "s";
    case TypeKind::union_type: return "u";
    case TypeKind::enumeration: return "e";
    case TypeKind::typedef_type: return "t";
    case TypeKind::declaration: return "su";
    case TypeKind::integer: case TypeKind::boolean: case TypeKind::floating: return "b";
    default: return "";
    }
}

// Bytes from the start of a struct to a member. In DWARF 2 they are an expression: "add N to the struct's address".
uint64_t location(Dwarf_Die& entry) {
    if (const auto bytes = number(entry, DW_AT_data_member_location)) return *bytes;
    Dwarf_Attribute attribute;
    Dwarf_Op* operations = nullptr;
    size_t count = 0;
    if (!dwarf_attr_integrate(&entry, DW_AT_data_member_location, &attribute) || dwarf_getlocation(&attribute, &operations, &count) != 0) return 0;
    return count == 1 && operations[0].atom == DW_OP_plus_uconst ? operations[0].number : 0;
}

// Where a member lies, in bits from the start of its struct.
void place_member(TypeMember& member, Dwarf_Die& entry, const Architecture& arch) {
    member.bit_offset = location(entry) * 8;
    const auto bits = number(entry, DW_AT_bit_size);
    if (!bits) return;
    member.bit_size = static_cast<uint32_t>(std::min<uint64_t>(*bits, largest_field * 8));
    if (const auto whole = number(entry, DW_AT_data_bit_offset)) { // DWARF 4 on
        member.bit_offset = *whole;
    } else if (const auto old = number(entry, DW_AT_bit_offset)) { // from the storage's most significant bit
        const uint64_t storage = 8 * std::min<uint64_t>(number(entry, DW_AT_byte_size).value_or(member.type ? member.type->size : 0), largest_field);
        member.bit_offset += arch.order == ByteOrder::little ? storage - *old - *bits : *old;
    }
}

} // namespace

DwarfTypes::DwarfTypes(std::shared_ptr<DwarfFile> file, std::shared_ptr<const Types> kernel_types, bool use_cache, ProgressMaker progress)
    : file_(std::move(file)), kernel_types_(std::move(kernel_types)), use_cache_(use_cache), progress_(std::move(progress)), source_("DWARF of " + file_name(file_->file().path())) {}

const SymbolTable& DwarfTypes::code_names() const {
    const auto section = [&](std::string_view name) { return file_->section(name); };
    // Of a module there is no cache: its DWARF is relocated, and small.
    const bool cache = use_cache_ && !file_->file().relocatable();
    if (!code_names_)
        code_names_ = open_symbol_image(cached_block(file_->file(), "dwarf", cache, [&] { return index_dwarf(file_->file(), false, section, progress_); }), 0, source_);
    return *code_names_;
}

const SymbolTable& DwarfTypes::all_names() const {
    const auto section = [&](std::string_view name) { return file_->section(name); };
    const bool cache = use_cache_ && !file_->file().relocatable();
    if (!all_names_)
        all_names_ = open_symbol_image(cached_block(file_->file(), "dwarf-types", cache, [&] { return index_dwarf(file_->file(), true, section, progress_); }), 0, source_);
    return *all_names_;
}

// Offsets of the entries of that name, those of the first letter first.
std::vector<uint64_t> DwarfTypes::offsets(const SymbolTable& names, std::string_view name, std::string_view letters) const {
    std::vector<uint64_t> found;
    const auto all = names.find(name);
    for (const char letter : letters)
        for (const size_t i : all)
            if (const Symbol symbol = names.at(i); symbol.type == letter && found.size() < most_candidates) found.push_back(symbol.address);
    return found;
}

const Type* DwarfTypes::find(TypeKind kind, std::string_view name) const {
    const std::scoped_lock guard(file_->lock());
    std::vector<std::string_view> spellings{name};
    const auto more = letters_of(kind) == "b" ? spellings_of_integer(name) : std::span<const std::string_view>{};
    spellings.insert(spellings.end(), more.begin(), more.end());
    for (const std::string_view spelling : spellings)
        for (const uint64_t offset : offsets(all_names(), spelling, letters_of(kind))) {
            Dwarf_Die entry;
            if (!dwarf_offdie(file_->dwarf(), offset, &entry)) continue;
            if (const Type* type = convert(entry, 0)) return type;
        }
    return nullptr;
}

// Of several variables of one name that one which has the lowest address, as the symbol table gives it first.
const Type* DwarfTypes::of_variable(std::string_view name) const {
    const std::scoped_lock guard(file_->lock());
    const Type* best = nullptr;
    uint64_t lowest = ~uint64_t{0};
    for (const uint64_t offset : offsets(code_names(), name, "VvD")) {
        Dwarf_Die entry;
        if (!dwarf_offdie(file_->dwarf(), offset, &entry)) continue;
        Dwarf_Attribute attribute;
        Dwarf_Op* operations = nullptr;
        size_t count = 0;
        uint64_t address = ~uint64_t{0};
        if (dwarf_attr_integrate(&entry, DW_AT_location, &attribute) && dwarf_getlocation(&attribute, &operations, &count) == 0 && count == 1 &&
            operations[0].atom == DW_OP_addr)
            address = operations[0].number;
        if (best && address >= lowest) continue;
        if (const Type* type = of_entry(entry)) best = type, lowest = address;
    }
    return best;
}

const Type* DwarfTypes::of_function(std::string_view name) const {
    const std::scoped_lock guard(file_->lock());
    for (const uint64_t offset : offsets(code_names(), name, "FfG")) {
        Dwarf_Die entry;
        if (!dwarf_offdie(file_->dwarf(), offset, &entry)) continue;
        if (const Type* type = convert(entry, 0)) return type;
    }
    return nullptr;
}

void DwarfTypes::each(const std::function<bool(const Type&)>& visit) const {
    const SymbolTable* names = nullptr;
    {
        const std::scoped_lock guard(file_->lock());
        names = &all_names();
    }
    for (size_t i = 0; i < names->size(); ++i) {
        const Symbol symbol = names->at(i);
        if (std::string_view("suet").find(symbol.type) == std::string_view::npos) continue;
        const Type* type = nullptr;
        {
            const std::scoped_lock guard(file_->lock());
            Dwarf_Die entry;
            if (dwarf_offdie(file_->dwarf(), symbol.address, &entry)) type = convert(entry, 0);
        }
        if (type && !visit(*type)) return;
    }
}

std::optional<int64_t> DwarfTypes::enumerator(std::string_view name) const {
    const std::scoped_lock guard(file_->lock());
    for (const uint64_t offset : offsets(all_names(), name, "c")) {
        Dwarf_Die entry;
        if (!dwarf_offdie(file_->dwarf(), offset, &entry)) continue;
        for (const Enumerator& enumerator : load_list(offset, static_cast<const Enumerator*>(nullptr)))
            if (enumerator.name == name) return enumerator.value;
    }
    return std::nullopt;
}

const Type* DwarfTypes::of_entry(Dwarf_Die& entry) const {
    const std::scoped_lock guard(file_->lock());
    return target_of(entry, 0);
}

const Type* DwarfTypes::at(Dwarf_Die& entry) const {
    const std::scoped_lock guard(file_->lock());
    return convert(entry, 0);
}

const Type* DwarfTypes::target_of(Dwarf_Die& entry, unsigned depth) const {
    Dwarf_Attribute attribute;
    Dwarf_Die target;
    if (!dwarf_attr_integrate(&entry, DW_AT_type, &attribute) || !dwarf_formref_die(&attribute, &target)) return nullptr;
    return convert(target, depth + 1);
}

// BTF's type for an entry, when it is the same: files may have structs of one name that differ.
const Type* DwarfTypes::from_kernel(Dwarf_Die& entry, TypeKind kind) const {
    const std::string_view name = dwarf_name(entry);
    if (!kernel_types_ || name.empty()) return nullptr;
    if (kind == TypeKind::integer) return nullptr; // integers and pointers are cheap, and equal by name
    const Type* known = kernel_types_->find(kind, name);
    if (!known || flag(entry, DW_AT_declaration)) return known;
    if (kind == TypeKind::typedef_type) {
        const Type* mine = target_of(entry, 1);
        return mine && known->target && strip(mine)->size == strip(known->target)->size && strip(mine)->kind == strip(known->target)->kind ? known : nullptr;
    }
    if (known->size != number(entry, DW_AT_byte_size).value_or(0)) return nullptr;
    size_t i = 0;
    bool same = true;
    const int wanted = kind == TypeKind::enumeration ? DW_TAG_enumerator : DW_TAG_member;
    const size_t count = kind == TypeKind::enumeration ? known->enumerators.size() : known->members.size();
    each_child(entry, [&](Dwarf_Die& child) {
        if (dwarf_tag(&child) != wanted) return true;
        if (i < count) same = dwarf_name(child) == (kind == TypeKind::enumeration ? known->enumerators[i].name : known->members[i].name);
        return same && i++ < count;
    });
    return same && i == count ? known : nullptr;
}

const Type* DwarfTypes::convert(Dwarf_Die& entry, unsigned depth) const {
    const uint64_t offset = dwarf_dieoffset(&entry);
    const auto known = by_offset_.find(offset);
    if (known != by_offset_.end()) return known->second;
    const TypeKind kind = kind_of(dwarf_tag(&entry));
    if (kind == TypeKind::void_type || depth > deepest) return nullptr;
    const bool named = kind == TypeKind::structure || kind == TypeKind::union_type || kind == TypeKind::enumeration || kind == TypeKind::typedef_type;
    if (kind == TypeKind::typedef_type) by_offset_[offset] = nullptr; // ends a ring of typedefs
    if (const Type* shared = named ? from_kernel(entry, kind) : nullptr) return by_offset_[offset] = shared;
    if (kind == TypeKind::array) return array(entry, depth);
    Type& type = made_.emplace_back();
    by_offset_[offset] = &type;
    type.kind = kind;
    describe(type, entry, depth);
    return &type;
}

void DwarfTypes::describe(Type& type, Dwarf_Die& entry, unsigned depth) const {
    const TypeKind kind = type.kind;
    type.name = dwarf_name(entry);
    type.size = number(entry, DW_AT_byte_size).value_or(0);
    switch (kind) {
    case TypeKind::structure: case TypeKind::union_type:
        if (flag(entry, DW_AT_declaration)) {
            type.declared_union = kind == TypeKind::union_type;
            type.kind = TypeKind::declaration;
        } else {
            type.members = LazyList<TypeMember>(*this, dwarf_dieoffset(&entry));
        }
        return;
    case TypeKind::enumeration: return describe_enumeration(type, entry);
    case TypeKind::integer: return describe_base(type, entry);
    case TypeKind::function: return describe_function(type, entry, depth);
    default: return describe_reference(type, entry, kind, depth);
    }
}

void DwarfTypes::describe_base(Type& type, Dwarf_Die& entry) const {
    const uint64_t encoding = number(entry, DW_AT_encoding).value_or(DW_ATE_unsigned);
    type.name = canonical_integer_name(type.name);
    if (encoding == DW_ATE_boolean) type.kind = TypeKind::boolean;
    if (encoding == DW_ATE_float) type.kind = TypeKind::floating;
    type.is_signed = encoding == DW_ATE_signed || encoding == DW_ATE_signed_char;
    type.is_char = type.kind == TypeKind::integer && type.size == 1;
}

void DwarfTypes::describe_enumeration(Type& type, Dwarf_Die& entry) const {
    if (type.size == 0) type.size = 4; // a declaration: every enum of the kernel has the size of an int
    type.enumerators = LazyList<Enumerator>(*this, dwarf_dieoffset(&entry));
    for (const Enumerator& enumerator : load_list(dwarf_dieoffset(&entry), static_cast<const Enumerator*>(nullptr)))
        type.is_signed = type.is_signed || enumerator.value < 0;
}

void DwarfTypes::describe_function(Type& type, Dwarf_Die& entry, unsigned depth) const {
    type.size = 1;
    if (dwarf_tag(&entry) == DW_TAG_subroutine_type) type.name = {};
    type.target = target_of(entry, depth);
    type.members = LazyList<TypeMember>(*this, dwarf_dieoffset(&entry));
    each_child(entry, [&](Dwarf_Die& child) {
        type.variadic = type.variadic || dwarf_tag(&child) == DW_TAG_unspecified_parameters;
        return true;
    });
}

// Pointers, qualifiers, typedefs.
void DwarfTypes::describe_reference(Type& type, Dwarf_Die& entry, TypeKind kind, unsigned depth) const {
    type.target = target_of(entry, depth);
    if (kind == TypeKind::pointer) type.size = file_->arch().word_size;
    else type.size = type.target ? type.target->size : 0;
}

// DWARF has one entry for an array of arrays; a type has one for each dimension, outermost first.
const Type* DwarfTypes::array(Dwarf_Die& entry, unsigned depth) const {
    const uint64_t offset = dwarf_dieoffset(&entry);
    by_offset_[offset] = nullptr;
    struct Dimension { uint64_t count; bool flexible; };
    std::vector<Dimension> dimensions;
    each_child(entry, [&](Dwarf_Die& child) {
        if (dwarf_tag(&child) != DW_TAG_subrange_type) return true;
        const auto count = number(child, DW_AT_count), upper = number(child, DW_AT_upper_bound);
        dimensions.push_back({count ? *count : upper ? *upper + 1 : 0, !count && !upper});
        return dimensions.size() < deepest;
    });
    const Type* element = target_of(entry, depth);
    if (!element || dimensions.empty()) return nullptr;
    for (auto it = dimensions.rbegin(); it != dimensions.rend(); ++it) {
        Type& type = made_.emplace_back();
        type.kind = TypeKind::array;
        type.target = element;
        type.count = it->count;
        type.flexible = it->flexible || it->count == 0;
        if (__builtin_mul_overflow(it->count, element->size, &type.size)) type.size = 0, type.count = 0;
        element = &type;
    }
    return by_offset_[offset] = element;
}

std::vector<TypeMember> DwarfTypes::load_list(uint64_t offset, const TypeMember*) const {
    const std::scoped_lock guard(file_->lock());
    std::vector<TypeMember> members;
    Dwarf_Die entry;
    if (!dwarf_offdie(file_->dwarf(), offset, &entry)) return members;
    each_child(entry, [&](Dwarf_Die& child) {
        const int tag = dwarf_tag(&child);
        if (tag != DW_TAG_member && tag != DW_TAG_formal_parameter) return true;
        TypeMember& member = members.emplace_back();
        member.name = dwarf_name(child);
        member.type = of_entry(child);
        if (tag == DW_TAG_member) place_member(member, child, file_->arch());
        return members.size() < most_members;
    });
    return members;
}

std::vector<Enumerator> DwarfTypes::load_list(uint64_t offset, const Enumerator*) const {
    const std::scoped_lock guard(file_->lock());
    std::vector<Enumerator> enumerators;
    Dwarf_Die entry;
    if (!dwarf_offdie(file_->dwarf(), offset, &entry)) return enumerators;
    each_child(entry, [&](Dwarf_Die& child) {
        if (dwarf_tag(&child) == DW_TAG_enumerator) enumerators.push_back({dwarf_name(child), constant(child, DW_AT_const_value)});
        return enumerators.size() < most_members;
    });
    return enumerators;
}

} // namespace kcrash
