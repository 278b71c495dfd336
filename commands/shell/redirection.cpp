// SPDX-License-Identifier: GPL-3.0-or-later
// Operators on a line: found outside of quotes and parentheses only.
#include "commands/shell/redirection.hpp"
#include "core/error.hpp"
#include <fmt/format.h>

namespace kcrash {
namespace {

std::string trim(std::string_view text) {
    const size_t begin = text.find_first_not_of(" \t\r\n");
    if (begin == std::string_view::npos) return {};
    return std::string(text.substr(begin, text.find_last_not_of(" \t\r\n") - begin + 1));
}

// Follows quotes and parentheses along a line.
class Nesting {
public:
    bool outside(char c) { // is c, the next character, outside of all of them?
        if (quote_) {
            if (c == quote_) quote_ = 0;
            return false;
        }
        if (c == '"' || c == '\'') quote_ = c;
        if (c == '(') ++depth_;
        if (c == ')' && depth_ > 0) --depth_;
        return depth_ == 0 && !quote_ && c != ')';
    }

private:
    char quote_ = 0;
    unsigned depth_ = 0;
};

std::string file_name(std::string_view rest, std::string_view op) {
    std::string name = trim(rest);
    if (name.size() >= 2 && (name.front() == '"' || name.front() == '\'') && name.back() == name.front())
        name = name.substr(1, name.size() - 2);
    if (name.empty()) throw UsageError(fmt::format("\"{}\" needs a file", op));
    return name;
}

} // namespace

CommandLine split_redirection(std::string_view line) {
    const std::string whole = trim(line);
    if (whole.starts_with('!')) return {Redirection::outside, "", trim(std::string_view(whole).substr(1))};
    Nesting nesting;
    for (size_t i = 0; i < whole.size(); ++i) {
        const char c = whole[i];
        const char next = i + 1 < whole.size() ? whole[i + 1] : '\0';
        if (!nesting.outside(c)) continue;
        const std::string before = trim(std::string_view(whole).substr(0, i));
        const std::string_view after = std::string_view(whole).substr(i + 1);
        const bool blank_before = i > 0 && (whole[i - 1] == ' ' || whole[i - 1] == '\t');
        if (c == '|' || (c == '!' && blank_before && next != '=')) {
            const std::string shell = trim(after);
            if (shell.empty()) throw UsageError(fmt::format("\"{}\" needs a shell command", c));
            return {Redirection::pipe, before, shell};
        }
        if (c == '>' && (i == 0 || whole[i - 1] != '-')) {
            if (next == '>') return {Redirection::append, before, file_name(after.substr(1), ">>")};
            return {Redirection::write, before, file_name(after, ">")};
        }
        if (c == '<' && next == '<') ++i;
        else if (c == '<') return {before.empty() ? Redirection::input : Redirection::arguments, before, file_name(after, "<")};
    }
    return {Redirection::none, whole, ""};
}

bool CommandText::take(bool whole_line, std::string& part) {
    Nesting nesting;
    for (size_t i = at_; i <= text_.size(); ++i) {
        const bool end = i == text_.size() || (whole_line ? text_[i] == '\n' : nesting.outside(text_[i]) && (text_[i] == ';' || text_[i] == '\n'));
        if (!end) continue;
        part = text_.substr(at_, i - at_);
        after_newline_ = i == text_.size() || text_[i] == '\n';
        at_ = i + 1;
        return true;
    }
    return false;
}

bool CommandText::command(std::string& command) {
    while (take(false, command))
        if (command = trim(command); !command.empty()) return true;
    return false;
}

bool CommandText::line(std::string& line) { return take(after_newline_, line); }

} // namespace kcrash
