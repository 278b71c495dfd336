// SPDX-License-Identifier: GPL-3.0-or-later
// bt: the words of a stack, as numbers or as what they point to.
#include "commands/bt_parts.hpp"
#include <fmt/format.h>

namespace kcrash::bt {
namespace {

struct WordText {
    CellValue value;
    bool is_text = false; // a name: left-aligned, where a number has 16 digits
};

std::string symbol_text(const Symbols& symbols, uint64_t value) {
    std::string name = symbols.describe(value, false);
    if (!name.empty() || !symbols.is_text(value)) return name;
    // Behind the last call of a function, which does not return.
    const auto match = symbols.containing(value - 1);
    return match ? fmt::format("{}+{}", match->symbol.name, match->offset + 1) : "";
}

WordText describe_word(const WordPrinter& printer, const StackWord& word) {
    if (!word.value) return {Missing{"unreadable"}, true};
    if (printer.words == Words::numbers) return {AddressValue{*word.value}, false};
    if (std::string name = symbol_text(printer.session.target().symbols(), *word.value); !name.empty())
        return {SymbolValue{*word.value, std::move(name)}, true};
    const std::string cache = printer.slabs ? slab_cache_name(*printer.slabs, *word.value) : "";
    if (cache.empty()) return {AddressValue{*word.value}, false};
    return {SymbolValue{*word.value, printer.words == Words::caches ? fmt::format("[{:x}:{}]", *word.value, cache) : fmt::format("[{}]", cache)}, true};
}

} // namespace

void WordPrinter::print(uint64_t begin, uint64_t end) const {
    const std::vector<StackWord> found = stack_words(session.target(), begin, end);
    for (size_t i = 0; i < found.size(); i += 2) {
        const WordText first = describe_word(*this, found[i]);
        std::string layout = fmt::format("{}{{address}}{}{{first{}}} ", indent, after_address, first.is_text ? ":<16" : ":016x");
        Fields fields{{"address", AddressValue{found[i].address}}, {"first", first.value}};
        if (i + 1 < found.size()) {
            const WordText second = describe_word(*this, found[i + 1]);
            layout += second.is_text ? "{second:<16} " : "{second:016x} ";
            fields.push_back({"second", second.value});
        }
        session.report().record("words", layout, fields);
    }
}

} // namespace kcrash::bt
