// SPDX-License-Identifier: GPL-3.0-or-later
#include "commands/user_commands.hpp"
#include "commands/session.hpp"
#include "core/error.hpp"
#include <algorithm>
#include <cctype>
#include <fmt/format.h>
#include <set>

namespace kcrash {
namespace {

bool is_word(std::string_view name) {
    const auto letter = [](unsigned char c) { return c < 0x80 && std::isalpha(c); };
    return !name.empty() && name.size() <= 40 && letter(static_cast<unsigned char>(name[0])) &&
           std::all_of(name.begin(), name.end(),
                       [&](unsigned char c) { return letter(c) || std::isdigit(c) || c == '_' || c == '-'; });
}

} // namespace

void UserCommands::add(std::shared_ptr<UserCommand> command) {
    const std::string& name = command->name;
    if (!is_word(name)) throw UsageError(fmt::format("\"{}\" is no name for a command: use letters, digits, - and _", name));
    if (find_command(name)) throw UsageError(fmt::format("{} is a command of kcrash: choose another name", name));
    const auto known = commands_.find(name);
    if (known != commands_.end() && known->second->origin != command->origin)
        throw UsageError(fmt::format("{} is a command of {}: choose another name, or unload that with \"extend -u\"", name,
                                     known->second->origin));
    for (const auto& letter : command->letters)
        command->options.push_back(
            {.letters = letter.letters, .argument = letter.argument, .kind = ArgumentKind::text, .help = letter.help});
    command->row = {
        .name = name,
        .summary = command->summary,
        .synopsis = command->synopsis,
        .options = command->options,
        .operands = command->operands,
        .help = command->help,
        .run = [](Session& session, const Invocation& invocation) { session.user_commands.run(session, invocation); }};
    commands_[name] = std::move(command);
}

void UserCommands::remove_of(std::string_view origin) {
    std::erase_if(commands_, [&](const auto& entry) { return entry.second->origin == origin; });
}

const Command* UserCommands::find(std::string_view name) const {
    const auto found = commands_.find(name);
    return found == commands_.end() ? nullptr : &found->second->row;
}

std::vector<const UserCommand*> UserCommands::all() const {
    std::vector<const UserCommand*> list;
    for (const auto& [name, command] : commands_) list.push_back(command.get());
    return list;
}

std::vector<std::string> UserCommands::origins() const {
    std::set<std::string> files;
    for (const auto& [name, command] : commands_) files.insert(command->origin);
    return {files.begin(), files.end()};
}

void UserCommands::run(Session& session, const Invocation& invocation) const {
    const std::shared_ptr<UserCommand> command = commands_.at(invocation.name); // it may unload the file that it is from
    command->run(session, invocation);
}

} // namespace kcrash
