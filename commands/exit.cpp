// SPDX-License-Identifier: GPL-3.0-or-later
// exit and q: leave.
#include "commands/session.hpp"

namespace kcrash {
namespace {

void run(Session& session, const Invocation&) { session.leave = true; }

constexpr std::string_view help_text =
    "Leaves kcrash. The exit status is 0 only if every command succeeded.\n\nEXAMPLES\n    kcrash> exit";

} // namespace

extern const Command exit_command, q_command;
const Command exit_command = {.name = "exit",
                              .summary = "leave kcrash",
                              .synopsis = "",
                              .options = {},
                              .needs = needs_nothing,
                              .help = help_text,
                              .run = run,
                              .in_minimal = true};
const Command q_command = {.name = "q",
                           .summary = "leave kcrash",
                           .synopsis = "",
                           .options = {},
                           .needs = needs_nothing,
                           .help = help_text,
                           .run = run,
                           .in_minimal = true};

} // namespace kcrash
