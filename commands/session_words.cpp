// SPDX-License-Identifier: GPL-3.0-or-later
// What words on a command line mean: tasks, numbers, addresses, CPUs; the same for all commands.
#include "commands/expression.hpp"
#include "commands/session.hpp"
#include <algorithm>
#include <fmt/format.h>

namespace kcrash {
namespace {

// Symbols whose names contain the word, for "possible alternatives".
std::string alternatives(const Symbols& symbols, std::string_view word) {
    constexpr size_t most = 10;
    std::vector<std::string_view> names;
    const SymbolTable& table = symbols.kernel();
    for (size_t i = 0; i < table.size() && names.size() < most; ++i) {
        const std::string_view name = table.at(i).name;
        if (name.find(word) != std::string_view::npos && std::find(names.begin(), names.end(), name) == names.end())
            names.push_back(name);
    }
    if (names.empty()) return "  (none found)";
    std::string text;
    for (const std::string_view name : names) text += fmt::format("{}  {}", text.empty() ? "" : "\n", name);
    return text;
}

bool is_expression(std::string_view word) { return word.size() >= 2 && word.front() == '(' && word.back() == ')'; }

// One end of a range, or one CPU.
unsigned parse_cpu(std::string_view text, std::string_view list) {
    const auto value = parse_number(text);
    if (!value || *value > UINT32_MAX || text.find_first_not_of("0123456789") != std::string_view::npos)
        throw UsageError(fmt::format("invalid cpu list: {}: write it like 1,3,5-7 or \"all\"", list));
    return static_cast<unsigned>(*value);
}

} // namespace

const Task* Session::find_task(std::string_view word) const {
    const bool decimal = word.find_first_not_of("0123456789") == std::string_view::npos;
    if (const auto pid = parse_number(word); pid && decimal && *pid <= INT32_MAX)
        if (const auto found = tasks().by_pid(static_cast<int64_t>(*pid)); !found.empty()) return found.front();
    const auto hex = parse_hex(word);
    if (!hex) {
        const auto symbol = target().symbols().address(word); // init_task
        return symbol ? tasks().by_address(*symbol) : nullptr;
    }
    if (const Task* task = tasks().by_address(*hex)) return task;
    if (*hex > INT32_MAX) return nullptr;
    const auto found = tasks().by_pid(static_cast<int64_t>(*hex));
    return found.empty() ? nullptr : found.front();
}

const Task& Session::task(std::string_view word) const {
    const Task* found = find_task(word);
    if (!found) throw UsageError(fmt::format("invalid task or pid value: {}", word));
    return *found;
}

uint64_t Session::number(std::string_view word) const {
    if (is_expression(word)) return evaluate(word, [&](std::string_view name) { return try_address(name); });
    const bool negative = word.starts_with('-');
    const auto value = parse_number(negative ? word.substr(1) : word);
    if (!value) throw UsageError(fmt::format("invalid number: {}", word));
    return negative ? 0 - *value : *value;
}

std::optional<uint64_t> Session::symbol_plus_offset(std::string_view word) const {
    const size_t sign = word.find_first_of("+-");
    const auto base = target().symbols().address(word.substr(0, sign));
    if (!base || sign == std::string_view::npos) return base;
    const auto offset = parse_number(word.substr(sign + 1));
    if (!offset) return std::nullopt;
    return word[sign] == '+' ? *base + *offset : *base - *offset;
}

std::optional<uint64_t> Session::try_address(std::string_view word) const {
    if (is_expression(word)) {
        // Inside parentheses numbers are decimal unless they look like hex, as eval reads them.
        const auto resolve = [&](std::string_view name) -> std::optional<uint64_t> {
            if (has_target())
                if (const auto symbol = symbol_plus_offset(name)) return symbol;
            return parse_number(name);
        };
        return evaluate(word, resolve);
    }
    if (has_target())
        if (const auto symbol = symbol_plus_offset(word)) return symbol;
    return parse_hex(word);
}

uint64_t Session::address(std::string_view word) const {
    if (const auto found = try_address(word)) return *found;
    if (!has_target()) throw UsageError(fmt::format("invalid address: {}", word));
    throw LookupError(
        fmt::format("symbol not found: {}\npossible alternatives:\n{}", word, alternatives(target().symbols(), word)));
}

std::vector<unsigned> Session::cpus(std::string_view list) const {
    const std::vector<unsigned>& known = target().possible_cpus();
    if (known.empty()) throw Error("the kernel's cpus could not be read");
    if (list == "a" || list == "all") return known;
    if (list.empty()) {
        if (!current().cpu) throw Error("the cpu of the current task could not be read: name the cpus");
        return {*current().cpu};
    }
    std::vector<unsigned> chosen;
    const std::string_view whole = list;
    while (!list.empty()) {
        const std::string_view item = list.substr(0, list.find(','));
        list.remove_prefix(std::min(list.size(), item.size() + 1));
        const size_t dash = item.find('-');
        const unsigned first = parse_cpu(item.substr(0, dash), whole);
        const unsigned last = dash == std::string_view::npos ? first : parse_cpu(item.substr(dash + 1), whole);
        if (last < first) throw UsageError(fmt::format("invalid cpu list: {}: {} is above {}", whole, first, last));
        bool any = false;
        for (const unsigned cpu : known)
            if (cpu >= first && cpu <= last) chosen.push_back(cpu), any = true;
        if (!any || !std::binary_search(known.begin(), known.end(), last))
            throw UsageError(fmt::format("invalid cpu {}: the kernel has cpus {} to {}", last, known.front(), known.back()));
    }
    std::sort(chosen.begin(), chosen.end());
    chosen.erase(std::unique(chosen.begin(), chosen.end()), chosen.end());
    return chosen;
}

} // namespace kcrash
