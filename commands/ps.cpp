// SPDX-License-Identifier: GPL-3.0-or-later
// ps: the tasks.
#include "commands/ps_parts.hpp"
#include "commands/task_selection.hpp"
#include "core/error.hpp"
#include "kernel/mm.hpp"
#include "kernel/mmzone.hpp"
#include <algorithm>
#include <cctype>
#include <fmt/format.h>
#include <set>

namespace kcrash {
namespace {

// include/uapi/linux/sched.h
constexpr const char* policy_names[] = {"NORMAL", "FIFO", "RR", "BATCH", "ISO", "IDLE", "DEADLINE", "EXT"};
constexpr uint64_t reset_on_fork = 0x40000000; // SCHED_RESET_ON_FORK, or-ed into the policy by old kernels

std::vector<uint64_t> parse_policies(const std::string& text) {
    std::vector<uint64_t> policies;
    for (size_t at = 0; at <= text.size();) {
        const size_t end = std::min(text.find(',', at), text.size());
        std::string word = text.substr(at, end - at);
        at = end + 1;
        std::string upper = word;
        std::transform(upper.begin(), upper.end(), upper.begin(), [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
        const auto name = std::find(std::begin(policy_names), std::end(policy_names), upper);
        if (name != std::end(policy_names)) policies.push_back(static_cast<uint64_t>(name - std::begin(policy_names)));
        else if (word.size() == 1 && word[0] >= '0' && word[0] <= '7') policies.push_back(static_cast<uint64_t>(word[0] - '0'));
        else throw UsageError(fmt::format("{}: invalid scheduling policy", word));
    }
    return policies;
}

std::optional<uint64_t> load(const Target& target, const std::optional<Member>& member, uint64_t base) {
    uint64_t value = 0;
    if (!member || member->load(target.kernel(), base, value) != Fault::none) return std::nullopt;
    return value;
}

// Who names a thread with -G means its group: the leader, once.
void to_leaders(const Session& session, TaskList& tasks) {
    std::set<const Task*> seen;
    for (const Task*& task : tasks)
        for (const Task& other : session.tasks().all())
            if (task->pid != task->tgid && other.pid && other.pid == task->tgid) task = &other;
    std::erase_if(tasks, [&](const Task* task) { return !seen.insert(task).second; });
}

TaskList filter(Session& session, TaskList tasks, const Invocation& invocation) {
    const Target& target = session.target();
    const auto policy = target.try_member("task_struct", {"policy"});
    std::vector<uint64_t> policies;
    if (const auto wanted = invocation.value("y")) policies = parse_policies(*wanted);
    const bool kernel = invocation.has("k"), user = invocation.has("u"), leaders = invocation.has("G"), active = invocation.has("A");
    const bool no_idle = invocation.has("I");
    if (leaders && !invocation.operands.empty()) to_leaders(session, tasks);
    std::erase_if(tasks, [&](const Task* task) {
        if (kernel && !task->kernel_thread()) return true;
        if (user && task->kernel_thread()) return true;
        if (leaders && task->pid != task->tgid) return true;
        if (active && !task->active) return true;
        if (no_idle && task->is_idle) return true;
        if (policies.empty()) return false;
        const auto its = load(target, policy, task->address);
        return !its || std::find(policies.begin(), policies.end(), *its & ~reset_on_fork) == policies.end();
    });
    return tasks;
}

class Table {
public:
    Table(Session& session, const Invocation& invocation)
        : session_(session), target_(session.target()), memory_(session.target(), session.tasks()), stacks_(invocation.has("s")),
          policies_(invocation.has("Y")) {
        present_ = present_pages(target_);
        // The architecture's own name of the saved stack pointer.
        stack_pointer_ = target_.try_member("task_struct", {"thread.sp", "thread.esp", "thread.rsp", "thread.cpu_context.sp", "thread.ksp"});
        policy_ = target_.try_member("task_struct", {"policy"});
        priority_ = target_.try_member("task_struct", {"prio"});
        if (!invocation.has("H"))
            session.report().text(fmt::format("      PID    PPID  CPU  {}  ST{}  %MEM      VSZ      RSS  COMM", stacks_ ? "    KSTACKP    " : "     TASK      ",
                                              policies_ ? "   POLICY  PRIO" : ""), true);
    }

    // Signed: a deadline task has -1.
    CellValue priority(const Task& task) const {
        const auto value = load(target_, priority_, task.address);
        return value ? CellValue{static_cast<int64_t>(*value)} : CellValue{Missing{"unreadable"}};
    }

    void say(const Task& task) const {
        const MemoryUse use = task.mm ? memory_.read(task.kernel_thread() ? 0 : *task.mm) : MemoryUse{};
        const auto resident = use.resident();
        const uint64_t page = target_.physical().page_size() / 1024;
        const auto sp = task.active ? std::nullopt : load(target_, stack_pointer_, task.address);
        const bool hidden = task.active && !session_.settings.offline_show && task.cpu && !is_online(*task.cpu);
        CellValue percent = Missing{"unreadable"};
        if (resident && present_.value_or(0)) percent = static_cast<double>(*resident) * 100 / static_cast<double>(*present_);
        const Fields fields{
            {"mark", std::string(hidden ? "-" : task.active ? ">" : " ")},
            {"pid", cell_or_missing(task.pid)},
            {"ppid", cell_or_missing(task.ppid)},
            {"cpu", cell_or_missing(task.cpu)},
            {"task", AddressValue{task.address}},
            {"stack_pointer", task.active ? CellValue{Nothing{}} : sp ? CellValue{AddressValue{*sp}} : CellValue{Missing{"unreadable"}}},
            {"state", task.state ? CellValue{state_name(task)} : CellValue{Missing{"unreadable"}}},
            {"percent", percent},
            {"vsz", use.total ? CellValue{*use.total * page} : CellValue{Missing{"unreadable"}}},
            {"rss", resident ? CellValue{static_cast<uint64_t>(*resident) * page} : CellValue{Missing{"unreadable"}}},
            {"command", cell_or_missing(task.comm)},
            {"active", task.active},
            {"kernel_thread", task.kernel_thread()},
            {"policy", policy_text(task)},
            {"priority", policies_ ? priority(task) : CellValue{Nothing{}}}};
        session_.report().record("task", layout(task), fields);
    }

private:
    std::string layout(const Task& task) const {
        std::string text = "{mark} {pid:>7} {ppid:>7} {cpu:>3}  ";
        text += !stacks_ ? "{task:^16}" : task.active ? "       --       " : "{stack_pointer:^16}";
        text += policies_ ? "  {state:>2} {policy:>8} {priority:>5} {percent:5.1f}" : "  {state:>2} {percent:5.1f}";
        text += " {vsz:>8} {rss:>8}  ";
        return text + (task.kernel_thread() ? "[{command}]" : "{command}");
    }
    CellValue policy_text(const Task& task) const {
        if (!policies_) return Nothing{};
        const auto policy = load(target_, policy_, task.address);
        if (!policy) return Missing{"unreadable"};
        const uint64_t number = *policy & ~reset_on_fork;
        return number < std::size(policy_names) ? std::string(policy_names[number]) : std::to_string(number);
    }
    bool is_online(unsigned cpu) const {
        const auto& online = target_.online_cpus();
        return std::find(online.begin(), online.end(), cpu) != online.end();
    }

    Session& session_;
    const Target& target_;
    MemoryReader memory_;
    bool stacks_, policies_;
    std::optional<uint64_t> present_; // pages
    std::optional<Member> stack_pointer_, policy_, priority_;
};

void check(const Invocation& invocation) {
    const auto count = [&](std::initializer_list<std::string_view> letters) {
        return std::count_if(letters.begin(), letters.end(), [&](std::string_view one) { return invocation.has(one); });
    };
    if (invocation.has("S") && (invocation.options.size() > 1 || !invocation.operands.empty()))
        throw UsageError(invocation.options.size() > 1 ? "-S option cannot be used with other options" : "-S option takes no arguments");
    if (invocation.has("C") && !invocation.has("l") && !invocation.has("m")) throw UsageError("-C option is only applicable with -l and -m");
    if (count({"k", "u"}) > 1) throw UsageError("-k and -u contradict each other");
    if (count({"p", "c", "t", "l", "m", "a", "g", "r", "S"}) > 1) throw UsageError("only one of -p -c -t -l -m -a -g -r -S at a time");
}

void run(Session& session, const Invocation& invocation) {
    check(invocation);
    TaskList tasks;
    if (invocation.operands.empty())
        for (const Task& task : session.tasks().all()) tasks.push_back(&task);
    else tasks = select_tasks(session, invocation.operands);
    tasks = filter(session, std::move(tasks), invocation);
    if (invocation.has("p")) return ps_ancestry(session, tasks);
    if (invocation.has("c")) return ps_children(session, tasks);
    if (invocation.has("g")) return ps_groups(session, tasks);
    if (invocation.has("t")) return ps_times(session, tasks);
    if (invocation.has("a")) return ps_strings(session, tasks);
    if (invocation.has("r")) return ps_limits(session, tasks);
    if (invocation.has("S")) return ps_states(session, tasks);
    if (invocation.has("l") || invocation.has("m")) {
        std::vector<unsigned> cpus;
        if (const auto list = invocation.value("C")) cpus = session.cpus(*list);
        return ps_last_run(session, tasks, invocation.has("m"), cpus);
    }
    const Table table(session, invocation);
    for (const Task* task : tasks) table.say(*task);
}

const Option options[] = {
    {"k", {}, ArgumentKind::none, "only kernel threads"},
    {"u", {}, ArgumentKind::none, "only user tasks"},
    {"G", {}, ArgumentKind::none, "only thread group leaders; of a thread that is named, its leader"},
    {"I", {}, ArgumentKind::none, "without the idle tasks"},
    {"y", "policy", ArgumentKind::text, "only tasks of these scheduling policies: 0..7 or NORMAL,FIFO,RR,BATCH,ISO,IDLE,DEADLINE,EXT"},
    {"s", {}, ArgumentKind::none, "KSTACKP, the kernel stack pointer, instead of TASK"},
    {"Y", {}, ArgumentKind::none, "also the scheduling policy and the priority (lower runs first)"},
    {"p", {}, ArgumentKind::none, "the ancestors of each task"},
    {"c", {}, ArgumentKind::none, "the children of each task"},
    {"g", {}, ArgumentKind::none, "the thread group of each task"},
    {"t", {}, ArgumentKind::none, "run time, start time, user and system time"},
    {"l", {}, ArgumentKind::none, "when tasks ran last: nanoseconds of the cpu's clock, newest first"},
    {"m", {}, ArgumentKind::none, "how long ago tasks ran last"},
    {"C", "cpus", ArgumentKind::cpus, "with -l or -m: in a block for each of the cpus"},
    {"a", {}, ArgumentKind::none, "arguments and environment"},
    {"r", {}, ArgumentKind::none, "resource limits"},
    {"S", {}, ArgumentKind::none, "how many tasks are in each state"},
    {"A", {}, ArgumentKind::none, "only the active task of each cpu"},
    {"H", {}, ArgumentKind::none, "no header line"},
};

} // namespace

extern const Command ps_command;
const Command ps_command{
    .name = "ps",
    .summary = "the tasks",
    .synopsis = "[-k | -u] [-G] [-I] [-y policy] [-s] [-Y] [-p | -c | -t | -l [-C cpus] | -m [-C cpus] | -a | -g | -r | -S] [-A] [-H] [pid | task | name | 'regex']...",
    .options = options,
    .operands = ArgumentKind::task,
    .needs = needs_target | needs_tasks,
    .help = "Lists all tasks, or those that are named: by pid, by the address of their task_struct, by command name, or by a POSIX\n"
            "extended regular expression in single quotes. A name of digits takes a backslash before it.\n"
            "\">\" marks the task that ran on its cpu, \"-\" one whose cpu was offline (with \"set offline hide\").\n"
            "ST is RU running, IN interruptible, UN uninterruptible, ID idle kernel thread, ST stopped, TR traced, ZO zombie,\n"
            "DE dead, PA parked, WA waking, NE new. VSZ and RSS are in kilobytes; RSS includes what cpus and threads have\n"
            "counted but not yet handed in.\n\n"
            "Examples:\n"
            "  ps -u               the user's tasks\n"
            "  ps -A               what each cpu was doing\n"
            "  ps 'kworker.*'      by regular expression\n"
            "  ps -m -C a          for each cpu, who ran last and how long ago\n"
            "  ps -p 1234          its ancestors\n",
    .run = run,
};

} // namespace kcrash
