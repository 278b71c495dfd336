// SPDX-License-Identifier: GPL-3.0-or-later
// The first reading: types are made by kcrash's own code (symbols/dwarf_types.cpp), which is what is judged here.
//
// Only the walk over the entries is this file's. Types are forgotten after each unit: those of all units of a kernel would take
// some gigabytes. A walk goes forward or ends: an entry that stands before the one just seen is damage, else a reference to a
// sibling that leads back would never end.
#include "core/error.hpp"
#include "dwarfcheck/dwarf_reader.hpp"
#include "symbols/dwarf_types.hpp"
#include <dwarf.h>
#include <fmt/format.h>

namespace kcrash::dwarfcheck {
namespace {

TypeKind kind_of(int tag) {
    switch (tag) {
    case DW_TAG_structure_type: case DW_TAG_class_type: return TypeKind::structure;
    case DW_TAG_union_type: return TypeKind::union_type;
    case DW_TAG_enumeration_type: return TypeKind::enumeration;
    case DW_TAG_typedef: return TypeKind::typedef_type;
    case DW_TAG_base_type: return TypeKind::integer;
    }
    return TypeKind::void_type;
}

// What no C compiler writes types into.
bool has_no_types_inside(int tag) {
    return tag == DW_TAG_enumeration_type || tag == DW_TAG_array_type || tag == DW_TAG_subroutine_type || tag == DW_TAG_call_site ||
           tag == DW_TAG_GNU_call_site;
}

bool is_declared(Dwarf_Die& entry) {
    Dwarf_Attribute attribute;
    bool value = false;
    return dwarf_attr(&entry, DW_AT_declaration, &attribute) && dwarf_formflag(&attribute, &value) == 0 && value;
}

class LibdwReader final : public DwarfReader {
public:
    explicit LibdwReader(std::shared_ptr<const ElfFile> elf) {
        const Architecture* arch = find_architecture(elf->machine(), elf->order(), elf->word_size());
        if (!arch) throw FileError(fmt::format("{}: ELF machine {} is not known", elf->path(), elf->machine()));
        const LoadedModule nowhere; // offsets in debug sections need no addresses
        file_ = std::make_shared<DwarfFile>(std::move(elf), *arch, Slide(), &nowhere);
    }

    std::string_view name() const override { return "libdw"; }

    bool next(Unit& unit) override {
        types_ = std::make_unique<DwarfTypes>(file_, nullptr, false);
        Dwarf_Die root;
        uint8_t type = 0;
        Dwarf_Half version = 0;
        do {
            const int result = dwarf_get_units(file_->dwarf(), unit_, &unit_, &version, &type, &root, nullptr);
            if (result < 0) throw FileError(fmt::format("libdw cannot read the unit after .debug_info+0x{:x}: {}", last_, dwarf_errmsg(-1)));
            if (result > 0) return false;
        } while (version < 5 && type == DW_UT_type); // .debug_types
        unit = {dwarf_dieoffset(&root), type == DW_UT_skeleton, {}, {}};
        last_ = unit.offset;
        walk(root, unit);
        return true;
    }

    const Type* at(uint64_t offset) override {
        Dwarf_Die entry;
        return dwarf_offdie(file_->dwarf(), offset, &entry) ? types_->at(entry) : nullptr;
    }

private:
    void walk(Dwarf_Die root, Unit& unit) {
        std::vector<Dwarf_Die> path{root};
        while (!path.empty() && unit.problem.empty()) {
            Dwarf_Die child;
            const int tag = visit(path.back(), path.size() == 1, unit);
            const int result = has_no_types_inside(tag) ? 1 : dwarf_child(&path.back(), &child);
            if (result < 0) unit.problem = dwarf_errmsg(-1);
            else if (result > 0) to_sibling(path, unit);
            else if (path.size() >= deepest_entry) unit.problem = fmt::format("more than {} entries inside of each other", deepest_entry);
            else path.push_back(child);
        }
    }

    int visit(Dwarf_Die& entry, bool root, Unit& unit) {
        const uint64_t offset = dwarf_dieoffset(&entry);
        if (!root && offset <= last_) unit.problem = fmt::format("the entry at 0x{:x} leads back to 0x{:x}", last_, offset);
        last_ = offset;
        const int tag = dwarf_tag(&entry);
        if (tag == DW_TAG_invalid) unit.problem = fmt::format("the entry at 0x{:x} has no abbreviation", offset);
        if (const TypeKind kind = kind_of(tag); kind != TypeKind::void_type) unit.entries.push_back({offset, kind, is_declared(entry)});
        return tag;
    }

    // The next entry of the innermost level that has one. The unit's own entry has none.
    static void to_sibling(std::vector<Dwarf_Die>& path, Unit& unit) {
        for (; path.size() > 1; path.pop_back()) {
            Dwarf_Die next;
            const int result = dwarf_siblingof(&path.back(), &next);
            if (result < 0) unit.problem = dwarf_errmsg(-1);
            if (result > 0) continue;
            path.back() = next;
            return;
        }
        path.clear();
    }

    std::shared_ptr<DwarfFile> file_;
    std::unique_ptr<DwarfTypes> types_; // of the unit that next() gave
    Dwarf_CU* unit_ = nullptr;
    uint64_t last_ = 0; // the entry seen last
};

} // namespace

std::unique_ptr<DwarfReader> open_libdw(std::shared_ptr<const ElfFile> file) { return std::make_unique<LibdwReader>(std::move(file)); }

} // namespace kcrash::dwarfcheck
