// SPDX-License-Identifier: GPL-3.0-or-later
// help -LETTER: the state of the program, for those who look into a strange dump.
#pragma once
#include "commands/session.hpp"

namespace kcrash {

// "k", "m", ...: letters as crash has them. UsageError for those that mean nothing here.
void show_state(Session& session, std::string_view letter);

} // namespace kcrash
