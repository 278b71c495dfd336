// SPDX-License-Identifier: GPL-3.0-or-later
// ps -a, -r, -S: arguments and environment, limits, counts of states.
#include "commands/ps_parts.hpp"
#include "commands/task_header.hpp"
#include "core/error.hpp"
#include "kernel/mm.hpp"
#include <algorithm>
#include <fmt/format.h>

namespace kcrash {
namespace {

// The order of include/uapi/asm-generic/resource.h, in which signal_struct.rlim stands.
constexpr const char* limit_names[] = {"CPU", "FSIZE", "DATA", "STACK", "CORE", "RSS", "NPROC", "NOFILE",
                                       "MEMLOCK", "AS", "LOCKS", "SIGPENDING", "MSGQUEUE", "NICE", "RTPRIO", "RTTIME"};

std::string joined(const std::vector<std::string>& words) {
    std::string text;
    for (const std::string& word : words) text += word + " ";
    return text;
}

void say_strings(Report& report, const ProcessStrings& strings) {
    report.record("arguments", "ARG: {arguments}", {{"arguments", joined(strings.arguments)}});
    bool first = true;
    for (const std::string& one : strings.environment) {
        if (one.empty()) continue;
        report.record("environment", first ? "ENV: {variable}" : "     {variable}", {{"variable", one}});
        first = false;
    }
}

CellValue limit_cell(std::optional<uint64_t> value, unsigned word) {
    if (!value) return Missing{"unreadable"};
    const bool infinite = word == 4 ? *value == UINT32_MAX : *value == UINT64_MAX;
    return infinite ? CellValue{std::string("(unlimited)")} : CellValue{*value};
}

} // namespace

void ps_strings(Session& session, const TaskList& tasks) {
    Report& report = session.report();
    for (const Task* task : tasks) {
        report.begin("process", task_header_layout, task_fields(*task));
        if (!task->mm) report.note(Severity::warning, "its mm could not be read");
        else if (*task->mm == 0 || task->kernel_thread()) report.text("ps: no user stack", true);
        else {
            try {
                say_strings(report, read_process_strings(session.target(), *task->mm));
            } catch (const MemoryError& error) {
                report.record("arguments", "ps: cannot access user stack address: {at} ({why})",
                              {{"at", AddressValue{error.address}}, {"why", std::string(describe(error.fault))}});
            }
        }
        report.end();
        report.text("", true);
    }
}

void ps_limits(Session& session, const TaskList& tasks) {
    const Target& target = session.target();
    Report& report = session.report();
    const Member limits = target.member("signal_struct", {"rlim"});
    const Member signal = target.member("task_struct", {"signal"});
    const unsigned word = target.arch().word_size;
    const uint64_t count = std::min<uint64_t>(limits.size / (2 * word), std::size(limit_names));
    for (const Task* task : tasks) {
        uint64_t base = 0;
        const bool known = signal.load(target.kernel(), task->address, base) == Fault::none && base != 0;
        report.begin("limits", task_header_layout, task_fields(*task));
        report.text("      RLIMIT     CURRENT       MAXIMUM  ", true);
        for (uint64_t i = 0; i < count; ++i) {
            const auto value = [&](unsigned half) -> std::optional<uint64_t> {
                uint64_t limit = 0;
                const Member one{.offset = limits.offset + (2 * i + half) * word, .size = word};
                if (!known || one.load(target.kernel(), base, limit) != Fault::none) return std::nullopt;
                return limit;
            };
            report.record("limit", "{name:>12}   {current:^11}   {maximum:^11}",
                          {{"name", std::string(limit_names[i])}, {"current", limit_cell(value(0), word)}, {"maximum", limit_cell(value(1), word)}});
        }
        report.end();
        report.text("", true);
    }
}

void ps_states(Session& session, const TaskList& tasks) {
    std::vector<std::pair<std::string, uint64_t>> counts; // in the order of first sight
    for (const Task* task : tasks) {
        const std::string state = state_name(*task);
        const auto known = std::find_if(counts.begin(), counts.end(), [&](const auto& one) { return one.first == state; });
        if (known != counts.end()) ++known->second;
        else counts.emplace_back(state, 1);
    }
    for (const auto& [state, count] : counts)
        session.report().record("state", "  {state}: {tasks}", {{"state", state}, {"tasks", count}});
}

} // namespace kcrash
