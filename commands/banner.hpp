// SPDX-License-Identifier: GPL-3.0-or-later
// What a session says first: the machine, its death, the current task.
#pragma once
#include "commands/session.hpp"

namespace kcrash {

// The lines of sys. What cannot be read says so in its line.
void print_system(Session& session);
// The lines of the current task, each label as wide as `width`: 12 under the banner, 7 for set.
void print_context(Session& session, int width);
// Both: at the start of a session.
void print_banner(Session& session);

// "767.4 MB", "1 GB", "132 KB": pages as crash writes them.
std::string size_text(uint64_t bytes);

} // namespace kcrash
