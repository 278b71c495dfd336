// SPDX-License-Identifier: GPL-3.0-or-later
// ps -t, -l, -m: when tasks started, how long they ran, when they ran last.
#include "commands/ps_parts.hpp"
#include "commands/task_header.hpp"
#include "kernel/percpu.hpp"
#include "kernel/time.hpp"
#include <algorithm>
#include <fmt/format.h>
#include <map>

namespace kcrash {
namespace {

std::optional<uint64_t> load(const Target& target, const std::optional<Member>& member, uint64_t base) {
    uint64_t value = 0;
    if (!member || member->load(target.kernel(), base, value) != Fault::none) return std::nullopt;
    return value;
}

// "0 00:00:00.022": days, and the time of day to milliseconds.
std::string span_text(uint64_t nanoseconds) {
    const uint64_t seconds = nanoseconds / 1'000'000'000;
    return fmt::format("{} {:02}:{:02}:{:02}.{:03}", seconds / 86400, seconds / 3600 % 24, seconds / 60 % 60, seconds % 60,
                       nanoseconds / 1'000'000 % 1000);
}

struct LastRun {
    const Task* task;
    std::optional<uint64_t> when; // nanoseconds of its CPU's clock
};

class LastRuns {
public:
    LastRuns(Session& session, bool as_span) : session_(session), target_(session.target()), as_span_(as_span) {
        // Without SCHED_INFO the scheduler's own start of execution is the nearest.
        arrival_ = target_.try_member("task_struct", {"sched_info.last_arrival", "se.exec_start", "last_run", "timestamp"});
        clock_ = target_.try_member("rq", {"clock"});
        queues_ = target_.symbol_address("runqueues");
    }
    std::vector<LastRun> sorted(const TaskList& tasks) {
        std::vector<LastRun> runs;
        for (const Task* task : tasks) runs.push_back({task, load(target_, arrival_, task->address)});
        for (const LastRun& run : runs) width_ = std::max(width_, std::to_string(run.when.value_or(0)).size());
        std::stable_sort(runs.begin(), runs.end(), [](const LastRun& a, const LastRun& b) { return a.when.value_or(0) > b.when.value_or(0); });
        return runs;
    }
    void say(const LastRun& run) {
        const auto now = run.task->cpu ? clock(*run.task->cpu) : std::nullopt;
        Fields fields = task_fields(*run.task);
        const std::optional<uint64_t> ago = now && run.when ? std::optional(*now > *run.when ? *now - *run.when : 0) : std::nullopt;
        fields.push_back({"last_run", run.when ? CellValue{NanosecondsValue{*run.when}} : CellValue{Missing{"unreadable"}}});
        fields.push_back({"ago", ago ? CellValue{NanosecondsValue{*ago}} : CellValue{Nothing{}}});
        fields.push_back({"state", state_name(*run.task)});
        const std::string when = as_span_ ? (ago ? span_text(*ago) : "?") : fmt::format("{{last_run:>{}}}", width_);
        session_.report().record("last-run", "[" + when + "] [{state}]  " + std::string(task_header_layout), fields);
    }

private:
    std::optional<uint64_t> clock(unsigned cpu) {
        const auto known = clocks_.find(cpu);
        if (known != clocks_.end()) return known->second;
        const auto queue = queues_ ? per_cpu_address(target_, *queues_, cpu) : std::nullopt;
        return clocks_[cpu] = queue ? load(target_, clock_, *queue) : std::nullopt;
    }

    Session& session_;
    const Target& target_;
    bool as_span_;
    size_t width_ = 1; // of the longest time
    std::optional<Member> arrival_, clock_;
    std::optional<uint64_t> queues_;
    std::map<unsigned, std::optional<uint64_t>> clocks_;
};

} // namespace

void ps_times(Session& session, const TaskList& tasks) {
    const Target& target = session.target();
    Report& report = session.report();
    const auto member = [&](std::initializer_list<std::string_view> names) { return target.try_member("task_struct", names); };
    const auto user = member({"utime"}), system = member({"stime"}), start = member({"start_time"});
    // cf25e24db61c ("sched/cputime: Rename real_start_time to start_boottime"), v5.5: counts the time asleep, as the uptime does.
    const auto boot = member({"start_boottime", "real_start_time", "start_time"});
    const auto now = read_clock(target).boot_nanoseconds;
    const auto number = [&](const std::optional<Member>& what, uint64_t base) { return cell_or_missing(load(target, what, base)); };
    for (const Task* task : tasks) {
        const auto born = load(target, boot, task->address);
        std::string run_time = "(unknown)";
        if (born && now) run_time = format_uptime((*now > *born ? *now - *born : 0) / 1'000'000'000);
        Fields fields = task_fields(*task);
        fields.push_back({"run_time", run_time});
        fields.push_back({"start_time", number(start, task->address)});
        fields.push_back({"utime", number(user, task->address)});
        fields.push_back({"stime", number(system, task->address)});
        report.record("times", std::string(task_header_layout) +
                      "\n    RUN TIME: {run_time}\n  START TIME: {start_time}\n       UTIME: {utime}\n       STIME: {stime}\n", fields);
    }
}

void ps_last_run(Session& session, const TaskList& tasks, bool as_span, const std::vector<unsigned>& cpus) {
    LastRuns runs(session, as_span);
    const std::vector<LastRun> sorted = runs.sorted(tasks);
    if (cpus.empty()) {
        for (const LastRun& run : sorted) runs.say(run);
        return;
    }
    Report& report = session.report();
    bool first = true;
    for (const unsigned cpu : cpus) {
        if (!first) report.text("", true);
        first = false;
        report.begin("cpu", "CPU: {cpu}", {{"cpu", uint64_t{cpu}}});
        for (const LastRun& run : sorted)
            if (run.task->cpu == cpu) runs.say(run);
        report.end();
    }
}

} // namespace kcrash
