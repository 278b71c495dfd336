// SPDX-License-Identifier: GPL-3.0-or-later
// The fast pass over .debug_info (DWARF 5 specification, section 7.5).
//
// A unit is a header and a tree of entries. An entry is a number that names a declaration in the unit's table of .debug_abbrev,
// which says its tag, whether it has children, and the forms of its attributes. Only entries right under the unit's root matter
// here, and of most of them only where they end:
//
//     unit root
//      |- structure_type "list_head"  --- sibling ---.
//      |   |- member ...                             |   subtrees are jumped over
//      |- typedef "u8"               <---------------'
//
// The section has 164 MB in Debian's 6.1 kernel. It is read unit by unit into one buffer: mapping it would make all of it resident.
#include "symbols/dwarf_names.hpp"
#include "core/cursor.hpp"
#include "core/file.hpp"
#include "symbols/dwarf_abbreviations.hpp"
#include "symbols/elf_symbols.hpp"
#include <algorithm>
#include <dwarf.h>
#include <elf.h>
#include <fmt/format.h>

namespace kcrash {
namespace {

constexpr uint64_t largest_unit = uint64_t{1} << 30;
constexpr unsigned most_chained = 8; // specifications of specifications

// What the pass wants to know of an entry.
struct Entry {
    std::string_view name;
    uint64_t string_offset = ~uint64_t{0}; // of the name in .debug_str, if it is there
    uint64_t sibling = 0;                  // from the start of the unit; 0: not told
    uint64_t specification = 0;            // likewise
    uint64_t size = 0, line = 0;           // of a type in bytes, in its source; 0: not told
    bool declaration = false, external = false, located = false;
};

class Pass {
public:
    Pass(const ElfFile& file, bool with_types, const DwarfSections& section, DwarfNameVisitor& visitor, const ProgressMaker& progress)
        : visitor_(visitor), progress_(start_progress(progress, fmt::format("names of {}", file_name(file.path())))), order_(file.order()),
          with_types_(with_types), abbreviations_bytes_(section(".debug_abbrev")), strings_(section(".debug_str")),
          line_strings_(section(".debug_line_str")), string_offsets_(section(".debug_str_offsets")) {
        const ElfSection* info = file.section(".debug_info");
        if (!info) return;
        if (file.relocatable() || info->flags & SHF_COMPRESSED) {
            info_ = section(".debug_info");
            size_ = info_.size();
        } else {
            source_ = open_file(file.readable_path());
            start_ = info->offset;
            size_ = info->size;
        }
    }

    void run() {
        for (uint64_t offset = 0; offset < size_;) {
            progress_(offset, size_);
            offset = read_unit(offset);
        }
    }

private:
    // Bytes of .debug_info: from where they are, or read into `buffer_`.
    std::span<const std::byte> info(uint64_t offset, uint64_t n) {
        if (offset > size_ || n > size_ - offset) throw FileError(fmt::format(".debug_info+0x{:x}: needs {} bytes, {} left", offset, n, size_ - std::min(offset, size_)));
        if (!source_) return info_.subspan(offset, n);
        if (buffer_.size() < n) buffer_.resize(n);
        source_->read(FileOffset(start_ + offset), std::span(buffer_).first(n));
        return std::span<const std::byte>(buffer_).first(n);
    }

    // Gives the offset of the next unit.
    uint64_t read_unit(uint64_t offset) {
        unit_ = {};
        unit_.offset = offset;
        told_ = {};
        told_.offset = offset;
        const auto head = info(offset, std::min<uint64_t>(12, size_ - offset));
        Cursor length_at(head, order_, ".debug_info", offset);
        uint64_t length = length_at.u32();
        if (length == 0xffffffff) length = length_at.u64(), unit_.offset_size = 8;
        const uint64_t whole = length_at.offset() + length;
        told_.size = whole;
        if (length > largest_unit || whole > size_ - offset) throw FileError(fmt::format(".debug_info+0x{:x}: a unit of 0x{:x} bytes, 0x{:x} left", offset, length, size_ - offset));
        bytes_ = info(offset, whole);
        Cursor at(bytes_, order_, ".debug_info", offset);
        at.seek(unit_.offset_size == 8 ? 12 : 4);
        unit_.version = at.u16();
        if (unit_.version < 2 || unit_.version > 5) { // of a DWARF that is not known: no names of it
            visitor_.unit(told_);
            return offset + whole;
        }
        if (unit_.version >= 5) {
            unit_.type = at.u8();
            unit_.address_size = at.u8();
            unit_.abbreviations = at.word(unit_.offset_size);
            if (unit_.type == DW_UT_type || unit_.type == DW_UT_split_type) {
                visitor_.unit(told_);
                return offset + whole;
            }
            if (unit_.type == DW_UT_skeleton || unit_.type == DW_UT_split_compile) at.u64();
        } else {
            unit_.abbreviations = at.word(unit_.offset_size);
            unit_.address_size = at.u8();
        }
        Cursor table(abbreviations_bytes_, order_, ".debug_abbrev");
        table.seek(unit_.abbreviations);
        abbreviations_.read(table, unit_);
        walk(at);
        return offset + whole;
    }

    void walk(Cursor& at) {
        string_base_ = unit_.offset_size == 8 ? 16 : 8;
        int depth = 0;
        bool enumeration = false; // inside an enum: its children are wanted
        Entry enumerated;
        uint64_t enumeration_offset = 0;
        while (!at.at_end()) {
            const uint64_t here = at.offset();
            const uint64_t code = at.uleb128();
            if (code == 0) {
                if (--depth <= 0) return;
                enumeration = enumeration && depth > 1;
                continue;
            }
            const Abbreviation* abbreviation = abbreviations_.find(code);
            if (!abbreviation) throw FileError(fmt::format(".debug_info+0x{:x}: an entry of unknown abbreviation {}", unit_.offset + here, code));
            if (depth == 0) {
                root_at_ = here;
                read_root(at, *abbreviation);
                if (!abbreviation->children) return;
                depth = 1;
                continue;
            }
            if (depth == 1 && abbreviation->elsewhere) visitor_.elsewhere();
            const char letter = depth == 1 ? letter_of(abbreviation->tag) : enumeration && abbreviation->tag == DW_TAG_enumerator ? 'c' : 0;
            Entry entry;
            bool wanted = true;
            if (letter) {
                entry = read_entry(at, *abbreviation);
                if (letter == 'c') entry.size = enumerated.size, entry.line = enumerated.line;
                wanted = add(letter, entry, unit_.offset + (letter == 'c' ? enumeration_offset : here));
            } else {
                skip_entry(at, *abbreviation, entry);
            }
            if (!abbreviation->children) continue;
            if (letter == 'e' && wanted) enumeration = true, enumeration_offset = here, enumerated = entry, ++depth;
            else if (entry.sibling > here && entry.sibling <= bytes_.size()) at.seek(entry.sibling);
            else ++depth;
        }
    }

    char letter_of(unsigned tag) const {
        switch (tag) {
        case DW_TAG_variable: return 'v';
        case DW_TAG_subprogram: return 'f';
        default: break;
        }
        if (!with_types_) return 0;
        switch (tag) {
        case DW_TAG_structure_type: return 's';
        case DW_TAG_union_type: return 'u';
        case DW_TAG_enumeration_type: return 'e';
        case DW_TAG_typedef: return 't';
        case DW_TAG_base_type: return 'b';
        default: return 0;
        }
    }

    void read_root(Cursor& at, const Abbreviation& abbreviation) {
        told_.root = unit_.offset + root_at_;
        for (const Attribute& attribute : abbreviation.attributes) {
            if (attribute.role == Role::string_base) string_base_ = at.word(unit_.offset_size);
            else if (attribute.role == Role::language) told_.language = static_cast<unsigned>(read_number(at, attribute));
            else skip_form(at, attribute.form, unit_);
        }
        told_.complete = abbreviation.tag == DW_TAG_compile_unit && unit_.type == DW_UT_compile;
        visitor_.unit(told_);
    }

    // A small constant; 0 for what is none.
    uint64_t read_number(Cursor& at, const Attribute& attribute) const {
        switch (attribute.form) {
        case DW_FORM_data1: return at.u8();
        case DW_FORM_data2: return at.u16();
        case DW_FORM_data4: return at.u32();
        case DW_FORM_data8: return at.u64();
        case DW_FORM_udata: return at.uleb128();
        case DW_FORM_implicit_const: return static_cast<uint64_t>(attribute.implicit);
        default: skip_form(at, attribute.form, unit_); return 0;
        }
    }

    uint64_t read_reference(Cursor& at, unsigned form) const {
        switch (form) {
        case DW_FORM_ref1: return at.u8();
        case DW_FORM_ref2: return at.u16();
        case DW_FORM_ref4: return at.u32();
        case DW_FORM_ref8: return at.u64();
        case DW_FORM_ref_udata: return at.uleb128();
        default: skip_form(at, form, unit_); return 0;
        }
    }

    // Most entries end where a fixed number of bytes says, or at their sibling.
    void skip_entry(Cursor& at, const Abbreviation& abbreviation, Entry& entry) {
        const uint64_t start = at.offset();
        if (abbreviation.children && abbreviation.sibling_at >= 0) {
            at.skip(static_cast<uint64_t>(abbreviation.sibling_at));
            entry.sibling = read_reference(at, abbreviation.sibling_form);
            at.seek(start);
            if (entry.sibling > start && entry.sibling <= bytes_.size()) return; // the caller goes there
        }
        if (abbreviation.fixed_size >= 0) return at.skip(static_cast<uint64_t>(abbreviation.fixed_size));
        for (const Attribute& attribute : abbreviation.attributes) {
            if (attribute.role == Role::sibling) entry.sibling = read_reference(at, attribute.form);
            else skip_form(at, attribute.form, unit_);
        }
    }

    Entry read_entry(Cursor& at, const Abbreviation& abbreviation) {
        Entry entry;
        for (const Attribute& attribute : abbreviation.attributes) {
            switch (attribute.role) {
            case Role::name: read_name(at, attribute.form, entry); break;
            case Role::sibling: entry.sibling = read_reference(at, attribute.form); break;
            case Role::specification: entry.specification = read_reference(at, attribute.form); break;
            case Role::declaration: entry.declaration = read_flag(at, attribute); break;
            case Role::external: entry.external = read_flag(at, attribute); break;
            case Role::size: entry.size = read_number(at, attribute); break;
            case Role::line: entry.line = read_number(at, attribute); break;
            case Role::location:
                entry.located = true;
                skip_form(at, attribute.form, unit_);
                break;
            default: skip_form(at, attribute.form, unit_);
            }
        }
        return entry;
    }

    bool read_flag(Cursor& at, const Attribute& attribute) const {
        if (attribute.form == DW_FORM_flag) return at.u8() != 0;
        if (attribute.form == DW_FORM_implicit_const) return attribute.implicit != 0;
        skip_form(at, attribute.form, unit_);
        return true;
    }

    static std::string_view string_in(std::span<const std::byte> strings, uint64_t offset) {
        if (offset >= strings.size()) return {};
        const char* start = reinterpret_cast<const char*>(strings.data()) + offset;
        return {start, strnlen(start, strings.size() - offset)};
    }

    void read_indexed_name(uint64_t index, Entry& entry) const {
        if (index > string_offsets_.size()) return;
        const uint64_t at = string_base_ + index * unit_.offset_size;
        if (at > string_offsets_.size() || string_offsets_.size() - at < unit_.offset_size) return;
        entry.string_offset = load_unsigned(string_offsets_.subspan(at, unit_.offset_size), order_);
        entry.name = string_in(strings_, entry.string_offset);
    }

    void read_name(Cursor& at, unsigned form, Entry& entry) const {
        switch (form) {
        case DW_FORM_string: entry.name = at.string(); return;
        case DW_FORM_strp:
            entry.string_offset = at.word(unit_.offset_size);
            entry.name = string_in(strings_, entry.string_offset);
            return;
        case DW_FORM_line_strp: entry.name = string_in(line_strings_, at.word(unit_.offset_size)); return;
        case DW_FORM_strx: return read_indexed_name(at.uleb128(), entry);
        case DW_FORM_strx1: return read_indexed_name(at.u8(), entry);
        case DW_FORM_strx2: return read_indexed_name(at.u16(), entry);
        case DW_FORM_strx3: return read_indexed_name(load_unsigned(at.bytes(3), order_), entry);
        case DW_FORM_strx4: return read_indexed_name(at.u32(), entry);
        default: skip_form(at, form, unit_);
        }
    }

    // A variable that a header declares has its name there.
    void follow_specification(Entry& entry) {
        for (unsigned n = 0; n < most_chained && entry.name.empty() && entry.specification && entry.specification < bytes_.size(); ++n) {
            Cursor at(bytes_, order_, ".debug_info", unit_.offset);
            at.seek(entry.specification);
            const Abbreviation* abbreviation = abbreviations_.find(at.uleb128());
            if (!abbreviation) return;
            const Entry there = read_entry(at, *abbreviation);
            entry.name = there.name;
            entry.string_offset = there.string_offset;
            entry.external = entry.external || there.external;
            entry.specification = there.specification;
        }
    }

    // Are the names inside of it wanted?
    bool add(char letter, Entry& entry, uint64_t offset) {
        if (entry.specification) {
            entry.located = true;
            follow_specification(entry);
        }
        const bool variable = letter == 'v', function = letter == 'f';
        if (entry.name.empty() || (entry.declaration && !variable && !function)) return true;
        if (variable && entry.declaration) letter = 'D'; // all that there is of what the linker script defines: jiffies
        else if (function && entry.declaration) letter = 'G';
        else if (entry.external && variable) letter = 'V';
        else if (entry.external && function) letter = 'F';
        return visitor_.name({letter, entry.name, entry.string_offset < strings_.size() ? entry.string_offset : DwarfName::no_offset, offset, entry.size, entry.line, entry.located});
    }

    DwarfNameVisitor& visitor_;
    ProgressStep progress_;
    ByteOrder order_;
    bool with_types_;
    std::span<const std::byte> abbreviations_bytes_, strings_, line_strings_, string_offsets_;
    std::shared_ptr<const ByteSource> source_;
    std::span<const std::byte> info_;
    uint64_t start_ = 0, size_ = 0;
    std::vector<std::byte> buffer_;
    UnitHeader unit_;
    std::span<const std::byte> bytes_; // of the unit
    Abbreviations abbreviations_;
    uint64_t string_base_ = 8;
    DwarfUnit told_;
    uint64_t root_at_ = 0; // in the unit
};

} // namespace

void visit_dwarf_names(const ElfFile& file, bool with_types, const DwarfSections& section, DwarfNameVisitor& visitor, const ProgressMaker& progress) {
    Pass(file, with_types, section, visitor, progress).run();
}

} // namespace kcrash
