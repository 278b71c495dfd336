// SPDX-License-Identifier: GPL-3.0-or-later
// What comes from a dump must not drive a terminal: controls become visible.
#include "commands/report/report.hpp"
#include <fmt/format.h>
#include <optional>

namespace kcrash {
namespace {

// One code point of UTF-8 at the start of `bytes`; nothing for a byte that does not start a valid, shortest sequence.
std::optional<std::pair<uint32_t, size_t>> decode(std::string_view bytes) {
    const auto byte = [&](size_t i) { return static_cast<uint8_t>(bytes[i]); };
    const uint8_t first = byte(0);
    if (first < 0x80) return std::pair{uint32_t{first}, size_t{1}};
    const size_t length = first >= 0xf0 && first <= 0xf4  ? 4
                          : first >= 0xe0 && first < 0xf0 ? 3
                          : first >= 0xc2 && first < 0xe0 ? 2
                                                          : 0;
    if (length == 0 || bytes.size() < length) return std::nullopt;
    uint32_t point = first & (0xffU >> (length + 1));
    for (size_t i = 1; i < length; ++i) {
        if ((byte(i) & 0xc0) != 0x80) return std::nullopt;
        point = point << 6 | (byte(i) & 0x3fU);
    }
    const uint32_t least = length == 2 ? 0x80 : length == 3 ? 0x800 : 0x10000;
    if (point < least || point > 0x10ffff || (point >= 0xd800 && point <= 0xdfff)) return std::nullopt;
    return std::pair{point, length};
}

// Controls, and those code points that reorder or hide the text around them.
bool must_be_shown(uint32_t point) {
    if (point < 0x20 || (point >= 0x7f && point < 0xa0)) return true;
    if (point == 0x61c || point == 0xfeff) return true;
    return (point >= 0x200b && point <= 0x200f) || (point >= 0x2028 && point <= 0x202e) || (point >= 0x2060 && point <= 0x206f);
}

} // namespace

std::string escape(std::string_view bytes, bool multiline) {
    std::string out;
    out.reserve(bytes.size());
    while (!bytes.empty()) {
        const auto decoded = decode(bytes);
        if (!decoded) {
            fmt::format_to(std::back_inserter(out), "\\x{:02x}", static_cast<uint8_t>(bytes[0]));
            bytes.remove_prefix(1);
            continue;
        }
        const auto [point, length] = *decoded;
        const bool layout = multiline && (point == '\n' || point == '\t');
        if (!must_be_shown(point) || layout) out.append(bytes.substr(0, length));
        else if (point < 0x100) fmt::format_to(std::back_inserter(out), "\\x{:02x}", point);
        else fmt::format_to(std::back_inserter(out), "\\u{:04x}", point);
        bytes.remove_prefix(length);
    }
    return out;
}

} // namespace kcrash
