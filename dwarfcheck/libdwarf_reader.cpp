// SPDX-License-Identifier: GPL-3.0-or-later
// The second reading: libdwarf opens the file with its own ELF reader, applies the relocations of an object file itself, finds the
// units, the abbreviations and the strings itself.
//
// What to know of Debian's libdwarf of 2021: it reads whole sections into memory; it knows the relocations of debug sections of
// x86, arm64, s390, ppc64 and arm, and says so where it does not; damaged input has crashed it more than once since. It is in this
// program alone for that reason, and this program does nothing but compare: when it dies, a session does not.
#include "dwarfcheck/dwarf_reader.hpp"
#include "dwarfcheck/libdwarf_types.hpp"
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

namespace kcrash::dwarfcheck {
namespace {

TypeKind kind_of(Dwarf_Half tag) {
    switch (tag) {
    case DW_TAG_structure_type: case DW_TAG_class_type: return TypeKind::structure;
    case DW_TAG_union_type: return TypeKind::union_type;
    case DW_TAG_enumeration_type: return TypeKind::enumeration;
    case DW_TAG_typedef: return TypeKind::typedef_type;
    case DW_TAG_base_type: return TypeKind::integer;
    }
    return TypeKind::void_type;
}

bool has_no_types_inside(Dwarf_Half tag) {
    return tag == DW_TAG_enumeration_type || tag == DW_TAG_array_type || tag == DW_TAG_subroutine_type || tag == DW_TAG_call_site ||
           tag == DW_TAG_GNU_call_site;
}

class LibdwarfReader final : public DwarfReader {
public:
    explicit LibdwarfReader(const ElfFile& file) {
        dwarf_set_de_alloc_flag(0); // everything is given back by its owner; keeping a list of it takes twice the time
        fd_ = ::open(file.readable_path().c_str(), O_RDONLY | O_CLOEXEC);
        Dwarf_Error error = nullptr;
        const int result = fd_ < 0 ? DW_DLV_NO_ENTRY : dwarf_init_b(fd_, DW_DLC_READ, DW_GROUPNUMBER_ANY, nullptr, nullptr, &debug_, &error);
        types_ = std::make_unique<LibdwarfTypes>(debug_, file.order(), file.word_size());
        if (result == DW_DLV_OK) return;
        if (fd_ >= 0) ::close(fd_);
        throw FileError(fmt::format("{}: libdwarf cannot open it: {}", file.path(), result == DW_DLV_ERROR ? take_message(nullptr, error) : "it finds no DWARF"));
    }

    ~LibdwarfReader() override {
        types_.reset();
        Dwarf_Error error = nullptr;
        dwarf_finish(debug_, &error);
        ::close(fd_);
    }

    std::string_view name() const override { return "libdwarf"; }

    bool next(Unit& unit) override {
        types_->forget();
        Dwarf_Half type = 0;
        try {
            if (!to_header(type)) return false;
            Dwarf_Die root = nullptr;
            if (!ask(debug_, dwarf_siblingof_b, debug_, nullptr, Dwarf_Bool{1}, &root)) throw FileError("it has no entry");
            Die first(root);
            unit = {offset_of(debug_, first), type == DW_UT_skeleton, {}, {}};
            last_ = unit.offset;
            walk(std::move(first), unit);
        } catch (const FileError& error) {
            throw FileError(fmt::format("libdwarf cannot read the unit after .debug_info+0x{:x}: {}", last_, error.what()));
        }
        return true;
    }

    const Type* at(uint64_t offset) override { return types_->at(offset); }

private:
    bool to_header(Dwarf_Half& type) {
        Dwarf_Unsigned length = 0, type_offset = 0, next = 0;
        Dwarf_Half version = 0, address_size = 0, length_size = 0, extension = 0;
        Dwarf_Off abbreviations = 0;
        Dwarf_Sig8 signature{};
        return ask(debug_, dwarf_next_cu_header_d, debug_, Dwarf_Bool{1}, &length, &version, &abbreviations, &address_size, &length_size, &extension, &signature,
                   &type_offset, &next, &type);
    }

    struct Step {
        Die entry;
        uint64_t offset = 0;
        Dwarf_Half tag = 0;
    };

    void walk(Die root, Unit& unit) {
        std::vector<Step> path;
        path.push_back({std::move(root)});
        try {
            while (!path.empty()) {
                visit(path.back(), path.size() == 1, unit);
                Die child = has_no_types_inside(path.back().tag) ? Die() : first_child(debug_, path.back().entry);
                if (!child) to_sibling(path);
                else if (path.size() >= deepest_entry) throw FileError(fmt::format("more than {} entries inside of each other", deepest_entry));
                else path.push_back({std::move(child)});
            }
        } catch (const FileError& error) {
            unit.problem = error.what();
        }
    }

    void visit(Step& step, bool root, Unit& unit) {
        step.offset = offset_of(debug_, step.entry);
        if (!root && step.offset <= last_) throw FileError(fmt::format("the entry at 0x{:x} leads back to 0x{:x}", last_, step.offset));
        last_ = step.offset;
        step.tag = tag_of(debug_, step.entry);
        if (const TypeKind kind = kind_of(step.tag); kind != TypeKind::void_type) unit.entries.push_back({step.offset, kind, is_declared(step.entry)});
    }

    bool is_declared(const Die& entry) const {
        Dwarf_Attribute attribute = nullptr;
        Dwarf_Bool value = 0;
        if (!ask(debug_, dwarf_attr, entry.get(), Dwarf_Half{DW_AT_declaration}, &attribute)) return false;
        ask(debug_, dwarf_formflag, attribute, &value);
        dwarf_dealloc_attribute(attribute);
        return value != 0;
    }

    // The next entry of the innermost level that has one.
    void to_sibling(std::vector<Step>& path) const {
        for (; path.size() > 1; path.pop_back()) {
            Step& step = path.back();
            Die next = sibling(debug_, step.entry);
            if (LibdwarfTypes::is_type(step.tag)) types_->keep(step.offset, std::move(step.entry));
            if (!next) continue;
            step = {std::move(next)};
            return;
        }
        path.clear();
    }

    int fd_ = -1;
    Dwarf_Debug debug_ = nullptr;
    std::unique_ptr<LibdwarfTypes> types_; // of the unit that next() gave
    uint64_t last_ = 0; // the entry seen last
};

} // namespace

std::unique_ptr<DwarfReader> open_libdwarf(const ElfFile& file) { return std::make_unique<LibdwarfReader>(file); }

} // namespace kcrash::dwarfcheck
