// SPDX-License-Identifier: GPL-3.0-or-later
// foreach: commands over chosen tasks.
#include "commands/expression.hpp"
#include "commands/session.hpp"
#include "commands/shell/progress.hpp"
#include "commands/task_header.hpp"
#include "core/interrupt.hpp"
#include <algorithm>
#include <fmt/format.h>
#include <regex.h>
#include <set>

namespace kcrash {
namespace {

constexpr std::string_view state_words[] = {"RU", "IN", "UN", "ST", "TR", "ZO", "DE", "SW", "WA", "PA", "ID", "NE"};
constexpr std::string_view command_words[] = {"bt", "vm", "task", "files", "net", "set", "ps", "sig", "vtop"};
// Those that take many tasks at once, and may work on them side by side.
constexpr std::string_view many_tasks[] = {"bt", "ps", "task", "files", "vm", "sig", "net"};

template <size_t N> bool one_of(std::string_view word, const std::string_view (&list)[N]) {
    return std::find(std::begin(list), std::end(list), word) != std::end(list);
}

// An extended regular expression, as ps and foreach take it in single quotes.
class Pattern {
public:
    explicit Pattern(const std::string& text) {
        if (regcomp(&compiled_, text.c_str(), REG_EXTENDED | REG_NOSUB) != 0)
            throw UsageError(fmt::format("invalid regular expression: {}", text));
    }
    ~Pattern() { regfree(&compiled_); }
    Pattern(const Pattern&) = delete;
    Pattern& operator=(const Pattern&) = delete;
    bool matches(const std::string& text) const { return regexec(&compiled_, text.c_str(), 0, nullptr, 0) == 0; }

private:
    regex_t compiled_;
};

// What foreach was told: which tasks, which commands, what each of them gets.
struct Plan {
    std::set<uint64_t> named; // addresses of tasks chosen by pid, address, name or pattern
    bool any_named = false;
    std::set<std::string> states;
    bool kernel = false, user = false, leaders = false, active = false;
    std::vector<const Command*> commands;
    std::string arguments; // options and operands, for all commands
};

void choose_named(const Session& session, const std::string& word, Plan& plan) {
    const auto& all = session.tasks().all();
    const auto add_if = [&](const auto& wanted) {
        const size_t before = plan.named.size();
        for (const Task& task : all)
            if (wanted(task)) plan.named.insert(task.address);
        return plan.named.size() > before;
    };
    plan.any_named = true;
    if (word.size() >= 2 && word.front() == '\'' && word.back() == '\'') {
        const Pattern pattern(word.substr(1, word.size() - 2));
        add_if([&](const Task& task) { return task.comm && pattern.matches(*task.comm); });
        return; // a pattern may match nothing
    }
    const bool escaped = word.starts_with('\\');
    const std::string name = word.substr(escaped);
    const auto number = escaped ? std::nullopt : parse_number(word);
    const auto pid = number && *number <= INT32_MAX ? std::optional<int64_t>(static_cast<int64_t>(*number)) : std::nullopt;
    if (pid && add_if([&](const Task& task) { return task.pid == pid; })) return;
    auto address = escaped ? std::nullopt : parse_hex(word);
    if (!escaped && !address) address = session.target().symbols().address(word); // init_task
    if (address && add_if([&](const Task& task) { return task.address == *address; })) return;
    const bool known = std::any_of(all.begin(), all.end(), [&](const Task& task) { return task.comm == name; });
    if (!known) throw UsageError(fmt::format("unknown argument: \"{}\": neither a task nor a selector nor a command", word));
    add_if([&](const Task& task) { return task.comm == name; });
}

void choose_command(const std::string& word, Plan& plan) {
    const Command* command = find_command(word);
    if (!command) throw UsageError(fmt::format("the command {} is not in this build", word));
    plan.commands.push_back(command);
}

// A word with blanks goes back between double quotes, so that the command sees it as one.
std::string requoted(const std::string& word) {
    return word.find_first_of(" \t") == std::string::npos || word.front() == '(' || word.front() == '\'' ? word
                                                                                                         : "\"" + word + "\"";
}

Plan make_plan(const Session& session, const std::vector<std::string>& words) {
    Plan plan;
    for (const std::string& word : words) {
        const bool before_command = plan.commands.empty();
        const bool options_begun = !plan.arguments.empty();
        if (!options_begun && one_of(word, command_words)) choose_command(word, plan);
        else if (!before_command) plan.arguments += " " + requoted(word);
        else if (word == "kernel") plan.kernel = true;
        else if (word == "user") plan.user = true;
        else if (word == "gleader") plan.leaders = true;
        else if (word == "active") plan.active = true;
        else if (one_of(word, state_words)) plan.states.insert(word);
        else if (word.starts_with('-'))
            throw UsageError(fmt::format("{} stands before the command it is for\n{}", word, usage(*find_command("foreach"))));
        else choose_named(session, word, plan);
    }
    if (plan.kernel && plan.user) throw UsageError("user and kernel exclude each other");
    if (plan.commands.empty()) throw UsageError(fmt::format("no command was named\n{}", usage(*find_command("foreach"))));
    return plan;
}

bool chosen(const Task& task, const Plan& plan) {
    if (plan.any_named && !plan.named.contains(task.address)) return false;
    if (plan.kernel && !(task.is_idle || task.kernel_thread())) return false;
    if (plan.user && (task.is_idle || !task.mm || task.kernel_thread())) return false;
    if (plan.leaders && (!task.pid || task.pid != task.tgid)) return false;
    if (plan.active && !task.active) return false;
    return plan.states.empty() || plan.states.contains(state_name(task));
}

Invocation invocation_for(const Command& command, const std::string& arguments, const std::vector<const Task*>& tasks) {
    std::string line = fmt::format("{}{}", command.name, arguments);
    for (const Task* task : tasks) line += fmt::format(" {:x}", task->address);
    return parse_invocation(command, line);
}

// A command that knows the current task only: each task becomes the current one, under its header.
void run_one_by_one(Session& session, const Command& command, const std::string& arguments,
                    const std::vector<const Task*>& tasks) {
    const uint64_t before = session.current().address;
    const Invocation invocation = parse_invocation(command, fmt::format("{}{}", command.name, arguments));
    bool first = true;
    Progress progress(session, "tasks");
    for (const Task* task : tasks) {
        progress(static_cast<uint64_t>(&task - tasks.data()), tasks.size());
        if (!session.output_in_file) progress.hide();
        if (!first) session.report().text("", true);
        first = false;
        session.report().begin("task", task_header_layout, task_fields(*task));
        session.set_current(*task);
        try {
            command.run(session, invocation);
        } catch (const Interrupted&) {
            session.set_current(*session.tasks().by_address(before));
            throw;
        } catch (const OutputClosed&) { throw; } catch (const Error& error) {
            session.report().note(Severity::error, error.what());
        }
        session.report().end();
    }
    session.set_current(*session.tasks().by_address(before));
}

void run_command(Session& session, const Command& command, const Plan& plan, const std::vector<const Task*>& tasks) {
    if (one_of(command.name, many_tasks)) command.run(session, invocation_for(command, plan.arguments, tasks));
    else run_one_by_one(session, command, plan.arguments, tasks);
}

void run(Session& session, const Invocation& invocation) {
    const Plan plan = make_plan(session, split_words(invocation.raw));
    std::vector<const Task*> tasks;
    for (const Task& task : session.tasks().all())
        if (chosen(task, plan)) tasks.push_back(&task);
    if (tasks.empty()) return session.report().note(Severity::note, "no task is like that");
    if (plan.commands.size() == 1) return run_command(session, *plan.commands[0], plan, tasks);
    bool first = true;
    for (const Task* task : tasks)
        for (const Command* command : plan.commands) {
            check_interrupt();
            if (!first) session.report().text("", true);
            first = false;
            run_command(session, *command, plan, {task});
        }
}

} // namespace

extern const Command foreach_command;
const Command foreach_command = {
    .name = "foreach",
    .summary = "a command for each of many tasks",
    .synopsis =
        "[pid | task | name | 'regex' | state | kernel | user | gleader | active]... command... [option]... [argument]...",
    .operands = ArgumentKind::command,
    .needs = needs_target | needs_tasks,
    .help = R"(Runs bt, ps, set, task or vtop for each chosen task; without a selector, for all tasks.

  pid, task    that task
  name         tasks with this command name; \name when it could be a number, a state or a selector
  'regex'      tasks whose command name matches this extended regular expression
  RU IN UN ST TR ZO DE SW WA PA ID NE  tasks in this state; several may be given
  kernel       kernel threads
  user         tasks that are no kernel threads
  gleader      leaders of thread groups
  active       tasks that were running on a CPU

Selectors of different kinds narrow each other. What follows the commands goes to each of them.
With several commands, each task is told of by all of them before the next.

EXAMPLES
  Where everything stood:

    kcrash> foreach bt

  What the tasks in uninterruptible sleep wait for:

    kcrash> foreach UN bt

  All kworkers that have schedule_timeout on their stacks:

    kcrash> foreach 'kworker.*' bt -R schedule_timeout)",
    .run = run,
    .raw_arguments = true,
};

} // namespace kcrash
