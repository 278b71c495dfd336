// SPDX-License-Identifier: GPL-3.0-or-later
// gdb: one command for the embedded GDB.
#include "commands/gdb_bridge.hpp"
#include "commands/session.hpp"
#include "core/error.hpp"
#include <fmt/format.h>

namespace kcrash {

extern const Command gdb_command;

namespace {

void run(Session& session, const Invocation& invocation) {
    const size_t first = invocation.raw.find_first_not_of(" \t");
    if (first == std::string::npos) throw UsageError(fmt::format("a command of GDB is missing\n{}", usage(gdb_command)));
    session.gdb().execute(invocation.raw.substr(first), [&session](const std::string& text) {
        const size_t end = text.ends_with('\n') ? text.size() - 1 : text.size();
        session.report().text(std::string_view(text).substr(0, end));
    });
}

} // namespace

const Command gdb_command = {
    .name = "gdb",
    .summary = "a command of the embedded GDB",
    .synopsis = "command [argument]...",
    .operands = ArgumentKind::text,
    .help = R"help(GDB is inside of kcrash and starts when it is first needed: C expressions, types with all their options, source lines,
stacks by its own unwinder, scripts in its language and in Python. Memory comes from the dump (the kernel's, and the user space of the
current task); every task is a thread, and the thread that GDB has selected is the current task. A command of GDB's that kcrash
does not have needs no "gdb" before it.

On arm64 $TCR_EL1 has what the kernel's vmcoreinfo tells of that register, its field T1SZ: the kernel's own scripts ask for it. All its
other bits are unknown, and read as zero where it is used as a number.

What cannot be done on a dead kernel (run, break, call, write) is refused. "$1", "$2", ... are one history for "p" and GDB.

Examples:
  The layout of a struct, with the holes in it:
    gdb ptype/o struct list_head
  The stack of the current task with all locals, as GDB sees it:
    gdb bt full
  Source lines, and what covers an address:
    gdb list schedule
    gdb info line *0xffffffff81000000
  One line of Python; a file with commands:
    gdb python print(gdb.parse_and_eval("jiffies"))
    gdb source /tmp/commands.gdb
  Several lines, up to "end": at the prompt, in files of commands, on standard input, in -C. No pipe or redirection goes with them:
    define two
    print $arg0
    print $arg1
    end
    two jiffies sizeof(long)
)help",
    .run = run,
    .raw_arguments = true,
};

} // namespace kcrash
