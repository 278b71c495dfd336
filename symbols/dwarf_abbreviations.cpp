// SPDX-License-Identifier: GPL-3.0-or-later
// Reading a table of declarations, and how long each form is.
#include "symbols/dwarf_abbreviations.hpp"
#include "core/error.hpp"
#include <fmt/format.h>

namespace kcrash {
namespace {

Role role_of(uint64_t attribute) {
    switch (attribute) {
    case DW_AT_name: return Role::name;
    case DW_AT_sibling: return Role::sibling;
    case DW_AT_declaration: return Role::declaration;
    case DW_AT_external: return Role::external;
    case DW_AT_specification: return Role::specification;
    case DW_AT_str_offsets_base: return Role::string_base;
    case DW_AT_byte_size: return Role::size;
    case DW_AT_decl_line: return Role::line;
    case DW_AT_language: return Role::language;
    case DW_AT_location: case DW_AT_const_value: return Role::location;
    default: return Role::other;
    }
}

} // namespace

int64_t fixed_size_of(unsigned form, const UnitHeader& unit) {
    switch (form) {
    case DW_FORM_flag_present: case DW_FORM_implicit_const: return 0;
    case DW_FORM_data1: case DW_FORM_flag: case DW_FORM_ref1: case DW_FORM_strx1: case DW_FORM_addrx1: return 1;
    case DW_FORM_data2: case DW_FORM_ref2: case DW_FORM_strx2: case DW_FORM_addrx2: return 2;
    case DW_FORM_strx3: case DW_FORM_addrx3: return 3;
    case DW_FORM_data4: case DW_FORM_ref4: case DW_FORM_strx4: case DW_FORM_addrx4: case DW_FORM_ref_sup4: return 4;
    case DW_FORM_data8: case DW_FORM_ref8: case DW_FORM_ref_sig8: case DW_FORM_ref_sup8: return 8;
    case DW_FORM_data16: return 16;
    case DW_FORM_addr: return unit.address_size;
    case DW_FORM_ref_addr: return unit.version <= 2 ? unit.address_size : unit.offset_size;
    case DW_FORM_strp: case DW_FORM_line_strp: case DW_FORM_sec_offset: case DW_FORM_strp_sup:
    case DW_FORM_GNU_ref_alt: case DW_FORM_GNU_strp_alt: return unit.offset_size;
    default: return -1;
    }
}

void skip_form(Cursor& at, unsigned form, const UnitHeader& unit) {
    const int64_t fixed = fixed_size_of(form, unit);
    if (fixed >= 0) return at.skip(static_cast<uint64_t>(fixed));
    switch (form) {
    case DW_FORM_udata: case DW_FORM_ref_udata: case DW_FORM_strx: case DW_FORM_addrx: case DW_FORM_loclistx: case DW_FORM_rnglistx:
    case DW_FORM_GNU_addr_index: case DW_FORM_GNU_str_index: at.uleb128(); return;
    case DW_FORM_sdata: at.sleb128(); return;
    case DW_FORM_string: at.string(); return;
    case DW_FORM_block1: return at.skip(at.u8());
    case DW_FORM_block2: return at.skip(at.u16());
    case DW_FORM_block4: return at.skip(at.u32());
    case DW_FORM_block: case DW_FORM_exprloc: return at.skip(at.uleb128());
    case DW_FORM_indirect: return skip_form(at, static_cast<unsigned>(at.uleb128() & 0xff), unit);
    default: throw FileError(fmt::format("{}: an attribute of unknown form 0x{:x}", at.where(), form));
    }
}

void Abbreviations::read(Cursor& at, const UnitHeader& unit) {
    list_.clear();
    others_.clear();
    while (const uint64_t code = at.uleb128()) {
        Abbreviation entry;
        entry.tag = static_cast<uint16_t>(at.uleb128());
        entry.children = at.u8() != 0;
        entry.elsewhere = entry.tag == DW_TAG_imported_unit;
        int64_t size = 0;
        for (;;) {
            const uint64_t name = at.uleb128(), form = at.uleb128();
            const int64_t implicit = form == DW_FORM_implicit_const ? at.sleb128() : 0;
            if (name == 0 && form == 0) break;
            const Role role = role_of(name);
            entry.elsewhere |= form == DW_FORM_ref_addr && (name == DW_AT_abstract_origin || name == DW_AT_specification);
            if (role == Role::sibling) entry.sibling_at = size, entry.sibling_form = static_cast<unsigned>(form);
            const int64_t fixed = fixed_size_of(static_cast<unsigned>(form), unit);
            size = size < 0 || fixed < 0 ? -1 : size + fixed;
            entry.attributes.push_back({role, static_cast<uint16_t>(form), implicit});
        }
        entry.fixed_size = size;
        if (code == list_.size() + 1) list_.push_back(std::move(entry));
        else others_[code] = std::move(entry);
    }
}

const Abbreviation* Abbreviations::find(uint64_t code) const {
    if (code >= 1 && code <= list_.size()) return &list_[code - 1];
    const auto it = others_.find(code);
    return it == others_.end() ? nullptr : &it->second;
}

} // namespace kcrash
