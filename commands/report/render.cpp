// SPDX-License-Identifier: GPL-3.0-or-later
// Cells and layouts as text.
#include "commands/report/render.hpp"
#include <fmt/format.h>
#include <stdexcept>

namespace kcrash {
namespace {

template <typename... F> struct Overload : F... { using F::operator()...; };
template <typename... F> Overload(F...) -> Overload<F...>;

std::string missing_text(const Missing& missing) {
    const bool short_word = missing.reason.size() <= 12 && missing.reason.find(' ') == std::string::npos;
    return short_word && !missing.reason.empty() ? "(" + escape(missing.reason) + ")" : "?";
}

// The integer of a cell, for formats of numbers.
std::optional<uint64_t> cell_integer(const CellValue& value) {
    return std::visit(Overload{
                          [](uint64_t v) -> std::optional<uint64_t> { return v; },
                          [](AddressValue v) -> std::optional<uint64_t> { return v.value; },
                          [](HexValue v) -> std::optional<uint64_t> { return v.value; },
                          [](BytesValue v) -> std::optional<uint64_t> { return v.value; },
                          [](NanosecondsValue v) -> std::optional<uint64_t> { return v.value; },
                          [](const SymbolValue& v) -> std::optional<uint64_t> { return v.address; },
                          [](const auto&) -> std::optional<uint64_t> { return std::nullopt; },
                      },
                      value);
}

// A cell that cannot be formatted as a number keeps the width of the number's format: "08x" -> ">8".
std::string width_only(std::string_view format) {
    size_t at = format.find_first_of("123456789");
    const char align = !format.empty() && format[0] == '<' ? '<' : '>';
    if (at == std::string_view::npos) return "";
    const size_t end = format.find_first_not_of("0123456789", at);
    if (at > 0 && format[at - 1] == '.') return "";
    return align + std::string(format.substr(at, end == std::string_view::npos ? end : end - at));
}

} // namespace

std::string cell_text(const CellValue& value) {
    return std::visit(Overload{
                          [](Nothing) { return std::string(); },
                          [](const Missing& v) { return missing_text(v); },
                          [](bool v) { return std::string(v ? "yes" : "no"); },
                          [](const std::string& v) { return escape(v); },
                          [](AddressValue v) { return fmt::format("{:x}", v.value); },
                          [](HexValue v) { return fmt::format("{:x}", v.value); },
                          [](BytesValue v) { return fmt::format("{}", v.value); },
                          [](NanosecondsValue v) { return fmt::format("{}", v.value); },
                          [](const SymbolValue& v) { return v.text.empty() ? fmt::format("{:x}", v.address) : escape(v.text); },
                          [](auto v) { return fmt::format("{}", v); },
                      },
                      value);
}

std::string format_cell(const CellValue& value, std::string_view format) {
    if (format.empty()) return cell_text(value);
    std::string whole = "{:" + std::string(format) + "}";
    if (std::string_view("xXodf").find(format.back()) != std::string_view::npos) {
        if (const auto* real = std::get_if<double>(&value); real && format.back() == 'f')
            return fmt::format(fmt::runtime(whole), *real);
        if (const auto* number = std::get_if<int64_t>(&value)) return fmt::format(fmt::runtime(whole), *number);
        if (const auto number = cell_integer(value)) return fmt::format(fmt::runtime(whole), *number);
        whole = "{:" + width_only(format) + "}";
    }
    return fmt::format(fmt::runtime(whole), cell_text(value));
}

std::string fill_layout(std::string_view layout, const Fields& fields) {
    std::string out;
    for (size_t i = 0; i < layout.size(); ++i) {
        const char c = layout[i];
        if ((c == '{' || c == '}') && i + 1 < layout.size() && layout[i + 1] == c) {
            out += c;
            ++i;
            continue;
        }
        if (c != '{') {
            out += c;
            continue;
        }
        const size_t end = layout.find('}', i);
        if (end == std::string_view::npos) throw std::logic_error("layout without a closing brace: " + std::string(layout));
        const std::string_view inside = layout.substr(i + 1, end - i - 1);
        const std::string_view key = inside.substr(0, inside.find(':'));
        const Field* found = nullptr;
        for (const Field& field : fields)
            if (field.key == key) found = &field;
        if (!found) throw std::logic_error("layout names a field that is not there: " + std::string(key));
        out += format_cell(found->value, key.size() == inside.size() ? "" : inside.substr(key.size() + 1));
        i = end;
    }
    return out;
}

std::string pad(const std::string& text, int width, Align align, bool last) {
    if (align == Align::right) return fmt::format("{:>{}}", text, width);
    if (last) return align == Align::left ? text : pad(fmt::format("{:^{}}", text, width), 0, Align::left, true);
    return align == Align::left ? fmt::format("{:<{}}", text, width) : fmt::format("{:^{}}", text, width);
}

uint64_t count_missing(const Fields& fields) {
    uint64_t count = 0;
    for (const Field& field : fields) count += std::holds_alternative<Missing>(field.value);
    return count;
}

uint64_t count_missing(const ValueTree& tree) {
    uint64_t count = std::holds_alternative<Missing>(tree.value);
    for (const ValueTree& child : tree.children) count += count_missing(child);
    return count;
}

} // namespace kcrash
