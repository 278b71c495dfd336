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
    // As in crash, numbers are as wide as a long of the target, unless -l.
    const unsigned bits = session.has_target() && !invocation.has("l") ? session.target().arch().word_size * 8 : 64;
    const uint64_t all = evaluate(invocation.raw, [&](std::string_view word) -> std::optional<uint64_t> {
        if (const auto number = parse_number(word)) return number;
        return session.has_target() ? session.target().symbol_address(word) : std::nullopt;
    });
    const uint64_t value = bits == 64 ? all : all & ((uint64_t{1} << bits) - 1);
    if (value != all && static_cast<uint64_t>(sign_extend(value, bits)) != all)
        throw Error(fmt::format("{:#x} does not fit into the {} bits of this target's long; eval -l computes in 64 bits", all, bits));
    const bool negative = value >> (bits - 1);
    const Fields fields{{"value", HexValue{value}},
                        {"size", size_words(value)},
                        {"decimal", value},
                        {"signed", negative ? fmt::format("({})", static_cast<int64_t>(sign_extend(value, bits))) : std::string{}},
                        {"octal", fmt::format("{:o}", value)},
                        {"binary", fmt::format("{:0{}b}", value, bits)},
                        {"bits", bits_set(value)}};
    session.report().record("number",
                            std::string("hexadecimal: {value}  {size}\n    decimal: {decimal}  {signed}\n      octal: {octal}\n"
                                        "     binary: {binary}") +
                                (invocation.has("b") ? "\n   bits set: {bits}" : ""),
                            fields);
}

constexpr Option options[] = {
    {"b", "", ArgumentKind::none, "also list the bits that are set, highest first"},
    {"l", "", ArgumentKind::none, "the value is 64 bits wide, also where the dump's longs have 32"},
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
in 64 bits and shown as wide as a long of the dump's kernel; a value with the highest bit set is also shown as a signed number. A
number that does not fit is an error.

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
