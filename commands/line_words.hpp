// SPDX-License-Identifier: GPL-3.0-or-later
// The pieces of a line of commands.
#pragma once
#include <string_view>

namespace kcrash {

// Without the blanks around it.
inline std::string_view trim(std::string_view text) {
    constexpr std::string_view blanks = " \t\r\n";
    const size_t begin = text.find_first_not_of(blanks);
    if (begin == std::string_view::npos) return {};
    return text.substr(begin, text.find_last_not_of(blanks) - begin + 1);
}

// Up to the first of `ends`.
inline std::string_view first_word(std::string_view line, std::string_view ends = " \t") { return line.substr(0, line.find_first_of(ends)); }

} // namespace kcrash
