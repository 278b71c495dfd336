// SPDX-License-Identifier: GPL-3.0-or-later
#include "commands/shell/gdb_script.hpp"
#include "commands/line_words.hpp"

namespace kcrash {

static constexpr std::string_view ends = " \t("; // "if(1)" begins with "if"

std::optional<GdbScript::Body> GdbScript::body_of(std::string_view line) {
    const std::string_view word = first_word(line, ends);
    const bool alone = word.size() == line.size();
    if (word == "define" || word == "if" || word == "while") return alone ? std::nullopt : std::optional(Body::commands); // GDB says what is missing
    if (word == "document") return alone ? std::nullopt : std::optional(Body::words);
    if (word == "python" || word == "py" || word == "guile" || word == "gu") return alone ? std::optional(Body::words) : std::nullopt;
    return std::nullopt;
}

// What is refused by itself, but has a body where a definition has it.
bool GdbScript::opens_inside(std::string_view word) {
    for (const std::string_view one : {"commands", "while-stepping", "stepping", "ws"})
        if (word == one) return true;
    return false;
}

std::optional<GdbScript> GdbScript::begin(std::string_view line) {
    line = trim(line);
    if (line.starts_with('\\')) line.remove_prefix(1); // no alias
    if (first_word(line, ends) == "gdb") line = trim(line.substr(3));
    const auto body = body_of(line);
    if (!body) return std::nullopt;
    GdbScript script;
    script.text_ = line;
    script.word_ = first_word(line, ends);
    script.open_.push_back(*body);
    return script;
}

void GdbScript::add(std::string_view line) {
    if (line.ends_with('\r')) line.remove_suffix(1);
    text_ += '\n';
    text_ += line;
    const std::string_view inner = trim(line);
    if (inner == "end") open_.pop_back();
    else if (open_.back() == Body::commands) {
        if (const auto body = body_of(inner)) open_.push_back(*body);
        else if (opens_inside(first_word(inner, ends))) open_.push_back(Body::commands);
    }
}

} // namespace kcrash
