// SPDX-License-Identifier: GPL-3.0-or-later
// Integer expressions of the command line: (jiffies + 8), 4k << 2.
#pragma once
#include <cstdint>
#include <functional>
#include <optional>
#include <string_view>

namespace kcrash {

// C's operators and precedence on 64 bits: | ^ & << >> + - * / %, unary - and ~, parentheses. `resolve` gives the value of
// a word (number or name), or nothing. UsageError "invalid expression: ..." says what is wrong with it.
uint64_t evaluate(std::string_view expression, const std::function<std::optional<uint64_t>(std::string_view word)>& resolve);

// A number as crash reads one: decimal, 0x, hex when it has a hex digit that is not decimal; suffix k, m or g (also with a
// "b" behind it). Nothing when it is none, or does not fit.
std::optional<uint64_t> parse_number(std::string_view word);
// Hex with or without 0x. Nothing when it is none, or does not fit.
std::optional<uint64_t> parse_hex(std::string_view word);

} // namespace kcrash
