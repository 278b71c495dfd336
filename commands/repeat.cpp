// SPDX-License-Identifier: GPL-3.0-or-later
// repeat: a command again and again.
#include "commands/expression.hpp"
#include "commands/session.hpp"
#include "core/interrupt.hpp"
#include <ctime>
#include <fmt/format.h>

namespace kcrash {
namespace {

// Sleeps, and wakes up for Ctrl-C: nanosleep ends early on a signal.
void pause(uint64_t seconds) {
    timespec left{static_cast<time_t>(seconds), 0};
    while (!interrupt_requested && nanosleep(&left, &left) != 0) {}
}

void run(Session& session, const Invocation& invocation) {
    std::string_view line = invocation.raw;
    uint64_t seconds = 0;
    if (line.starts_with('-')) {
        const size_t end = std::min(line.find(' '), line.size());
        const auto number = parse_number(line.substr(1, end - 1));
        if (!number || *number > 86400)
            throw UsageError(fmt::format("{}: not a number of seconds\n{}", line.substr(0, end), usage(*find_command("repeat"))));
        seconds = *number;
        line.remove_prefix(std::min(line.find_first_not_of(' ', end), line.size()));
    }
    if (line.empty()) throw UsageError(fmt::format("it needs a command\n{}", usage(*find_command("repeat"))));
    if (line == "repeat" || line.starts_with("repeat ")) throw UsageError("repeat cannot repeat itself");
    for (;;) {
        const bool ok = session.execute ? session.execute(line) : session.run(line);
        if (ok && !session.output_closed) pause(seconds);
        if (interrupt_requested || session.leave || session.output_closed) return; // that is how it is meant to end
        if (!ok) throw Error("the command failed");
    }
}

} // namespace

extern const Command repeat_command;
const Command repeat_command = {
    .name = "repeat",
    .summary = "a command again and again",
    .synopsis = "[-seconds] command",
    .operands = ArgumentKind::command,
    .needs = needs_nothing,
    .help = R"(Runs a command, an alias or a line with pipes again and again, until Ctrl-C or until it fails.
With -seconds, waits that long in between.

EXAMPLES
    kcrash> repeat -1 ps -A)",
    .run = run,
    .raw_arguments = true,
};

} // namespace kcrash
