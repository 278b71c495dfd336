// SPDX-License-Identifier: GPL-3.0-or-later
// The text that a kernel leaves about itself for dump tools: KEY=VALUE lines (kernel/vmcore_info.c).
#pragma once
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace kcrash {

// Keys are looked up as they stand in the text: "OSRELEASE", "SYMBOL(_stext)", "NUMBER(phys_base)".
// Of duplicate keys the first wins. A last line without its newline was cut off and is not used.
class VmcoreInfo {
public:
    VmcoreInfo() = default;
    explicit VmcoreInfo(std::string text);
    bool empty() const { return values_.empty(); }
    const std::string& text() const { return text_; }
    std::optional<std::string_view> value(std::string_view key) const;
    std::optional<uint64_t> symbol(std::string_view name) const; // SYMBOL(name), bare hexadecimal
    std::optional<uint64_t> number(std::string_view name) const; // NUMBER(name), signed decimal or 0x
    std::optional<uint64_t> offset(std::string_view name) const; // OFFSET(struct.member), bytes
    std::optional<uint64_t> size(std::string_view name) const;   // SIZE(struct), bytes
    std::optional<uint64_t> length(std::string_view name) const; // LENGTH(array), elements
    std::optional<uint64_t> kernel_offset() const;               // KERNELOFFSET, hexadecimal bytes; KASLR

private:
    std::string text_;
    std::map<std::string, std::string, std::less<>> values_;
};

} // namespace kcrash
