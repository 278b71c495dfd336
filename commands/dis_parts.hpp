// SPDX-License-Identifier: GPL-3.0-or-later
// What the files of dis share: the plan of one command, and its two kinds of answer.
#pragma once
#include "commands/session.hpp"
#include "kernel/code.hpp"

namespace kcrash::dis {

struct Plan {
    std::string word;            // what was named, as typed
    uint64_t address = 0;        // what it stands for
    uint64_t begin = 0, end = 0; // where instructions start: from `begin` on, below `end`
    uint64_t count = 0;          // of instructions, or of source lines; 0: up to the end
    bool lines = false, source = false, hex = false, user = false;
    bool count_from_end = false; // -r: the last ones of the range
};

void list_instructions(Session& session, const Plan& plan);
void list_source(Session& session, const Plan& plan); // -s

// The source line that the code is of; nothing: no debug information says so.
std::optional<SourceLine> line_of(const Target& target, uint64_t address);

} // namespace kcrash::dis
