// SPDX-License-Identifier: GPL-3.0-or-later
// whatis: what a type, a symbol or an expression is; which types have a size or a member.
#include "commands/c_expression.hpp"
#include "commands/expression.hpp"
#include "commands/session.hpp"
#include "commands/type_text.hpp"
#include "core/error.hpp"
#include "core/interrupt.hpp"
#include <algorithm>
#include <fmt/format.h>
#include <set>

namespace kcrash {

extern const Command whatis_command;

namespace {

constexpr unsigned deepest = 16; // structs embedded in each other

struct SizeRange {
    uint64_t least = 0, most = UINT64_MAX;
};

SizeRange parse_range(const Session& session, std::string_view word) {
    const size_t dash = word.find('-');
    SizeRange range;
    range.least = session.number(word.substr(0, dash));
    range.most = dash == std::string_view::npos ? range.least : session.number(word.substr(dash + 1));
    if (range.most < range.least) throw UsageError(fmt::format("invalid range: {}", word));
    return range;
}

// Does a member's type carry the text in its name? Embedded structs are looked into, pointers are not followed, and the
// parameters of functions do not count.
bool mentions(const Type& compound, std::string_view text, unsigned depth) {
    if (depth > deepest) return false;
    for (const TypeMember& m : compound.members) {
        const Type* core = strip_qualifiers(m.type);
        bool embedded = true;
        for (unsigned i = 0; core && i < deepest && (core->kind == TypeKind::array || core->kind == TypeKind::pointer); ++i) {
            embedded = embedded && core->kind == TypeKind::array;
            core = strip_qualifiers(core->target);
        }
        if (!core) continue;
        if (core->kind != TypeKind::function && type_name(core).find(text) != std::string::npos) return true;
        if (embedded && is_compound(core) && mentions(*strip(core), text, depth + 1)) return true;
    }
    return false;
}

void list_types(Session& session, const Invocation& invocation) {
    const auto range_word = invocation.value("r");
    const SizeRange range = range_word ? parse_range(session, *range_word) : SizeRange{};
    const std::string member = invocation.value("m").value_or("");
    std::set<std::pair<uint64_t, std::string>> found;
    for (const auto& source : session.target().types().sources()) {
        if (!found.empty()) break; // DWARF would say the same again, only slower
        source->each([&](const Type& type) {
            check_interrupt();
            if (type.size < range.least || type.size > range.most) return true;
            if (type.kind == TypeKind::typedef_type && !strip(&type)->name.empty()) return true; // listed by its tag
            if (is_compound(&type) && (member.empty() || mentions(*strip(&type), member, 0))) found.emplace(type.size, std::string(type.name));
            return true;
        });
    }
    if (found.empty()) return session.report().text("(none found)");
    const size_t width = std::max<size_t>(4, std::to_string(found.rbegin()->first).size());
    const Column columns[] = {{"size", "SIZE", static_cast<int>(width), Align::right}, {"type", "TYPE", 0, Align::left, "  "}};
    session.report().table("type-size", columns);
    for (const auto& [size, name] : found) session.report().row({size, name});
}

const Type* find_type(const Types& types, std::string_view text) {
    for (const TypeKind kind : {TypeKind::structure, TypeKind::union_type, TypeKind::enumeration, TypeKind::typedef_type})
        if (const Type* found = types.find(kind, text)) return found;
    return types.parse(text);
}

bool as_type(Session& session, std::string_view text, const DefinitionStyle& style) {
    const Types& types = session.target().types();
    if (const Type* type = find_type(types, text)) {
        print_definition(session.report(), *type, style);
        return true;
    }
    const size_t dot = text.find('.');
    if (dot == std::string_view::npos) return false;
    const Type* outer = types.parse(text.substr(0, dot));
    return outer && is_compound(outer) && print_member_definition(session.report(), *outer, text.substr(dot + 1), style);
}

bool as_name(Session& session, std::string_view text) {
    const Target& target = session.target();
    const Types& types = target.types();
    const bool symbol = target.symbol_address(text).has_value();
    const Type* type = nullptr;
    if (symbol) {
        type = types.of_variable(text);
        if (!type) type = types.of_function(text);
    }
    if (type) {
        session.report().record("declaration", literal(declare(type, text)) + ";",
                                {{"name", std::string(text)}, {"type", type_name(type)}, {"size", type->size}});
        return true;
    }
    const auto value = types.enumerator(text);
    if (!value) return false;
    const Type* enumeration = types.enumeration_of(text);
    const std::string name = enumeration && !enumeration->name.empty() ? std::string(enumeration->name) : "{...}";
    session.report().record("enumerator", literal("enum " + name) + " = {value}",
                            {{"name", std::string(text)}, {"enum", name}, {"value", *value}});
    return true;
}

std::string trimmed(std::string_view text) {
    const size_t first = text.find_first_not_of(" \t");
    if (first == std::string_view::npos) return {};
    return std::string(text.substr(first, text.find_last_not_of(" \t") + 1 - first));
}

void run(Session& session, const Invocation& invocation) {
    if (invocation.has("r") || invocation.has("m")) return list_types(session, invocation);
    std::string text;
    for (const std::string& word : invocation.operands) text += (text.empty() ? "" : " ") + word;
    text = trimmed(text);
    if (text.empty()) throw UsageError(fmt::format("the name of a type or symbol is missing\n{}", usage(whatis_command)));
    const DefinitionStyle style{.offsets = invocation.has("o"), .address = std::nullopt, .radix = session.settings.radix};
    if (as_type(session, text, style) || as_name(session, text)) return;
    ExpressionContext context{.target = &session.target()};
    try {
        const Object object = evaluate_c(text, context);
        session.report().record("declaration", literal(type_name(object.type())), {{"expression", text}, {"type", type_name(object.type())}, {"size", object.type()->size}});
    } catch (const LookupError& error) {
        throw LookupError(fmt::format("cannot resolve: {}: {}", text, error.what()));
    }
}

constexpr Option options[] = {
    {"o", "", ArgumentKind::none, "offsets of the members"},
    {"r", "size|range", ArgumentKind::number, "list the structs and unions of this size, or of sizes in a range: 64, 8-16"},
    {"m", "member", ArgumentKind::type, "list the structs and unions that hold something whose type's name contains this"},
};

} // namespace

const Command whatis_command = {
    .name = "whatis",
    .summary = "what a type, a symbol or an expression is",
    .synopsis = "[-o] type | symbol | expression | [-r size|range] [-m member]",
    .options = options,
    .operands = ArgumentKind::type,
    .needs = needs_target | needs_types,
    .help = R"help(Types are shown with their definition and size, enumerations with their values, variables and functions with
their declaration, expressions with their type.

-r and -m list structs and unions by size; with -m only those with a member (also one of an embedded struct) whose
type's name contains the given text.

Examples:
  A struct with the offsets of its members:
    whatis -o list_head
  One member:
    whatis task_struct.pid
  A function and a variable:
    whatis schedule
    whatis jiffies
  Structs of 16 to 24 bytes in which a pid_t lies:
    whatis -r 16-24 -m pid_t
)help",
    .run = run,
};

} // namespace kcrash
