// SPDX-License-Identifier: GPL-3.0-or-later
// A command is one row next to its code. Usage, help, completion, the manual page and error messages derive from the row.
//
// To add one: write commands/<name>.cpp with one `const Command`, name it in commands/commands.list, add golden tests.
#pragma once
#include "commands/report/report.hpp"
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace kcrash {

class Session;

// What a word on the command line means: decides completion and the wording of errors.
enum class ArgumentKind : uint8_t {
    none,
    number,
    count,
    address,
    symbol_or_address,
    task,
    cpus,
    type,
    member,
    module,
    file,
    directory,
    text,
    command,
    option,
};

struct Option {
    std::string_view letters;       // "l" -> -l; several letters for "FF", "dec": matched whole, longest first
    std::string_view argument = {}; // name of its argument for the usage, "cpus"; empty: takes none
    ArgumentKind kind = ArgumentKind::none;
    std::string_view help = {};     // one line
    bool argument_optional = false; // argument only when attached: -S=cpus
};

// What a command needs before it can run; checked once by the framework.
enum Needs : uint8_t { needs_nothing = 0, needs_target = 1, needs_symbols = 2, needs_types = 4, needs_tasks = 8 };

// A parsed command line. Options may be bundled (-ls) and may stand after operands, as crash allows with getopt.
// A word like "-3" is an operand unless an option begins with that digit; "--" ends the options.
class Invocation {
public:
    std::string name; // the word that was typed (an alias may have led here)
    std::string raw;  // everything after the name, as typed; with raw_arguments: after the leading options
    std::vector<std::pair<std::string, std::string>> options; // letters and argument, in order
    std::vector<std::string> operands;
    bool has(std::string_view letters) const;
    std::optional<std::string> value(std::string_view letters) const; // the last one's argument
    std::vector<std::string> values(std::string_view letters) const;
};

struct Command {
    std::string_view name;
    std::string_view summary;       // one line
    std::string_view synopsis = {}; // "[-a | -c cpus] [pid | task]..."
    std::span<const Option> options = {};
    ArgumentKind operands = ArgumentKind::none;
    uint8_t needs = needs_target;
    std::string_view help; // what it does, option by option where the table is not enough, then examples
    void (*run)(Session& session, const Invocation& invocation);
    bool raw_arguments = false; // p, eval, alias, repeat, help: leading options only, the rest is raw and operands
    bool in_minimal = false;    // there with --minimal
};

std::span<const Command* const> commands();         // commands/commands.list, the one list
const Command* find_command(std::string_view name); // null: none

// Splits and checks `line` (name and arguments) against the row. UsageError names the option and shows the synopsis.
Invocation parse_invocation(const Command& command, std::string_view line);
// "usage: bt [-a | ...] [pid | task]..."
std::string usage(const Command& command);
// Words as the shell of crash sees them: quotes and parentheses keep words together. Double quotes are taken away; single
// quotes stay ('regex' of ps and foreach), and so does a leading backslash (ps \42 is a command's name, not a pid).
std::vector<std::string> split_words(std::string_view line);
// The nearest of `choices` to a misspelt word; empty when none is near.
std::string did_you_mean(std::string_view word, std::span<const std::string_view> choices);

} // namespace kcrash
