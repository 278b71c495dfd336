// SPDX-License-Identifier: GPL-3.0-or-later
// help: pages made of the rows of the commands.
#include "commands/help.hpp"
#include "commands/alias.hpp"
#include "commands/help_state.hpp"
#include "commands/session.hpp"
#include <algorithm>
#include <fmt/format.h>

namespace kcrash {
namespace {

constexpr std::string_view input_page = R"(NAME
  input - what may be typed at the prompt

DESCRIPTION
  The first word is, in this order: an alias, a command, a type or a symbol (then the line is
  one of struct, union, whatis or p). A backslash before it keeps aliases away.

  Words are separated by blanks. Double quotes and parentheses keep words together. A task is a
  pid, in decimal or hex, or the address of a task_struct. An address is a symbol, symbol+offset,
  hex with or without 0x, or an (expression). A count is decimal, or hex with 0x. CPUs are a list
  such as 1,3,5-7, or "all".

  command | shell command      the output goes to a shell command; "page" is the pager
  command > file               the output goes to a file
  command >> file              the output is appended to a file
  < file                       runs the commands in a file
  command < file               runs the command once for each line of a file, with its words
  ! shell command              runs a shell command; "!" alone starts a shell
  # comment  // comment        nothing

  Quotes and parentheses hide these characters: p (x > y), eval (1 | 2).

  At the prompt: Tab completes commands, options, symbols, types, members and files; Ctrl-R
  searches the history; h shows it; r or !! runs the last line again, r WORD the last that began
  with WORD; Ctrl-C stops a command; Ctrl-D leaves.

  ~/.kcrashrc is run at the start, if it is yours and nobody else can write to it. The history is
  kept in $XDG_STATE_HOME/kcrash/history (~/.local/state).)";

constexpr std::string_view output_page = R"(NAME
  output - what commands print

DESCRIPTION
  Output that is taller than the screen goes through a pager: less, more, or what "set scroll"
  says. It does not with -s, in pipes and files.

  Addresses are bare hex. What could not be read from the dump says so where it would stand, in
  parentheses or as "?", is never shown as zero, and is counted in the last line. Control
  characters from the dump are shown as \x1b.

  "set radix 16" prints numbers in hex; many commands have -x and -d for one time.

  "set output json", --json at the start, or --json at the end of one line prints one JSON
  document for each command, on a line of its own:

    {"command":"ps 1","items":[{"kind":"task","pid":1, ...}],"errors":[],"unreadable":0,"ok":true}

  Addresses are strings ("0xffff..."), a cell that could not be read is {"missing":"excluded"}.
  The schema is commands/report/kcrash.schema.json in the source.

  Errors go to the standard error ("set error" changes that). The exit status of kcrash is 0 only
  if every command succeeded.)";

std::string option_spelling(const Option& option) {
    std::string text = "-" + std::string(option.letters);
    if (option.argument.empty()) return text;
    return text + (option.argument_optional ? fmt::format("[={}]", option.argument) : fmt::format(" {}", option.argument));
}

std::string indented(std::string_view text, std::string_view blanks) {
    std::string out;
    while (!text.empty()) {
        const std::string_view line = text.substr(0, text.find('\n'));
        text.remove_prefix(std::min(text.size(), line.size() + 1));
        if (!line.empty()) out += std::string(blanks) + std::string(line);
        out += '\n';
    }
    return out;
}

// The help text up to its EXAMPLES, and what follows them.
std::pair<std::string_view, std::string_view> parts(std::string_view help) {
    constexpr std::string_view mark = "EXAMPLES\n";
    const size_t at = help.find(mark);
    if (at == std::string_view::npos) return {help, {}};
    std::string_view before = help.substr(0, at);
    while (before.ends_with('\n')) before.remove_suffix(1);
    return {before, help.substr(at + mark.size())};
}

std::vector<const Command*> sorted_commands() {
    std::vector<const Command*> list(commands().begin(), commands().end());
    std::sort(list.begin(), list.end(), [](const Command* a, const Command* b) { return a->name < b->name; });
    return list;
}

std::string all_pages() {
    std::string text;
    for (const Command* command : sorted_commands()) text += help_page(*command) + "\n\n";
    return text + std::string(input_page) + "\n\n" + std::string(output_page);
}

std::string overview_with(const Session& session) {
    const auto extra = session.user_commands.all();
    if (extra.empty()) return help_overview();
    std::string text = help_overview() + "\n\nOf extensions:\n";
    for (const UserCommand* command : extra) text += fmt::format("  {:<14}{}\n", command->name, command->summary);
    text.pop_back();
    return text;
}

void run(Session& session, const Invocation& invocation) {
    for (const auto& [letter, argument] : invocation.options) show_state(session, letter);
    if (!invocation.options.empty()) return;
    if (invocation.operands.empty()) return session.report().text(overview_with(session));
    for (const std::string& topic : invocation.operands) {
        std::string page = help_topic(topic);
        if (const Command* extra = session.user_commands.find(topic)) page = help_page(*extra);
        if (page.empty())
            if (const auto alias = alias_text(session, topic)) {
                const auto words = split_words(*alias);
                session.report().text(fmt::format("{} is an alias for: {}\n", topic, *alias));
                page = words.empty() ? "" : help_topic(words[0]);
                if (page.empty()) continue;
            }
        if (page.empty()) throw UsageError(fmt::format("no command or topic is named {}; \"help\" lists them", topic));
        session.report().text(page);
    }
}

} // namespace

std::string help_page(const Command& command) {
    const auto [description, examples] = parts(command.help);
    std::string text = fmt::format("NAME\n  {} - {}\n\nSYNOPSIS\n  {}{}{}\n\n", command.name, command.summary, command.name,
                                   command.synopsis.empty() ? "" : " ", command.synopsis);
    if (!command.options.empty()) {
        size_t width = 0;
        for (const Option& option : command.options) width = std::max(width, option_spelling(option).size());
        text += "OPTIONS\n";
        for (const Option& option : command.options)
            text += fmt::format("  {:<{}}  {}\n", option_spelling(option), width, option.help);
        text += "\n";
    }
    text += "DESCRIPTION\n" + indented(description, "  ");
    if (!examples.empty()) text += "\nEXAMPLES\n" + indented(examples, examples.starts_with(' ') ? "" : "  ");
    while (text.ends_with('\n')) text.pop_back();
    return text;
}

std::string help_topic(std::string_view topic) {
    if (topic == "input") return std::string(input_page);
    if (topic == "output") return std::string(output_page);
    if (topic == "all") return all_pages();
    const Command* command = find_command(topic);
    return command ? help_page(*command) : "";
}

std::string help_overview() {
    const auto list = sorted_commands();
    constexpr size_t columns = 5, width = 14;
    const size_t rows = (list.size() + columns - 1) / columns;
    std::string text;
    for (size_t row = 0; row < rows; ++row) {
        std::string line;
        for (size_t at = row; at < list.size(); at += rows) line += fmt::format("{:<{}}", list[at]->name, width);
        text += line.substr(0, line.find_last_not_of(' ') + 1) + "\n";
    }
    return text + "\nkcrash version: " KCRASH_VERSION
                  "\n\nFor a command:      \"help COMMAND\"\nFor what to type:   \"help input\"\n"
                  "For what is shown:  \"help output\"\nFor everything:     \"help all\"";
}

namespace {

constexpr Option options[] = {
    {"a", "", ArgumentKind::none, "aliases"},
    {"B", "", ArgumentKind::none, "this binary"},
    {"D", "", ArgumentKind::none, "the dump file: its notes and its vmcoreinfo"},
    {"n", "", ArgumentKind::none, "as -D"},
    {"k", "", ArgumentKind::none, "the kernel"},
    {"K", "", ArgumentKind::none, "the kernel and its modules"},
    {"m", "", ArgumentKind::none, "the machine"},
    {"o", "", ArgumentKind::none, "where types come from"},
    {"p", "", ArgumentKind::none, "the session"},
    {"r", "", ArgumentKind::none, "registers of the CPUs, from the dump's notes"},
    {"s", "", ArgumentKind::none, "where symbols come from"},
    {"t", "", ArgumentKind::none, "the table of tasks"},
    {"T", "", ArgumentKind::none, "the table of tasks, and all of them"},
    {"v", "", ArgumentKind::none, "memory"},
    {"V", "", ArgumentKind::none, "memory, range by range"},
    {"z", "", ArgumentKind::none, "what these letters show"},
};

} // namespace

extern const Command help_command;
const Command help_command = {
    .name = "help",
    .summary = "how to use kcrash",
    .synopsis = "[command | all | input | output]... | -[aBDnkKmoprstTvVz]",
    .options = options,
    .operands = ArgumentKind::command,
    .needs = needs_nothing,
    .help = R"(Without arguments, lists the commands. With the name of a command or an alias, shows its page.
The options show the state of kcrash, for whoever looks into a strange dump.

EXAMPLES
    kcrash> help bt
    kcrash> help input)",
    .run = run,
    .raw_arguments = true,
    .in_minimal = true,
};

} // namespace kcrash
