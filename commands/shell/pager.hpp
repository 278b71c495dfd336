// SPDX-License-Identifier: GPL-3.0-or-later
// Which pager shows long output.
#pragma once
#include "commands/session.hpp"

namespace kcrash {

// The shell command: what `set scroll` chose, or less, or more. Empty when there is none.
std::string pager_command(const Settings& settings);

} // namespace kcrash
