// SPDX-License-Identifier: GPL-3.0-or-later
#include "dwarfcheck/quote.hpp"
#include <fmt/format.h>

namespace kcrash::dwarfcheck {

std::string visible(std::string_view bytes) {
    std::string text;
    for (const unsigned char c : bytes) {
        if (c >= 0x20 && c < 0x7f) text += static_cast<char>(c);
        else text += fmt::format("\\x{:02x}", c);
    }
    return text;
}

std::string quoted(std::string_view bytes) {
    std::string text = "\"";
    for (const char c : visible(bytes)) {
        if (c == '"' || c == '\\') text += '\\';
        text += c;
    }
    return text + "\"";
}

} // namespace kcrash::dwarfcheck
