// SPDX-License-Identifier: GPL-3.0-or-later
// Rows of memory, and what could not be read between them.
#include "commands/memory_rows.hpp"
#include "core/interrupt.hpp"
#include <algorithm>
#include <fmt/format.h>

namespace kcrash {

namespace {

constexpr uint64_t row_bytes = 16;
constexpr uint64_t piece = 4096; // a fault is looked for in steps of this: no page is smaller

// Of decimal numbers, as crash has it: characters.
int decimal_width(unsigned unit, bool is_signed) {
    switch (unit) {
    case 1: return 3;
    case 2: return 5;
    case 4: return 12;
    default: return is_signed ? 15 : 20;
    }
}

std::string word_text(const MemoryRows& rows, uint64_t value) {
    switch (rows.base) {
    case MemoryRows::Base::decimal: return fmt::format("{:>{}}", sign_extend(value, rows.unit * 8), decimal_width(rows.unit, true));
    case MemoryRows::Base::unsigned_decimal: return fmt::format("{:>{}}", value, decimal_width(rows.unit, false));
    case MemoryRows::Base::hex: break;
    }
    const std::string name = rows.name_of ? rows.name_of(value) : std::string();
    return name.empty() ? fmt::format("{:0{}x}", value, rows.unit * 2) : fmt::format("{:<16}", name);
}

void print_unreadable(Report& report, uint64_t address, uint64_t bytes, Fault fault) {
    report.record("unreadable", "{address:>16}:  ({reason}, {size} bytes)",
                  {{"address", AddressValue{address}}, {"size", bytes}, {"reason", Missing{std::string(describe(fault))}}});
}

} // namespace

std::string printable(std::span<const std::byte> bytes) {
    std::string text;
    for (const std::byte byte : bytes) {
        const auto c = static_cast<char>(byte);
        text += c >= ' ' && c <= '~' ? c : '.';
    }
    return text;
}

void print_memory_row(Report& report, const MemoryRows& rows, uint64_t address, std::span<const std::byte> bytes) {
    std::string values, list;
    for (size_t at = 0; at < bytes.size(); at += rows.unit) {
        const uint64_t value = load_unsigned(bytes.subspan(at, rows.unit), rows.order);
        values += word_text(rows, value) + " ";
        list += fmt::format("{}0x{:x}", list.empty() ? "" : " ", value);
    }
    std::string layout = "{address:>16}:  {text}";
    if (rows.ascii && rows.base == MemoryRows::Base::hex && !rows.name_of) {
        values.resize(std::max<size_t>(values.size(), row_bytes / rows.unit * (rows.unit * 2 + 1)), ' ');
        layout += "  {ascii}";
    }
    report.record("memory", layout,
                  {{"address", AddressValue{address}}, {"size", uint64_t{rows.unit}}, {"values", list}, {"text", values}, {"ascii", printable(bytes)}});
}

Fault print_memory(Report& report, const MemoryRows& rows, uint64_t address, uint64_t count) {
    const uint64_t total = count * rows.unit;
    uint64_t bad_begin = 0, bad_bytes = 0;
    Fault bad = Fault::none;
    bool any = false;
    const auto say_bad = [&] {
        if (bad_bytes) print_unreadable(report, bad_begin, bad_bytes, bad);
        bad_bytes = 0;
    };
    for (uint64_t done = 0; done < total;) {
        check_interrupt();
        std::byte bytes[row_bytes];
        const uint64_t at = address + done;
        const uint64_t n = std::min(row_bytes, total - done);
        const std::span<std::byte> into(bytes, n);
        const Fault fault = rows.read(at, into);
        if (fault == Fault::none) {
            say_bad();
            any = true;
            print_memory_row(report, rows, at, into);
            done += n;
            continue;
        }
        // Nothing more is readable before the next page; the row that crosses into it is told as unreadable too.
        uint64_t skip = std::max(n, (piece - at % piece + row_bytes - 1) / row_bytes * row_bytes);
        skip = std::min(skip, total - done);
        if (bad_bytes && fault != bad) say_bad();
        if (bad_bytes == 0) bad_begin = at, bad = fault;
        bad_bytes += skip;
        done += skip;
    }
    if (!any) return bad;
    say_bad();
    return Fault::none;
}

} // namespace kcrash
