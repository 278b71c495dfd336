// SPDX-License-Identifier: GPL-3.0-or-later
// alias: other words for commands, shown, made and deleted.
#include "commands/alias.hpp"
#include "commands/session.hpp"
#include "core/error.hpp"
#include <fmt/format.h>

namespace kcrash {
namespace {

constexpr BuiltinAlias builtin[] = {
    {"man", "help"},         {"?", "help"},           {"quit", "q"},    {"sf", "set scroll off"}, {"sn", "set scroll on"},
    {"hex", "set radix 16"}, {"dec", "set radix 10"}, {"g", "gdb"},     {"px", "p -x"},           {"pd", "p -d"},
    {"for", "foreach"},      {"size", "*"},           {"dmesg", "log"}, {"lsmod", "mod"},         {"last", "ps -l"},
};

constexpr Column columns[] = {{"origin", "ORIGIN", 7}, {"alias", "ALIAS", 8}, {"command", "COMMAND"}};

void show(Session& session, std::string_view only) {
    bool any = false;
    const auto say = [&](std::string_view origin, std::string_view name, std::string_view text) {
        if (!only.empty() && name != only) return;
        if (!any) session.report().table("alias", columns);
        any = true;
        session.report().row({std::string(origin), std::string(name), std::string(text)});
    };
    for (const auto& [name, text] : builtin)
        if (!session.user_aliases.contains(name)) say("builtin", name, text);
    for (const auto& [name, text] : session.user_aliases)
        if (!text.empty()) say("runtime", name, text);
    if (!any) throw UsageError(only.empty() ? "there are no aliases" : fmt::format("there is no alias named {}", only));
}

void run(Session& session, const Invocation& invocation) {
    if (invocation.operands.size() < 2) return show(session, invocation.operands.empty() ? "" : invocation.operands[0]);
    const std::string& name = invocation.operands[0];
    std::string text;
    for (size_t i = 1; i < invocation.operands.size(); ++i) text += (i > 1 ? " " : "") + invocation.operands[i];
    if (name == "alias") throw UsageError("the alias command cannot be an alias");
    if (session.command(name))
        session.report().note(Severity::warning, fmt::format("{} is a command: \"\\{}\" still runs it", name, name));
    const bool is_builtin = alias_text(session, name).has_value() && !session.user_aliases.contains(name);
    if (!text.empty()) {
        session.user_aliases[name] = text;
        return show(session, name);
    }
    if (!alias_text(session, name)) throw UsageError(fmt::format("there is no alias named {}", name));
    if (is_builtin) session.user_aliases[name] = ""; // hides the built-in one
    else session.user_aliases.erase(name);
    session.report().record("deleted", "alias deleted: {alias}", {{"alias", name}});
}

} // namespace

std::span<const BuiltinAlias> builtin_aliases() { return builtin; }

std::optional<std::string> alias_text(const Session& session, std::string_view word) {
    if (const auto user = session.user_aliases.find(word); user != session.user_aliases.end())
        return user->second.empty() ? std::nullopt : std::optional(user->second);
    for (const auto& [name, text] : builtin)
        if (name == word) return std::string(text);
    return std::nullopt;
}

std::string expand_alias(const Session& session, std::string_view line) {
    if (line.starts_with('\\')) return std::string(line.substr(1));
    const std::string_view word = line.substr(0, line.find_first_of(" \t|<>"));
    const auto text = alias_text(session, word);
    return text ? *text + std::string(line.substr(word.size())) : std::string(line);
}

extern const Command alias_command;
const Command alias_command = {
    .name = "alias",
    .summary = "other words for commands",
    .synopsis = "[alias] [command string]",
    .options = {},
    .operands = ArgumentKind::command,
    .needs = needs_nothing,
    .help = R"(Shows the aliases, or one of them, or makes one. The first word of a line is replaced by what
its alias stands for, once. An alias may hold options, pipes and redirections; quote it then.
An empty command string deletes the alias. "\ps" runs the command ps although an alias has its name.

EXAMPLES
  Show all aliases:

    kcrash> alias
    ORIGIN  ALIAS    COMMAND
    builtin man      help
    builtin ?        help
    ...

  Make one, and delete it again:

    kcrash> alias kp "ps -k | grep kworker"
    ORIGIN  ALIAS    COMMAND
    runtime kp       ps -k | grep kworker
    kcrash> alias kp ""
    alias deleted: kp)",
    .run = run,
    .raw_arguments = true,
    .in_minimal = true,
};

} // namespace kcrash
