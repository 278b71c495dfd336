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
// "bt; ps" -> "bt", "ps". Semicolons in quotes and parentheses stay; a new line separates too.
std::vector<std::string> split_commands(std::string_view text);

} // namespace kcrash
