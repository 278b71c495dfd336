// SPDX-License-Identifier: GPL-3.0-or-later
// Which tasks a line of words means: pids, task addresses, names, 'regular expressions'. For ps and foreach.
#pragma once
#include "commands/session.hpp"

namespace kcrash {

// The tasks that any of the words names, each once, in the order of the words and inside a word in that of Tasks. A word
// that looks like a pid or an address must be one: what is not is told as an error note and the others go on. A leading
// backslash makes a word of digits a name.
std::vector<const Task*> select_tasks(Session& session, const std::vector<std::string>& words);

} // namespace kcrash
