// SPDX-License-Identifier: GPL-3.0-or-later
#include "commands/memory_rows.hpp"
#include "commands/type_text.hpp"
#include "core/interrupt.hpp"
#include <algorithm>
#include <fmt/format.h>

namespace kcrash {

namespace {

constexpr uint64_t row_bytes = 16;
constexpr uint64_t piece = 4096; // a fault is looked for in steps of this: no page is smaller

std::string word_text(const MemoryRows& rows, uint64_t value) {
    const unsigned bits = rows.unit * 8;
    switch (rows.base) {
    case MemoryRows::Base::hex: return fmt::format("{:0{}x}", value, rows.unit * 2);
    case MemoryRows::Base::decimal: {
        constexpr int widths[] = {0, 3, 5, 0, 12, 0, 0, 0, 16};
        return fmt::format("{:{}}", sign_extend(value, bits), widths[rows.unit]);
    }
    case MemoryRows::Base::unsigned_decimal: {
        constexpr int widths[] = {0, 3, 5, 0, 12, 0, 0, 0, 20};
        return fmt::format("{:{}}", value, widths[rows.unit]);
    }
    }
    return {};
}

std::string printable(std::span<const std::byte> bytes) {
    std::string text;
    for (const std::byte byte : bytes) {
        const auto c = static_cast<char>(byte);
        text += c >= ' ' && c < 127 ? c : '.';
    }
    return text;
}

class Printer {
public:
    Printer(Report& report, const MemoryRows& rows) : report_(report), rows_(rows) {}

    void row(uint64_t address, std::span<const std::byte> bytes) {
        std::string line = fmt::format("{:>16x}:  ", address);
        std::vector<Field> words;
        size_t width = 0;
        for (size_t at = 0; at < bytes.size(); at += rows_.unit) {
            const auto part = bytes.subspan(at, rows_.unit);
            const ByteOrder order = rows_.network_order && rows_.unit < 8 ? ByteOrder::big : rows_.order;
            const uint64_t value = load_unsigned(part, order);
            std::string text = rows_.name_of && rows_.unit == 8 ? rows_.name_of(value) : std::string();
            text = text.empty() ? word_text(rows_, value) : fmt::format("{:<16}", text);
            width = std::max(width, text.size() + 1);
            line += text + " ";
        }
        if (rows_.ascii) {
            const size_t missing = (row_bytes - bytes.size()) / rows_.unit;
            line += std::string(missing * width, ' ') + "  " + printable(bytes);
        }
        std::string hex;
        for (const std::byte byte : bytes) hex += fmt::format("{:02x}", static_cast<unsigned>(byte));
        report_.record("memory", literal(line), {{"address", AddressValue{address}}, {"bytes", hex}, {"ascii", printable(bytes)}});
    }

    void unreadable(uint64_t address, uint64_t bytes, Fault fault) {
        report_.record("memory", literal(fmt::format("{:>16x}:  ", address)) + "({reason}, {size} bytes)",
                       {{"address", AddressValue{address}}, {"size", bytes}, {"reason", Missing{std::string(describe(fault))}}});
    }

private:
    Report& report_;
    const MemoryRows& rows_;
};

} // namespace

Fault print_memory(Report& report, const MemoryRows& rows, uint64_t address, uint64_t count) {
    Printer printer(report, rows);
    const uint64_t total = count * rows.unit;
    uint64_t bad_begin = 0, bad_bytes = 0;
    Fault bad = Fault::none;
    bool any = false;
    const auto say_bad = [&] {
        if (bad_bytes) printer.unreadable(bad_begin, bad_bytes, bad);
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
            printer.row(at, into);
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
