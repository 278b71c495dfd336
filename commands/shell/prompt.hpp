// SPDX-License-Identifier: GPL-3.0-or-later
// The prompt: lines from the user, with history and completion.
#pragma once
#include "commands/shell/shell.hpp"

namespace kcrash {

// Until exit or Ctrl-D.
void run_prompt(Session& session, Shell& shell);

} // namespace kcrash
