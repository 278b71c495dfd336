// SPDX-License-Identifier: GPL-3.0-or-later
// The commands that a session has besides commands.list: those that its extensions define.
#pragma once
#include "commands/command.hpp"
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace kcrash {

// Owns the words that its row looks at.
struct UserCommand {
    struct Letter {
        std::string letters, argument, help;
    };
    std::string name, summary, synopsis, help;
    std::string origin; // the file that defines it
    std::vector<Letter> letters;
    ArgumentKind operands = ArgumentKind::text;
    std::function<void(Session& session, const Invocation& invocation)> run;

    Command row = {}; // made by UserCommands::add()
    std::vector<Option> options = {};
};

class UserCommands {
public:
    // UsageError for a name that is no word, that a command of kcrash has, or one of another file. One of the same file is
    // replaced.
    void add(std::shared_ptr<UserCommand> command);
    void remove_of(std::string_view origin);
    const Command* find(std::string_view name) const; // null: none
    std::vector<const UserCommand*> all() const;      // by name
    std::vector<std::string> origins() const;         // the files that define them
    void run(Session& session, const Invocation& invocation) const;

private:
    std::map<std::string, std::shared_ptr<UserCommand>, std::less<>> commands_;
};

} // namespace kcrash
