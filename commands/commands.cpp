// SPDX-License-Identifier: GPL-3.0-or-later
// The list of commands is commands.list.
#include "commands/command.hpp"

namespace kcrash {

#define COMMAND(name) extern const Command name##_command;
#include "commands/commands.list"
#undef COMMAND

namespace {
#define COMMAND(name) &name##_command,
const Command* const all[] = {
#include "commands/commands.list"
};
#undef COMMAND
} // namespace

std::span<const Command* const> commands() { return all; }

const Command* find_command(std::string_view name) {
    for (const Command* command : all)
        if (command->name == name) return command;
    return nullptr;
}

} // namespace kcrash
