// SPDX-License-Identifier: GPL-3.0-or-later
// How far anonymous types unfold is gdb's rule: one level, and members without a name do not count as a level. So
//
//     struct { union { struct { A } }; }    unfolds as deep as it goes
//     union { struct {...} split; } from    `split` is a second level
#include "commands/type_text.hpp"
#include <fmt/format.h>

namespace kcrash {

namespace {

constexpr unsigned deepest = 32;

std::string_view tag_keyword(const Type& type) {
    switch (type.kind) {
    case TypeKind::structure: return "struct";
    case TypeKind::union_type: return "union";
    case TypeKind::enumeration: return "enum";
    default: return "typedef";
    }
}

// "enum {A, B = 4}": values that do not follow from the one before are told.
std::string enum_body(const Type& type) {
    std::string text = "enum " + (type.name.empty() ? std::string() : std::string(type.name) + " ") + "{";
    int64_t expected = 0;
    for (const Enumerator& e : type.enumerators) {
        if (text.back() != '{') text += ", ";
        text += e.name;
        if (e.value != expected) text += fmt::format(" = {}", e.value);
        expected = static_cast<int64_t>(static_cast<uint64_t>(e.value) + 1);
    }
    return text + "}";
}

std::string bits(const TypeMember& m) { return m.bit_size ? fmt::format(" : {}", m.bit_size) : std::string(); }

// What a member's type is in the end, when that has no name of its own: an anonymous struct, union or enum.
const Type* anonymous_core(const Type* type) {
    for (unsigned i = 0; type && i < deepest; ++i) {
        switch (type->kind) {
        case TypeKind::array: case TypeKind::pointer: case TypeKind::const_type: case TypeKind::volatile_type:
        case TypeKind::restrict_type: type = type->target; continue;
        case TypeKind::structure: case TypeKind::union_type: case TypeKind::enumeration: return type->name.empty() ? type : nullptr;
        default: return nullptr;
        }
    }
    return nullptr;
}

class Lines {
public:
    explicit Lines(std::vector<DefinitionLine>& out) : out_(out) {}

    void members(const Type& type, uint64_t base, unsigned depth, int show, bool direct) {
        if (depth > deepest) return;
        if (type.members.empty()) add({depth, "<no data fields>", std::nullopt, nullptr, direct});
        for (const TypeMember& m : type.members) {
            const uint64_t offset = base + m.offset();
            const int inner = m.name.empty() ? show : show - 1;
            const Type* core = anonymous_core(m.type);
            if (core && core->kind != TypeKind::enumeration && inner >= 0) unfold(m, *core, offset, depth, inner, direct);
            else add({depth, declaration(m, core, inner), direct ? std::optional(offset) : std::nullopt, &m, direct});
        }
    }

private:
    void add(DefinitionLine line) { out_.push_back(std::move(line)); }

    // declare() writes "struct {...}" where a type has no name; the part after it belongs behind the closing brace.
    static std::string after_braces(const TypeMember& m) {
        const std::string whole = declare(m.type, m.name);
        const size_t at = whole.find("{...}");
        return at == std::string::npos ? whole : whole.substr(at + 5);
    }

    void unfold(const TypeMember& m, const Type& core, uint64_t offset, unsigned depth, int show, bool direct) {
        const bool inside_is_direct = direct && m.name.empty();
        const std::string whole = declare(m.type, m.name);
        add({depth, whole.substr(0, whole.find("{...}")) + "{", std::nullopt, nullptr, direct});
        members(core, offset, depth + 1, show, inside_is_direct);
        const bool shown = direct && !m.name.empty();
        add({depth, "}" + after_braces(m) + bits(m) + ";", shown ? std::optional(offset) : std::nullopt, m.name.empty() ? nullptr : &m, direct});
    }

    static std::string declaration(const TypeMember& m, const Type* core, int show) {
        std::string text = declare(m.type, m.name);
        if (core && core->kind == TypeKind::enumeration && show >= 0)
            if (const size_t at = text.find("enum {...}"); at != std::string::npos) text.replace(at, 10, enum_body(*core));
        return text + bits(m) + ";";
    }

    std::vector<DefinitionLine>& out_;
};

std::string number(uint64_t value, unsigned radix) { return radix == 16 ? fmt::format("{:#x}", value) : std::to_string(value); }

// "   [8] ": as wide as the largest offset of the type can be.
std::string offset_column(const DefinitionLine& line, uint64_t size, const DefinitionStyle& style) {
    const size_t width = number(size, style.radix).size() + 4;
    if (!line.offset) return std::string(width + 1, ' ');
    if (style.address) return fmt::format("  [{:x}] ", *style.address + *line.offset);
    return fmt::format("{:>{}} ", "[" + number(*line.offset, style.radix) + "]", width);
}

void print_line(Report& report, const DefinitionLine& line, uint64_t size, const DefinitionStyle& style) {
    const bool columns = style.offsets || style.address;
    const std::string start = columns ? offset_column(line, size, style) : "    ";
    const std::string text = start + std::string(4 * line.depth, ' ') + line.text;
    if (!line.member) return report.text(text, true);
    Fields fields{{"name", std::string(line.member->name)},
                  {"type", type_name(line.member->type)},
                  {"declaration", line.text},
                  {"depth", uint64_t{line.depth}}};
    if (line.offset) fields.push_back({"offset", *line.offset});
    if (line.member->bit_size) fields.push_back({"bits", uint64_t{line.member->bit_size}});
    if (style.address && line.offset) fields.push_back({"address", AddressValue{*style.address + *line.offset}});
    report.record("member", literal(text), fields);
}

void print_compound(Report& report, const Type& type, std::string_view head, std::string_view tail, const DefinitionStyle& style) {
    report.begin("type", literal(head), {{"name", std::string(type.name)}, {"type", std::string(tag_keyword(type))}, {"size", type.size}});
    for (const DefinitionLine& line : definition_lines(type)) print_line(report, line, type.size, style);
    report.end();
    report.text(tail, true);
    report.text("SIZE: " + number(type.size, style.radix), true);
}

void print_enum(Report& report, const Type& type) {
    report.begin("type", literal(fmt::format("enum {} {{", type.name)), {{"name", std::string(type.name)}, {"type", std::string("enum")}, {"size", type.size}});
    for (const Enumerator& e : type.enumerators) {
        const CellValue value = type.is_signed ? CellValue(e.value) : CellValue(static_cast<uint64_t>(e.value));
        report.record("enumerator", "  {name} = {value}", {{"name", std::string(e.name)}, {"value", value}});
    }
    report.end();
    report.text("};", true);
}

void print_typedef(Report& report, const Type& type, const DefinitionStyle& style) {
    const Type* bare = strip(&type);
    if (is_compound(bare)) {
        const std::string name = bare->name.empty() ? std::string() : std::string(bare->name) + " ";
        return print_compound(report, *bare, fmt::format("typedef {} {}{{", tag_keyword(*bare), name), fmt::format("}} {};", type.name), style);
    }
    const std::string of = bare->kind == TypeKind::enumeration ? enum_body(*bare) : type_name(bare);
    report.record("type", literal(fmt::format("typedef {} {};\nSIZE: {}", of, type.name, number(bare->size, style.radix))),
                  {{"name", std::string(type.name)}, {"type", std::string("typedef")}, {"of", of}, {"size", bare->size}});
}

} // namespace

std::string literal(std::string_view text) {
    std::string out;
    for (const char c : text) out.append(c == '{' || c == '}' ? 2 : 1, c);
    return out;
}

std::vector<DefinitionLine> definition_lines(const Type& compound) {
    std::vector<DefinitionLine> lines;
    Lines(lines).members(compound, 0, 0, 1, true);
    return lines;
}

void print_definition(Report& report, const Type& type, const DefinitionStyle& style) {
    if (type.kind == TypeKind::enumeration) return print_enum(report, type);
    if (type.kind == TypeKind::typedef_type) return print_typedef(report, type, style);
    if (is_compound(&type)) return print_compound(report, type, fmt::format("{} {} {{", tag_keyword(type), type.name), "}", style);
    report.record("type", "SIZE: {size}", {{"name", type_name(&type)}, {"size", type.size}});
}

bool print_member_definition(Report& report, const Type& type, std::string_view path, const DefinitionStyle& style) {
    const Type& outer = *strip(&type);
    const auto found = find_member(&outer, path);
    if (!found) return false;
    report.begin("type", literal(fmt::format("{} {} {{", tag_keyword(outer), outer.name)),
                 {{"name", std::string(outer.name)}, {"type", std::string(tag_keyword(outer))}, {"size", outer.size}});
    DefinitionStyle with_offsets = style;
    with_offsets.offsets = true;
    bool printed = false;
    if (path.find_first_of(".[") == std::string_view::npos) {
        // The member as it stands in the whole definition; an anonymous struct with its body.
        const auto lines = definition_lines(outer);
        for (size_t i = 0; i < lines.size() && !printed; ++i) {
            if (!lines[i].member || !lines[i].direct || lines[i].member->name != path) continue;
            size_t first = i;
            if (lines[i].text.starts_with('}'))
                while (first > 0 && (lines[first].depth != lines[i].depth || first == i)) --first;
            for (; first <= i; ++first) print_line(report, lines[first], outer.size, with_offsets);
            printed = true;
        }
    }
    if (!printed) {
        TypeMember member{path, found->type, found->bit_offset, found->bit_size};
        print_line(report, {0, declare(found->type, path) + bits(member) + ";", found->bit_offset / 8, &member, true}, outer.size, with_offsets);
    }
    report.end();
    report.text("}", true);
    return true;
}

} // namespace kcrash
