// SPDX-License-Identifier: GPL-3.0-or-later
// The commands of GDB that make no sense on a dead kernel: each is refused with one sentence.
#include "defs.h"
#include "cli/cli-cmds.h"
#include "cli/cli-decode.h"
#include "command.h"
#include "symbols/gdb/inside.hpp"

namespace kcrash::gdb_inside {
namespace {

void refuse_running(const char*, int) { error("the kernel is dead: nothing of it can be run, stopped or attached to"); }
void refuse_breakpoints(const char*, int) { error("the kernel is dead: no breakpoint or watchpoint would ever be hit"); }
void refuse_calls(const char*, int) { error("the kernel is dead: none of its functions can be called"); }
void refuse_writes(const char*, int) { error("the kernel is dead: its dump is only read, never written"); }
void refuse_files(const char*, int) { error("kcrash chose the files when it opened the dump: use \"mod -s\" for a module's, or start it with others"); }
void refuse_terminal(const char*, int) { error("GDB has no terminal here: its windows and interfaces cannot be opened"); }

using Refusal = void(const char*, int);

void refuse(std::initializer_list<const char*> names, Refusal* refusal) {
    for (const char* name : names) {
        cmd_list_element* command = lookup_cmd_exact(name, cmdlist);
        if (!command) continue;
        if (command->is_alias()) command = command->alias_target;
        command->subcommands = nullptr;
        command->allow_unknown = 0;
        command->func = [](const char* arguments, int from_tty, cmd_list_element* self) { self->function.simple_func(arguments, from_tty); };
        command->function.simple_func = refusal;
    }
}

void quit(const char*, int) {
    state().leave = true;
    throw_quit("leaving");
}

} // namespace

void refuse_commands() {
    refuse({"run", "start", "starti", "attach", "detach", "continue", "step", "stepi", "next", "nexti", "finish", "until", "advance", "jump",
            "signal", "queue-signal", "kill", "interrupt", "disconnect", "target", "checkpoint", "restart", "record", "reverse-step",
            "reverse-stepi", "reverse-next", "reverse-nexti", "reverse-continue", "reverse-finish", "monitor", "handle", "tstart", "tstop",
            "add-inferior", "clone-inferior", "remove-inferiors", "inferior", "load", "flash-erase", "stop", "compile"},
           refuse_running);
    refuse({"break", "tbreak", "hbreak", "thbreak", "rbreak", "watch", "rwatch", "awatch", "catch", "tcatch", "trace", "ftrace", "strace",
            "commands", "condition", "ignore", "dprintf"},
           refuse_breakpoints);
    refuse({"call", "return"}, refuse_calls);
    refuse({"restore", "generate-core-file", "gcore"}, refuse_writes);
    refuse({"file", "exec-file", "core-file", "symbol-file", "nosharedlibrary"}, refuse_files);
    refuse({"tui", "layout", "focus", "winheight", "refresh", "new-ui", "interpreter-exec", "edit", "python-interactive"}, refuse_terminal);
    add_com("quit", class_support, quit, "Leave kcrash.");
}

} // namespace kcrash::gdb_inside
