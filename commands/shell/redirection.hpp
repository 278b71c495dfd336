// SPDX-License-Identifier: GPL-3.0-or-later
// What a line at the prompt says besides its command: pipe, file to write, file to read.
#pragma once
#include <string>
#include <string_view>
#include <vector>

namespace kcrash {

enum class Redirection : uint8_t {
    none,
    pipe,      // COMMAND | SHELL   or   COMMAND ! SHELL
    write,     // COMMAND > FILE
    append,    // COMMAND >> FILE
    arguments, // COMMAND < FILE: once for each line of FILE
    input,     // < FILE: a file of commands
    outside,   // ! SHELL
};

struct CommandLine {
    Redirection redirection = Redirection::none;
    std::string command; // without the redirection
    std::string target;  // file, or what the shell is to run; empty for a bare "!": a shell of one's own
};

// Cuts a line at its first operator outside of quotes and parentheses. "->" and "<<" are C, not operators.
// UsageError for an operator without its file.
CommandLine split_redirection(std::string_view line);

// The commands of a text: "bt; ps" has two. Semicolons in quotes and parentheses stay; a new line separates too.
class CommandText {
public:
    explicit CommandText(std::string text) : text_(std::move(text)) {}
    bool command(std::string& command); // the next one, without blanks around it; false at the end
    // What follows it for a script of several lines: the rest up to ";" where it stood before one, else a whole line as it is.
    bool line(std::string& line);

private:
    bool take(bool whole_line, std::string& part);
    std::string text_;
    size_t at_ = 0;
    bool after_newline_ = true;
};

} // namespace kcrash
