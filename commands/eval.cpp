// SPDX-License-Identifier: GPL-3.0-or-later
// eval: a number or an expression, in all bases.
#include "commands/expression.hpp"
#include "commands/session.hpp"
#include "core/error.hpp"
#include <fmt/format.h>

namespace kcrash {
namespace {

std::string size_words(uint64_t value) {
    if (value == 0) return {};
    for (const auto& [shift, unit] : {std::pair{30, "GB"}, {20, "MB"}, {10, "KB"}})
        if (value % (uint64_t{1} << shift) == 0) return fmt::format("({}{})", value >> shift, unit);
    return {};
}

std::string bits_set(uint64_t value) {
    std::string text;
    for (int bit = 63; bit >= 0; --bit)
        if (value >> bit & 1) text += fmt::format("{} ", bit);
    return text;
}

void run(Session& session, const Invocation& invocation) {
    if (invocation.raw.find_first_not_of(" \t") == std::string::npos) throw UsageError("no expression given: eval [-b] [-l] (x operator y) | value");
    const uint64_t value = evaluate(invocation.raw, [&](std::string_view word) -> std::optional<uint64_t> {
        if (const auto number = parse_number(word)) return number;
        return session.has_target() ? session.target().symbol_address(word) : std::nullopt;
    });
    const bool negative = value >> 63;
    const Fields fields{{"value", HexValue{value}},
                        {"size", size_words(value)},
                        {"decimal", value},
                        {"signed", negative ? fmt::format("({})", static_cast<int64_t>(value)) : std::string{}},
                        {"octal", fmt::format("{:o}", value)},
                        {"binary", fmt::format("{:064b}", value)},
                        {"bits", bits_set(value)}};
    session.report().record("number",
                            std::string("hexadecimal: {value}  {size}\n    decimal: {decimal}  {signed}\n      octal: {octal}\n"
                                        "     binary: {binary}") +
                                (invocation.has("b") ? "\n   bits set: {bits}" : ""),
                            fields);
}

constexpr Option options[] = {
    {"b", "", ArgumentKind::none, "also list the bits that are set, highest first"},
    {"l", "", ArgumentKind::none, "the value is 64 bits wide; it always is, so this changes nothing"},
};

} // namespace

extern const Command eval_command;
const Command eval_command = {
    .name = "eval",
    .summary = "evaluate an expression, show it in all bases",
    .synopsis = "[-b] [-l] (x operator y) | value",
    .options = options,
    .operands = ArgumentKind::text,
    .needs = needs_nothing,
    .help = R"help(Numbers are decimal, or hexadecimal with 0x or when they contain one of the digits a to f. They may end in k, m or g.
Symbols stand for their addresses. Operators are C's: + - * / % << >> & ^ |, unary - and ~, parentheses. Everything is computed
in 64 bits; a value with the highest bit set is also shown as a signed number. A number that does not fit is an error.

Put an expression with | or > into parentheses: outside of them they belong to the shell.

Examples:
  A size:
    eval 128m
  An expression, and the bits of its value:
    eval -b (1 << 12 | 3)
  The distance of two symbols:
    eval _etext - _stext
)help",
    .run = run,
    .raw_arguments = true,
    .in_minimal = true,
};

} // namespace kcrash
