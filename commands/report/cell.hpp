// SPDX-License-Identifier: GPL-3.0-or-later
// A typed value that a command says. How it looks is the renderer's business.
#pragma once
#include "core/fault.hpp"
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <variant>
#include <vector>

namespace kcrash {

struct Missing {
    std::string reason;
}; // could not be read: shown in the cell, counted at the end
struct AddressValue {
    uint64_t value;
}; // text: bare hex as crash prints it; JSON "0xffff..."
struct HexValue {
    uint64_t value;
}; // a number people read in hex: flags, masks; JSON "0x..." as an address
struct BytesValue {
    uint64_t value;
}; // a size in bytes
struct NanosecondsValue {
    uint64_t value;
}; // a time span
struct SymbolValue {
    uint64_t address;
    std::string text;
};                 // "schedule+68"
struct Nothing {}; // not applicable: text empty, JSON null

// Strings from the dump go in as they are: the renderer escapes them.
using CellValue = std::variant<Nothing, Missing, bool, int64_t, uint64_t, double, std::string, AddressValue, HexValue, BytesValue,
                               NanosecondsValue, SymbolValue>;

struct Field {
    std::string_view key; // JSON member name; stable
    CellValue value;
};
using Fields = std::vector<Field>;

// The value, or Missing. `reason` is best one word (name(fault)): text shows it in the cell, longer ones as "?".
template <typename T> CellValue cell_or_missing(const std::optional<T>& value, std::string_view reason = "unreadable") {
    if (!value) return Missing{std::string(reason)};
    if constexpr (std::is_same_v<T, bool>) return *value;
    else if constexpr (std::is_integral_v<T> && std::is_signed_v<T>) return static_cast<int64_t>(*value);
    else if constexpr (std::is_integral_v<T>) return static_cast<uint64_t>(*value);
    else if constexpr (std::is_floating_point_v<T>) return static_cast<double>(*value);
    else return CellValue{*value};
}

} // namespace kcrash
