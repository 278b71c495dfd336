// SPDX-License-Identifier: GPL-3.0-or-later
// ~/.kcrashrc: commands of the user, run at every start.
#pragma once
#include "commands/shell/shell.hpp"

namespace kcrash {

// Runs it if it is there, belongs to the user and nobody else can write to it; else says why not.
void run_home_rc(Shell& shell);

} // namespace kcrash
