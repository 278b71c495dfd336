// SPDX-License-Identifier: GPL-3.0-or-later
// What a word at the prompt may go on to be.
#pragma once
#include "commands/session.hpp"

namespace kcrash {

struct Completions {
    std::vector<std::string> words; // sorted; each begins with what was typed
    bool files = false;             // file names too (readline's own)
    bool no_blank = false;          // "task_struct." goes on: no blank after it
};

// `before`: the line up to the word; `word`: what was typed of it. Never throws: without a dump there are commands only.
class Completer {
public:
    explicit Completer(Session& session) : session_(session) {}
    Completions complete(std::string_view before, std::string_view word);

private:
    void commands_and_aliases(std::string_view word, Completions& into) const;
    void of_gdb(std::string_view before, std::string_view word, Completions& into);
    void options(const Command& command, std::string_view word, Completions& into) const;
    void symbols(std::string_view word, Completions& into) const;
    void types(std::string_view word, Completions& into);
    bool members(std::string_view word, Completions& into) const;
    void tasks(std::string_view word, Completions& into) const;
    void modules(std::string_view word, Completions& into) const;
    void operands(ArgumentKind kind, std::string_view word, Completions& into);

    Session& session_;
    std::vector<std::string> type_names_; // gathered on first use
};

} // namespace kcrash
