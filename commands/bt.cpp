// SPDX-License-Identifier: GPL-3.0-or-later
// bt: the stacks of tasks and CPUs.
#include "commands/bt_parts.hpp"
#include "commands/expression.hpp"
#include "commands/shell/progress.hpp"
#include "commands/task_header.hpp"
#include "core/interrupt.hpp"
#include <algorithm>
#include <fmt/format.h>
#include <tbb/parallel_for.h>

namespace kcrash::bt {
namespace {

// Who is to be printed. A CPU without a task that is known to run on it has none.
struct Chosen {
    const Task* task = nullptr;
    unsigned cpu = 0;
};

UnwindRules rules_of(std::string_view word) {
    if (word == "orc") return UnwindRules::orc;
    if (word == "dwarf" || word == "cfi") return UnwindRules::cfi;
    if (word == "framepointer") return UnwindRules::frame_pointer;
    throw UsageError(fmt::format("invalid argument of -D: {}: it is one of orc, dwarf, framepointer", word));
}

void read_reference(const Session& session, const std::string& word, Plan& plan) {
    plan.reference_name = word;
    plan.reference = session.target().symbols().address(word);
    if (!plan.reference) plan.reference = parse_hex(word);
    if (!plan.reference) throw UsageError(fmt::format("invalid reference: {}: neither a symbol nor an address", word));
}

Plan read_plan(const Session& session, const Invocation& invocation) {
    Plan plan;
    if (session.settings.old_bt) plan.style = Style::old;
    if (invocation.has("o")) plan.style = session.settings.old_bt ? Style::frames : Style::old;
    if (invocation.has("t")) plan.style = Style::text;
    if (invocation.has("T")) plan.style = Style::all_text;
    if (invocation.has("e")) plan.style = Style::exceptions;
    if (invocation.has("r")) plan.style = Style::raw;
    if (invocation.has("f")) plan.words = Words::numbers;
    const auto symbols = std::count_if(invocation.options.begin(), invocation.options.end(), [](const auto& o) { return o.first == "F"; });
    if (symbols) plan.words = Words::symbols;
    if (symbols > 1 || invocation.has("FF")) plan.words = Words::caches;
    if (symbols || invocation.has("FF")) plan.slabs = std::make_shared<SlabAllocator>(session.target());
    plan.lines = invocation.has("l");
    plan.offsets = invocation.has("s");
    plan.inlined = invocation.has("i");
    plan.variables = plan.stack.recover_registers = invocation.has("V");
    if (invocation.has("x") && invocation.has("d")) throw UsageError("-x and -d exclude each other");
    plan.hex = invocation.has("x") || (session.settings.radix == 16 && !invocation.has("d"));
    if (auto word = invocation.value("R")) read_reference(session, *word, plan);
    if (auto word = invocation.value("I")) plan.stack.ip = session.address(*word);
    if (auto word = invocation.value("S")) plan.stack.sp = session.address(*word);
    if (auto word = invocation.value("D")) plan.stack.rules = rules_of(*word);
    return plan;
}

bool skips_idle(const Invocation& invocation) {
    const auto word = invocation.value("n");
    if (word && *word != "idle") throw UsageError(fmt::format("invalid argument of -n: {}: it is idle", *word));
    return word.has_value();
}

void add_cpus(const Session& session, const std::vector<unsigned>& cpus, bool skip_idle, std::vector<Chosen>& chosen) {
    for (const unsigned cpu : cpus) {
        const Task* task = session.tasks().active_on(cpu);
        if (!skip_idle || !task || !task->is_idle) chosen.push_back({task, cpu});
    }
}

// The whole thread group, its leader first.
void add_group(const Session& session, const Task& member, std::vector<Chosen>& chosen) {
    const Task* leader = session.tasks().leader_of(member);
    if (!leader) leader = &member;
    chosen.push_back({leader, 0});
    for (const Task& task : session.tasks().all())
        if (&task != leader && task.tgid && task.tgid == leader->tgid && !task.is_idle) chosen.push_back({&task, 0});
}

std::vector<Chosen> choose(const Session& session, const Invocation& invocation) {
    std::vector<Chosen> chosen;
    const bool skip_idle = skips_idle(invocation);
    // A panic takes the other CPUs offline while it stops them: what they did is wanted all the same.
    const Target& target = session.target();
    if (invocation.has("a")) add_cpus(session, session.settings.offline_show ? target.present_cpus() : target.online_cpus(), skip_idle, chosen);
    if (auto list = invocation.value("c")) add_cpus(session, session.cpus(*list), skip_idle, chosen);
    if (invocation.has("p")) {
        const Task* panic = session.tasks().panic_task();
        if (!panic) throw UsageError("nobody panicked in this dump, or the dump does not say who: name a task, or use -a");
        chosen.push_back({panic, 0});
    }
    std::vector<const Task*> named;
    for (const std::string& word : invocation.operands) {
        const Task& task = session.task(word);
        const auto same_pid = task.pid ? session.tasks().by_pid(*task.pid) : std::vector<const Task*>{};
        if (parse_hex(word) != task.address) named.insert(named.end(), same_pid.begin(), same_pid.end()); // several for pid 0
        else named.push_back(&task);
    }
    if (named.empty() && chosen.empty()) named.push_back(&session.current());
    for (const Task* task : named) {
        if (invocation.has("g")) add_group(session, *task, chosen);
        else chosen.push_back({task, 0});
    }
    return chosen;
}

bool refers(const Target& target, const Plan& plan, const Stack& stack) {
    for (const Frame& frame : stack.frames) {
        const auto match = target.symbols().containing(frame.lookup());
        if (frame.pc == *plan.reference) return true;
        if (match && (match->symbol.name == plan.reference_name || match->symbol.address == *plan.reference)) return true;
    }
    return false;
}

void print_raw(Session& session, const Unwinder& unwinder, const Task& task) {
    const auto range = unwinder.process_stack(task);
    if (!range) return session.report().text("(no stack)");
    WordPrinter{session, Words::symbols, nullptr, "", ":  "}.print(range->begin, range->end);
}

void print_stack(Session& session, const Plan& plan, const Unwinder& unwinder, const Task& task, const Stack* stack) {
    if (task.stack && *task.stack == 0) return session.report().text("(no stack)");
    switch (plan.style) {
    case Style::frames: return print_frames(session, plan, *stack);
    case Style::raw: return print_raw(session, unwinder, task);
    case Style::exceptions: return print_exceptions_of(session, unwinder, task);
    case Style::text:
    case Style::all_text:
    case Style::old: return print_scan(session, plan, unwinder, task);
    }
}

// Unwinds side by side, prints in order. In portions: the first stack of 100,000 is not to wait for the last. What is printed
// shows how far it has come; a bar does where nothing is seen of it.
void print_all(Session& session, const Plan& plan, const std::vector<Chosen>& chosen) {
    constexpr size_t portion = 512;
    const Unwinder unwinder(session.target());
    const bool unwinds = plan.style == Style::frames || plan.reference;
    bool first = true;
    Progress progress(session, "stacks");
    for (size_t begin = 0; begin < chosen.size(); begin += portion) {
        std::vector<Stack> stacks(std::min(portion, chosen.size() - begin));
        const auto unwind_one = [&](size_t i) {
            if (const Task* task = chosen[begin + i].task; task && unwinds && !interrupt_requested) stacks[i] = unwinder.unwind(*task, plan.stack);
        };
        if (stacks.size() < 8) for (size_t i = 0; i < stacks.size(); ++i) unwind_one(i);
        else tbb::parallel_for(size_t{0}, stacks.size(), unwind_one);
        for (size_t i = 0; i < stacks.size(); ++i) {
            progress(begin + i, chosen.size());
            const auto& [task, cpu] = chosen[begin + i];
            if (plan.reference && (!task || !refers(session.target(), plan, stacks[i]))) continue;
            if (!session.output_in_file) progress.hide();
            if (!first) session.report().text("", true);
            first = false;
            if (!task) {
                session.report().note(Severity::warning, fmt::format("the task that runs on cpu {} is not known", cpu));
                continue;
            }
            session.report().begin("task", task_header_layout, task_fields(*task));
            print_stack(session, plan, unwinder, *task, &stacks[i]);
            session.report().end();
        }
    }
}

void toggle_default(Session& session) {
    session.settings.old_bt = !session.settings.old_bt;
    const std::string method = session.settings.old_bt ? "old" : "new";
    session.report().record("method", "use {method} bt method by default", {{"method", method}});
}

void run(Session& session, const Invocation& invocation) {
    if (invocation.has("A")) throw UsageError("-A is for the vector registers of s390x; use -a");
    if (invocation.has("O")) return toggle_default(session);
    if (invocation.has("v")) return print_overflows(session);
    if (invocation.has("E")) {
        const auto list = invocation.value("c");
        return print_exceptions_of_cpus(session, list ? session.cpus(*list) : session.target().present_cpus());
    }
    print_all(session, read_plan(session, invocation), choose(session, invocation));
}

constexpr Option options[] = {
    {"a", "", ArgumentKind::none, "the active task of each cpu"},
    {"A", "", ArgumentKind::none, "as -a with vector registers (s390x only)"},
    {"c", "cpus", ArgumentKind::cpus, "the active tasks of these cpus: 1,3,5-7 or all"},
    {"g", "", ArgumentKind::none, "all threads of the task's group, the leader first"},
    {"p", "", ArgumentKind::none, "the task that panicked"},
    {"n", "idle", ArgumentKind::text, "with -a and -c: leave out idle tasks"},
    {"r", "", ArgumentKind::none, "the raw words of the whole stack, with symbols"},
    {"t", "", ArgumentKind::none, "every address of text in the used part of the stack"},
    {"T", "", ArgumentKind::none, "every address of text on the whole stack"},
    {"l", "", ArgumentKind::none, "file and line of each frame"},
    {"e", "", ArgumentKind::none, "what looks like exception frames on the task's stack"},
    {"E", "", ArgumentKind::none, "the same on the interrupt and exception stacks of the cpus (-c chooses)"},
    {"f", "", ArgumentKind::none, "the words of each frame"},
    {"F", "", ArgumentKind::none, "the words of each frame, as symbols and [slab caches]"},
    {"FF", "", ArgumentKind::none, "as -F, with [address:slab cache]"},
    {"o", "", ArgumentKind::none, "the old way: every address of text as if it were a frame"},
    {"O", "", ArgumentKind::none, "make the old way the default, or the new one again"},
    {"v", "", ArgumentKind::none, "check all tasks' stacks for overflow"},
    {"R", "ref", ArgumentKind::symbol_or_address, "only stacks with this function or address"},
    {"s", "", ArgumentKind::none, "offsets in functions"},
    {"x", "", ArgumentKind::none, "offsets in hexadecimal"},
    {"d", "", ArgumentKind::none, "offsets in decimal"},
    {"I", "ip", ArgumentKind::symbol_or_address, "begin with this instruction pointer"},
    {"S", "sp", ArgumentKind::address, "begin with this stack pointer"},
    {"D", "rules", ArgumentKind::text, "unwind by orc, dwarf or framepointer alone"},
    {"i", "", ArgumentKind::none, "inlined calls under each frame"},
    {"V", "", ArgumentKind::none, "arguments and local variables of each frame, by name"},
};

} // namespace
} // namespace kcrash::bt

namespace kcrash {

extern const Command bt_command;
const Command bt_command = {
    .name = "bt",
    .summary = "backtrace: kernel stacks of tasks",
    .synopsis = "[-a | -c cpus | -g | -p] [-n idle] [-r | -t | -T | -e | -E | -o | -O | -v] [-l] [-i] [-V] [-f | -F | -FF] [-R ref] "
                "[-s [-x | -d]] [-I ip] [-S sp] [-D rules] [pid | task]...",
    .options = bt::options,
    .operands = ArgumentKind::task,
    .needs = needs_target | needs_symbols | needs_types | needs_tasks,
    .help = R"(Shows the stack of the current task, or of the tasks that are named: a line for each function, the
innermost first. In brackets is where its return address lies. The registers of interrupts, exceptions and of the
user follow the frame that saved them.

Frames are found by the kernel's unwind data (ORC), then by DWARF's, then by the code itself. What earlier
calls left on a stack is never shown as a frame, but for -t, -T and -o, which show everything that looks like one.
Where a stack cannot be followed, the last line says why.

-V names each argument and local variable. "<optimized out>" is what the compiler said: there is no value.
"<register rbx not recovered>" means that there was one, and it could not be found.

EXAMPLES
  The task that panicked:

    kcrash> bt
    PID: 252      TASK: ff1bffcd437c8000  CPU: 0    COMMAND: "record"
     #0 [ff4940f9c03dfac0] machine_kexec at ffffffffb9c6c62f
     #1 [ff4940f9c03dfb18] __crash_kexec at ffffffffb9d646b7
     #2 [ff4940f9c03dfbd8] panic at ffffffffba5cd06e
     ...

  What all cpus did, the idle ones left out:

    kcrash> bt -a -n idle

  Source lines and inlined calls of the task with pid 1:

    kcrash> bt -l -i 1

  All tasks that wait in a function:

    kcrash> foreach bt -R do_wait)",
    .run = bt::run,
};

} // namespace kcrash
