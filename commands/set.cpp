// SPDX-License-Identifier: GPL-3.0-or-later
// set: the current task, and the variables of the session.
#include "commands/banner.hpp"
#include "commands/gdb_bridge.hpp"
#include "commands/settings.hpp"
#include "commands/task_header.hpp"
#include <fmt/format.h>

namespace kcrash {
namespace {

void show_variable(Session& session, const Variable& variable, std::string_view layout) {
    session.report().record("variable", layout, {{"name", std::string(variable.name)}, {"value", variable.show(session)}});
}

// "var value var value ...": those without a value are shown.
void assign_variables(Session& session, const std::vector<std::string>& words) {
    for (size_t i = 0; i < words.size(); ++i) {
        const Variable* variable = find_variable(words[i]);
        if (!variable) throw UsageError(fmt::format("{} is no variable; \"set -v\" shows them", words[i]));
        const bool last = i + 1 == words.size();
        const bool value_follows = !last && (!find_variable(words[i + 1]) || words[i + 1] == "0" || words[i + 1] == "1");
        if (value_follows) variable->assign(session, words[++i]);
        show_variable(session, *variable, variable->name == "radix" ? "output {name}: {value}" : "{name}: {value}");
    }
}

const Task& active_task(const Session& session, const std::string& word) {
    const auto cpus = session.cpus(word);
    if (cpus.size() != 1) throw UsageError(fmt::format("-c takes one cpu, not {}", word));
    const Task* task = session.tasks().active_on(cpus[0]);
    if (!task) throw Error(fmt::format("no active task is known on cpu {}", cpus[0]));
    return *task;
}

const Task& panic_task(const Session& session) {
    const Task* task = session.tasks().panic_task();
    if (!task) throw Error("no task is known to have panicked");
    return *task;
}

void mark_active(Session& session) {
    const Task& task = session.current();
    session.tasks().set_active(task);
    session.gdb().forget_stacks();
    Fields fields = task_fields(task);
    session.report().record("active", "\"{command}\" task {task} has been marked as the active task on cpu {cpu}", fields);
}

void run(Session& session, const Invocation& invocation) {
    const auto& words = invocation.operands;
    if (invocation.has("v")) {
        for (const Variable& variable : variables()) show_variable(session, variable, "{name:>14}: {value}");
        return;
    }
    if (!words.empty() && find_variable(words[0])) return assign_variables(session, words);
    if (words.size() > 1) throw UsageError(fmt::format("one task at a time\n{}", usage(*find_command("set"))));
    if (session.minimal) throw UsageError("there is no task with --minimal; variables can be set");
    if (invocation.has("p")) session.set_current(panic_task(session));
    else if (invocation.has("c")) session.set_current(active_task(session, *invocation.value("c")));
    else if (!words.empty()) session.set_current(session.task(words[0]));
    else if (invocation.has("a")) throw UsageError("-a needs a pid or a task");
    if (invocation.has("a")) return mark_active(session);
    print_context(session, 7);
}

constexpr Option options[] = {
    {"a", "", ArgumentKind::none, "make the task the active one of its cpu"},
    {"c", "cpu", ArgumentKind::cpus, "the active task of this cpu becomes the current task"},
    {"p", "", ArgumentKind::none, "the task that panicked becomes the current task"},
    {"v", "", ArgumentKind::none, "show all variables"},
};

} // namespace

extern const Command set_command;
const Command set_command = {
    .name = "set",
    .summary = "the current task, and the variables of the session",
    .synopsis = "[[-a] [pid | task] | [-c cpu] | -p] | [variable [value]]... | -v",
    .options = options,
    .operands = ArgumentKind::task,
    .needs = needs_nothing,
    .help = R"(Without arguments, shows the current task: the one that commands such as bt and vtop use when they
are given none. With a pid or the address of a task_struct, makes that task the current one.

With the name of a variable, shows it; with a value, sets it. Several may stand on one line.

  scroll     on|off, or the pager: less, more, CRASHPAGER (what the environment says)
  radix      10|16: how numbers are printed
  refresh    on|off: of no effect on a dump
  print_max  how many elements of an array are printed
  print_array on|off: one element of an array on each line
  console    a device for debug messages
  debug      a number; the higher, the more is said
  core       on|off: of no effect, errors never end kcrash
  hash       on|off: of no effect, lists are always checked for cycles
  silent     on|off: no pager
  edit       vi|emacs: keys of the prompt
  zero_excluded on|off: pages that were excluded from the dump read as zeroes
  null-stop  on|off: stop the printing of a character array at its first NUL
  gdb        off: there is no gdb in this build
  scope      the address of code whose names come first; 0 for none
  offline    show|hide: CPUs that are offline
  redzone    on|off: show objects of slab caches with or without their red zone
  error      default: to the standard error; redirect: with the output; else a file
  output     text|json
  namelist, dumpfile: shown only

EXAMPLES
  Show the current task, then make the active task of CPU 1 the current one:

    kcrash> set
        PID: 1
    COMMAND: "init"
       TASK: ffff888100a18000  [THREAD_INFO: ffff888100a18000]
        CPU: 0
      STATE: TASK_RUNNING (PANIC)
    kcrash> set -c 1

  Print numbers in hex, and let scripts read the output:

    kcrash> set radix 16
    kcrash> set output json)",
    .run = run,
    .in_minimal = true,
};

} // namespace kcrash
