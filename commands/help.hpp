// SPDX-License-Identifier: GPL-3.0-or-later
// Help pages, and the manual page, made of the rows of the commands.
#pragma once
#include "commands/command.hpp"

namespace kcrash {

std::string help_page(const Command& command);
// What `help TOPIC` prints: a command, an alias, input, output, all. Empty for an unknown topic.
std::string help_topic(std::string_view topic);
// The names of all commands in columns, and the topics.
std::string help_overview();
// The manual page, in the language of man (man-pages(7)).
std::string manual_page();

} // namespace kcrash
