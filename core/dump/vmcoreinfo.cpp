// SPDX-License-Identifier: GPL-3.0-or-later
// Parsing of VMCOREINFO lines.
//
// The kernel formats each line by kind: SYMBOL and KERNELOFFSET are bare hexadecimal, NUMBER is a signed decimal
// unless an architecture appended it by hand with 0x, the others are decimal. A reader that takes
// NUMBER(phys_base)=-79691776 for hexadecimal gets a wrong but plausible address: QEMU 7.2 does.
#include "core/dump/vmcoreinfo.hpp"
#include <charconv>
#include <fmt/format.h>

namespace kcrash {
namespace {

std::optional<uint64_t> parse_unsigned(std::string_view text, int base) {
    if (text.starts_with("0x") || text.starts_with("0X")) {
        text.remove_prefix(2);
        base = 16;
    }
    uint64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
    if (text.empty() || error != std::errc() || end != text.data() + text.size()) return std::nullopt;
    return value;
}

std::optional<uint64_t> parse_number(std::string_view text) {
    if (!text.starts_with('-')) return parse_unsigned(text, 10);
    const auto magnitude = parse_unsigned(text.substr(1), 10);
    if (!magnitude || *magnitude > uint64_t{1} << 63) return std::nullopt;
    return uint64_t{0} - *magnitude;
}

} // namespace

VmcoreInfo::VmcoreInfo(std::string text) : text_(std::move(text)) {
    if (const size_t nul = text_.find('\0'); nul != std::string::npos) text_.resize(nul);
    std::string_view rest = text_;
    for (size_t end; (end = rest.find('\n')) != std::string_view::npos; rest.remove_prefix(end + 1)) {
        const std::string_view line = rest.substr(0, end);
        const size_t equals = line.find('=');
        if (equals == std::string_view::npos || equals == 0) continue;
        values_.emplace(line.substr(0, equals), line.substr(equals + 1));
    }
}

std::optional<std::string_view> VmcoreInfo::value(std::string_view key) const {
    const auto found = values_.find(key);
    if (found == values_.end()) return std::nullopt;
    return found->second;
}

std::optional<uint64_t> VmcoreInfo::symbol(std::string_view name) const {
    const auto text = value(fmt::format("SYMBOL({})", name));
    return text ? parse_unsigned(*text, 16) : std::nullopt;
}

std::optional<uint64_t> VmcoreInfo::number(std::string_view name) const {
    const auto text = value(fmt::format("NUMBER({})", name));
    return text ? parse_number(*text) : std::nullopt;
}

std::optional<uint64_t> VmcoreInfo::offset(std::string_view name) const {
    const auto text = value(fmt::format("OFFSET({})", name));
    return text ? parse_unsigned(*text, 10) : std::nullopt;
}

std::optional<uint64_t> VmcoreInfo::size(std::string_view name) const {
    const auto text = value(fmt::format("SIZE({})", name));
    return text ? parse_unsigned(*text, 10) : std::nullopt;
}

std::optional<uint64_t> VmcoreInfo::length(std::string_view name) const {
    const auto text = value(fmt::format("LENGTH({})", name));
    return text ? parse_unsigned(*text, 10) : std::nullopt;
}

std::optional<uint64_t> VmcoreInfo::kernel_offset() const {
    const auto text = value("KERNELOFFSET");
    return text ? parse_unsigned(*text, 16) : std::nullopt;
}

} // namespace kcrash
