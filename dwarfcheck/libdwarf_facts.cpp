// SPDX-License-Identifier: GPL-3.0-or-later
// Attributes by libdwarf. All of an entry are read at once: asking for them one by one would look through them each time.
#include "dwarfcheck/libdwarf_facts.hpp"
#include <vector>

namespace kcrash::dwarfcheck {
namespace {

constexpr unsigned most_origins = 16; // that lead to another: more are a ring

class AttributeList {
public:
    AttributeList(Dwarf_Debug debug, const Die& die) : debug_(debug) { ask(debug, dwarf_attrlist, die.get(), &list_, &count_); }
    AttributeList(const AttributeList&) = delete;
    AttributeList& operator=(const AttributeList&) = delete;
    ~AttributeList() {
        for (Dwarf_Signed i = 0; i < count_; ++i) dwarf_dealloc_attribute(list_[i]);
        if (list_) dwarf_dealloc(debug_, list_, DW_DLA_LIST);
    }
    Dwarf_Attribute* begin() const { return list_; }
    Dwarf_Attribute* end() const { return list_ + count_; }

private:
    Dwarf_Debug debug_;
    Dwarf_Attribute* list_ = nullptr;
    Dwarf_Signed count_ = 0;
};

class Reader {
public:
    explicit Reader(Dwarf_Debug debug) : debug_(debug) {}

    void read(const Die& die, Facts& facts) {
        for (const Dwarf_Attribute attribute : AttributeList(debug_, die)) {
            Dwarf_Half name = 0;
            ask(debug_, dwarf_whatattr, attribute, &name);
            take(name, attribute, facts);
        }
    }

private:
    // What is there already stays: it stands nearer to the entry.
    void take(Dwarf_Half name, Dwarf_Attribute attribute, Facts& facts) {
        switch (name) {
        case DW_AT_name: if (facts.name.empty()) facts.name = string(attribute); break;
        case DW_AT_type: if (!facts.type) facts.type = reference(attribute); break;
        case DW_AT_abstract_origin: case DW_AT_specification: if (!facts.origin) facts.origin = reference(attribute); break;
        case DW_AT_byte_size: number(attribute, facts.size); break;
        case DW_AT_bit_size: number(attribute, facts.bit_size); break;
        case DW_AT_bit_offset: number(attribute, facts.bit_offset); break;
        case DW_AT_data_bit_offset: number(attribute, facts.data_bit_offset); break;
        case DW_AT_encoding: number(attribute, facts.encoding); break;
        case DW_AT_count: number(attribute, facts.count); break;
        case DW_AT_upper_bound: number(attribute, facts.upper_bound); break;
        case DW_AT_data_member_location: location(attribute, facts.location); break;
        case DW_AT_const_value: if (!facts.value) facts.value = value(attribute); break;
        case DW_AT_declaration: facts.declared = facts.declared || flag(attribute); break;
        }
    }

    Dwarf_Half form(Dwarf_Attribute attribute) {
        Dwarf_Half form = 0;
        ask(debug_, dwarf_whatform, attribute, &form);
        return form;
    }

    std::string_view string(Dwarf_Attribute attribute) {
        char* text = nullptr;
        return ask(debug_, dwarf_formstring, attribute, &text) && text ? std::string_view(text) : std::string_view();
    }

    std::optional<uint64_t> reference(Dwarf_Attribute attribute) {
        Dwarf_Off offset = 0;
        if (form(attribute) == DW_FORM_ref_sig8) return signature(attribute);
        return ask(debug_, dwarf_global_formref, attribute, &offset) ? std::optional<uint64_t>(offset) : std::nullopt;
    }

    // A type in a unit of its own, by the hash of its description.
    std::optional<uint64_t> signature(Dwarf_Attribute attribute) {
        Dwarf_Sig8 hash{};
        Dwarf_Die found = nullptr;
        Dwarf_Bool in_info = 0;
        if (!ask(debug_, dwarf_formsig8, attribute, &hash) || !ask(debug_, dwarf_find_die_given_sig8, debug_, &hash, &found, &in_info)) return std::nullopt;
        const Die type(found);
        return in_info ? std::optional<uint64_t>(offset_of(debug_, type)) : std::nullopt;
    }

    bool flag(Dwarf_Attribute attribute) {
        Dwarf_Bool value = 0;
        return ask(debug_, dwarf_formflag, attribute, &value) && value;
    }

    // Nothing for what is not a constant: the bound of an array whose length is a variable.
    static bool is_constant(Dwarf_Half form) {
        switch (form) {
        case DW_FORM_data1: case DW_FORM_data2: case DW_FORM_data4: case DW_FORM_data8: case DW_FORM_udata: case DW_FORM_sdata: case DW_FORM_implicit_const:
            return true;
        }
        return false;
    }

    void number(Dwarf_Attribute attribute, std::optional<uint64_t>& into) {
        if (into || !is_constant(form(attribute))) return;
        into = static_cast<uint64_t>(value(attribute).value_or(0));
    }

    std::optional<int64_t> value(Dwarf_Attribute attribute) {
        Dwarf_Signed with_sign = 0;
        Dwarf_Unsigned without = 0;
        const Dwarf_Half kind = form(attribute);
        if (kind == DW_FORM_sdata || kind == DW_FORM_implicit_const)
            return ask(debug_, dwarf_formsdata, attribute, &with_sign) ? std::optional<int64_t>(with_sign) : std::nullopt;
        if (!is_constant(kind)) return std::nullopt;
        return ask(debug_, dwarf_formudata, attribute, &without) ? std::optional<int64_t>(static_cast<int64_t>(without)) : std::nullopt;
    }

    // Before DWARF 4 the place of a member was a little program: "add N to the address of the struct".
    void location(Dwarf_Attribute attribute, std::optional<uint64_t>& into) {
        if (into) return;
        const Dwarf_Half kind = form(attribute);
        if (is_constant(kind)) return number(attribute, into);
        if (kind == DW_FORM_exprloc) {
            Dwarf_Unsigned size = 0;
            Dwarf_Ptr bytes = nullptr;
            if (ask(debug_, dwarf_formexprloc, attribute, &size, &bytes)) into = addend(static_cast<const uint8_t*>(bytes), size);
        } else if (kind == DW_FORM_block1 || kind == DW_FORM_block2 || kind == DW_FORM_block4 || kind == DW_FORM_block) {
            Dwarf_Block* block = nullptr;
            if (!ask(debug_, dwarf_formblock, attribute, &block)) return;
            into = addend(static_cast<const uint8_t*>(block->bl_data), block->bl_len);
            dwarf_dealloc(debug_, block, DW_DLA_BLOCK);
        }
    }

    static std::optional<uint64_t> addend(const uint8_t* bytes, uint64_t size) {
        if (size < 2 || (bytes[0] != DW_OP_plus_uconst && bytes[0] != DW_OP_constu)) return std::nullopt;
        uint64_t value = 0;
        for (uint64_t i = 1; i < size && i <= 10; ++i) {
            if (7 * (i - 1) < 64) value |= uint64_t{bytes[i] & 0x7fu} << 7 * (i - 1);
            if (!(bytes[i] & 0x80)) return i + 1 == size ? std::optional<uint64_t>(value) : std::nullopt;
        }
        return std::nullopt;
    }

    Dwarf_Debug debug_;
};

} // namespace

Facts read_facts(Dwarf_Debug debug, const Die& die) {
    Facts facts;
    Reader reader(debug);
    reader.read(die, facts);
    std::optional<uint64_t> next = std::exchange(facts.origin, std::nullopt);
    for (unsigned i = 0; next && i < most_origins; ++i) {
        const Die origin = entry_at(debug, *next);
        if (!origin) break;
        reader.read(origin, facts);
        next = std::exchange(facts.origin, std::nullopt);
    }
    return facts;
}

} // namespace kcrash::dwarfcheck
