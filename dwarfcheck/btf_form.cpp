// SPDX-License-Identifier: GPL-3.0-or-later
// What pahole, which writes a kernel's BTF from its DWARF, changes on the way:
//
// - An array of arrays becomes one array: "int [2][3]" is "int [6]".
// - An enumerator has 32 bits, unless the BTF has a kind of its own for wider ones (Linux 6.0 can read it, 6.1's build does not
//   write it): only the low 32 bits are compared, as a signed number, since the older kind does not say whether it is one.
// - A floating-point type is an integer, unless pahole is told to write the newer kind.
// - A typedef of a struct that its unit only declares has no size; BTF resolves it to the struct that another unit defines.
#include "dwarfcheck/btf_form.hpp"
#include <charconv>

namespace kcrash::dwarfcheck {
namespace {

// "[3]" or "[]" at `at`: what is between, and where it ends. False: there is none.
bool take_dimension(std::string_view text, size_t at, uint64_t& count, size_t& end) {
    if (at >= text.size() || text[at] != '[') return false;
    end = text.find(']', at);
    if (end == std::string_view::npos) return false;
    count = 0;
    std::from_chars(text.data() + at + 1, text.data() + end, count);
    ++end;
    return true;
}

std::string flat_arrays(std::string_view text) {
    std::string flat;
    for (size_t at = 0; at < text.size();) {
        uint64_t count = 0, more = 0;
        size_t end = 0;
        if (!take_dimension(text, at, count, end)) {
            flat += text[at++];
            continue;
        }
        while (take_dimension(text, end, more, end)) count *= more;
        flat += count ? "[" + std::to_string(count) + "]" : "[]";
        at = end;
    }
    return flat;
}

} // namespace

Definition in_btf_form(Definition definition, Texts& texts) {
    if (definition.kind == TypeKind::typedef_type) definition.size = 0;
    if (definition.kind == TypeKind::enumeration) definition.is_signed = false;
    if (definition.kind == TypeKind::floating) definition.kind = TypeKind::integer;
    for (Field& field : definition.fields) {
        if (field.type.find("][") != std::string_view::npos) field.type = texts.keep(flat_arrays(field.type));
        if (definition.kind == TypeKind::typedef_type && field.name.empty()) field.size = 0;
        field.value = static_cast<int32_t>(field.value);
    }
    return definition;
}

} // namespace kcrash::dwarfcheck
