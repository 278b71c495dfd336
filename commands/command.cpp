// SPDX-License-Identifier: GPL-3.0-or-later
// From a line to an Invocation: words, options in crash's manner, errors that say how to ask.
#include "commands/command.hpp"
#include "core/error.hpp"
#include <algorithm>
#include <cctype>
#include <fmt/format.h>

namespace kcrash {
namespace {

bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

struct Word {
    std::string text;
    size_t begin = 0;    // where it starts in the line
    bool quoted = false; // began with a double quote: never an option
};

// The word that starts at `at`; moves `at` behind it.
Word take_word(std::string_view line, size_t& at) {
    Word word{{}, at, line[at] == '"'};
    char quote = 0;
    unsigned depth = 0;
    for (; at < line.size(); ++at) {
        const char c = line[at];
        if (!quote && depth == 0 && is_blank(c)) break;
        if (quote) {
            if (c == quote) quote = 0;
            if (c != '"' || quote || depth > 0) word.text += c;
            continue;
        }
        if (c == '"' || (c == '\'' && depth == 0)) quote = c;
        if (c == '(') ++depth;
        if (c == ')' && depth > 0) --depth;
        if (c != '"' || depth > 0) word.text += c;
    }
    if (quote)
        throw UsageError(
            fmt::format("a {} is not closed: {}", quote == '"' ? "double quote" : "single quote", line.substr(word.begin)));
    if (depth > 0) throw UsageError(fmt::format("a parenthesis is not closed: {}", line.substr(word.begin)));
    return word;
}

std::vector<Word> words_of(std::string_view line) {
    std::vector<Word> words;
    for (size_t at = 0; at < line.size();) {
        if (is_blank(line[at])) ++at;
        else words.push_back(take_word(line, at));
    }
    return words;
}

// The option whose letters begin `rest`, longest first; null: none.
const Option* option_at(const Command& command, std::string_view rest) {
    const Option* best = nullptr;
    for (const Option& option : command.options)
        if (rest.starts_with(option.letters) && (!best || option.letters.size() > best->letters.size())) best = &option;
    return best;
}

bool is_option_word(const Command& command, const Word& word) {
    if (word.quoted || word.text.size() < 2 || word.text[0] != '-') return false;
    const char first = word.text[1];
    if (std::isdigit(static_cast<unsigned char>(first)) || first == '(')
        return option_at(command, std::string_view(word.text).substr(1));
    return true;
}

[[noreturn]] void refuse(const Command& command, std::string_view problem) {
    throw UsageError(fmt::format("{}\n{}", problem, usage(command)));
}

// One word of options: "-lsI addr". Takes the next word for an argument that is not attached.
void take_options(const Command& command, std::span<const Word> words, size_t& at, Invocation& into) {
    std::string_view rest = std::string_view(words[at].text).substr(1);
    while (!rest.empty()) {
        const Option* option = option_at(command, rest);
        const bool nothing_taken = rest.size() + 1 == words[at].text.size(); // then the whole word is wrong, not one letter of it
        if (!option) refuse(command, fmt::format("unknown option -{}", nothing_taken ? rest : rest.substr(0, 1)));
        rest.remove_prefix(option->letters.size());
        std::string argument;
        const bool attached = !rest.empty() && (rest[0] == '=' || std::isdigit(static_cast<unsigned char>(rest[0])));
        if (!option->argument.empty() && (!option->argument_optional || attached)) {
            if (rest.starts_with('=')) rest.remove_prefix(1);
            if (!rest.empty() || option->argument_optional) argument = rest;
            else if (at + 1 < words.size()) argument = words[++at].text;
            else refuse(command, fmt::format("option -{} needs {}", option->letters, option->argument));
            rest = {};
        }
        into.options.emplace_back(option->letters, std::move(argument));
    }
}

// How many single edits (insert, delete, replace, swap of neighbours) lead from a to b.
size_t edit_distance(std::string_view a, std::string_view b) {
    std::vector<std::vector<size_t>> cost(a.size() + 1, std::vector<size_t>(b.size() + 1));
    for (size_t i = 0; i <= a.size(); ++i) cost[i][0] = i;
    for (size_t j = 0; j <= b.size(); ++j) cost[0][j] = j;
    for (size_t i = 1; i <= a.size(); ++i)
        for (size_t j = 1; j <= b.size(); ++j) {
            cost[i][j] = std::min({cost[i - 1][j] + 1, cost[i][j - 1] + 1, cost[i - 1][j - 1] + (a[i - 1] != b[j - 1])});
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                cost[i][j] = std::min(cost[i][j], cost[i - 2][j - 2] + 1);
        }
    return cost[a.size()][b.size()];
}

} // namespace

bool Invocation::has(std::string_view letters) const {
    return std::any_of(options.begin(), options.end(), [&](const auto& option) { return option.first == letters; });
}

std::optional<std::string> Invocation::value(std::string_view letters) const {
    for (auto option = options.rbegin(); option != options.rend(); ++option)
        if (option->first == letters) return option->second;
    return std::nullopt;
}

std::vector<std::string> Invocation::values(std::string_view letters) const {
    std::vector<std::string> all;
    for (const auto& [option, argument] : options)
        if (option == letters) all.push_back(argument);
    return all;
}

std::string usage(const Command& command) {
    return fmt::format("usage: {}{}{}", command.name, command.synopsis.empty() ? "" : " ", command.synopsis);
}

std::vector<std::string> split_words(std::string_view line) {
    std::vector<std::string> texts;
    for (Word& word : words_of(line)) texts.push_back(std::move(word.text));
    return texts;
}

Invocation parse_invocation(const Command& command, std::string_view line) {
    Invocation invocation;
    size_t at = 0;
    while (at < line.size() && is_blank(line[at])) ++at;
    size_t name_end = at;
    while (name_end < line.size() && !is_blank(line[name_end])) ++name_end;
    invocation.name = line.substr(at, name_end - at);
    std::string_view rest = line.substr(name_end);
    while (!rest.empty() && is_blank(rest.front())) rest.remove_prefix(1);
    while (!rest.empty() && is_blank(rest.back())) rest.remove_suffix(1);
    invocation.raw = rest;
    if (command.raw_arguments && command.operands == ArgumentKind::text && command.options.empty()) return invocation; // words of another language

    const std::vector<Word> words = words_of(rest);
    bool options_ended = false;
    for (size_t i = 0; i < words.size(); ++i) {
        const Word& word = words[i];
        const bool maybe = !options_ended && is_option_word(command, word);
        const bool known = maybe && (!command.raw_arguments || option_at(command, std::string_view(word.text).substr(1)));
        if (maybe && !command.raw_arguments && word.text == "--") options_ended = true;
        else if (known) {
            take_options(command, words, i, invocation);
            if (command.raw_arguments) invocation.raw = i + 1 < words.size() ? std::string(rest.substr(words[i + 1].begin)) : "";
        } else {
            invocation.operands.push_back(word.text);
            options_ended |= command.raw_arguments;
        }
    }
    return invocation;
}

std::string did_you_mean(std::string_view word, std::span<const std::string_view> choices) {
    std::string_view best;
    size_t least = word.size() <= 3 ? 2 : 3; // one edit for a short word, two for a longer one
    for (const std::string_view choice : choices) {
        if (word.size() > 40 || choice.size() > 40) continue;
        const size_t distance = edit_distance(word, choice);
        if (distance < least && distance < choice.size()) best = choice, least = distance;
    }
    return std::string(best);
}

} // namespace kcrash
