// SPDX-License-Identifier: GPL-3.0-or-later
// What happens between the command line and the prompt.
#pragma once
#include "commands/shell/arguments.hpp"

namespace kcrash {

// Opens the target, shows the banner, runs rc file, files, commands, standard input or the prompt. The exit status.
int run_session(Arguments arguments);
// --osrelease, --build-id: from the dump alone. Prints "unknown" and gives 1 when the dump does not say.
int print_vmcoreinfo(Arguments& arguments, std::string_view key);
// -g: 0 if the file carries debug information.
int check_namelist(Arguments& arguments);

} // namespace kcrash
