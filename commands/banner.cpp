// SPDX-License-Identifier: GPL-3.0-or-later
#include "commands/banner.hpp"
#include "core/error.hpp"
#include "kernel/mmzone.hpp"
#include "kernel/taint.hpp"
#include "kernel/time.hpp"
#include "kernel/uts.hpp"
#include <algorithm>
#include <fmt/format.h>

namespace kcrash {
namespace {

// One labelled line; the label is right-aligned before its colon.
void line(Report& report, std::string_view label, std::string_view key, const CellValue& value, std::string_view after = {}) {
    report.record("system", fmt::format("{:>12}: {{{}}}{}", label, key, after), {{key, value}});
}

std::string dump_flags(const DumpInfo& info) {
    std::string flags;
    if (info.dump_level.value_or(0) != 0) flags += " [PARTIAL DUMP]";
    if (info.incomplete) flags += " [INCOMPLETE]";
    if (info.excluded_vmemmap) flags += " [EXCLUDED VMEMMAP]";
    if (info.truncated) flags += " [TRUNCATED]";
    return flags;
}

void dump_lines(Report& report, const Dump& dump) {
    const DumpInfo& info = dump.info();
    const std::string flags = dump_flags(info);
    if (info.files.size() <= 1) {
        line(report, "DUMPFILE", "dumpfile", info.files.empty() ? CellValue{Nothing{}} : CellValue{info.files[0]},
             flags.empty() ? "" : " " + flags);
    } else {
        for (size_t i = 0; i < info.files.size(); ++i)
            report.record("system", (i == 0 ? "   DUMPFILES: {dumpfile}" : "              {dumpfile}") + flags, {{"dumpfile", info.files[i]}});
    }
    std::string format = info.format;
    if (!info.compression.empty() && info.compression != "none") format += ", " + info.compression;
    if (info.dump_level) format += fmt::format(", dump level {}", *info.dump_level);
    report.record("system", "      FORMAT: {format}",
                  {{"format", format},
                   {"level", info.dump_level ? CellValue{uint64_t{*info.dump_level}} : CellValue{Nothing{}}},
                   {"partial", info.dump_level.value_or(0) != 0},
                   {"incomplete", info.incomplete},
                   {"truncated", info.truncated},
                   {"excluded_vmemmap", info.excluded_vmemmap}});
    if (const auto fetched = dump.fetched())
        report.record("system", "     FETCHED: {fetched} so far", {{"fetched", size_text(*fetched)}, {"bytes", BytesValue{*fetched}}});
}

void kernel_line(Report& report, const Target& target) {
    std::string after;
    const LivePatch patch = read_livepatch(target);
    if (patch.patched) after += "  [LIVEPATCH]";
    if (patch.transition) after += "  [TRANSITION]";
    const auto taint = read_taint(target);
    if (taint && taint->mask != 0) after += "  [TAINTED]";
    const bool has_file = !target.vmlinux_path().empty();
    line(report, "KERNEL", "kernel", has_file ? target.vmlinux_path() : std::string("(the dump's own symbols and types)"), after);
}

void cpu_line(Report& report, const Target& target) {
    const uint64_t cpus = target.present_cpus().size(), online = target.online_cpus().size();
    const uint64_t offline = cpus > online ? cpus - online : 0;
    report.record("system", offline ? "        CPUS: {cpus} [OFFLINE: {offline}]" : "        CPUS: {cpus}", {{"cpus", cpus}, {"offline", offline}});
}

void time_lines(Report& report, const Target& target) {
    const KernelClock clock = read_clock(target);
    const Missing unknown{"unknown"};
    report.record("system", "        DATE: {date}",
                  {{"date", clock.real_seconds ? CellValue{format_date(*clock.real_seconds)} : CellValue{unknown}},
                   {"seconds", clock.real_seconds ? CellValue{*clock.real_seconds} : CellValue{Nothing{}}}});
    report.record("system", "      UPTIME: {uptime}",
                  {{"uptime", clock.boot_nanoseconds ? CellValue{format_uptime(*clock.boot_nanoseconds / 1'000'000'000)} : CellValue{unknown}},
                   {"nanoseconds", clock.boot_nanoseconds ? CellValue{NanosecondsValue{*clock.boot_nanoseconds}} : CellValue{Nothing{}}}});
    const auto load = read_load_average(target);
    std::string text;
    if (load)
        for (const uint64_t one : *load) { // 11 bits of fraction, rounded to hundredths as /proc/loadavg does
            const uint64_t rounded = one + 2048 / 200;
            text += fmt::format("{}{}.{:02}", text.empty() ? "" : ", ", rounded >> 11, (rounded & 2047) * 100 >> 11);
        }
    line(report, "LOAD AVERAGE", "load_average", load ? CellValue{text} : CellValue{unknown});
}

void name_lines(Report& report, const Target& target) {
    const KernelNames names = read_uts(target);
    line(report, "NODENAME", "nodename", cell_or_missing(names.node));
    const auto told = target.vmcoreinfo().value("OSRELEASE"); // when the page of uts_namespace is not in the dump
    line(report, "RELEASE", "release", !names.release && told ? CellValue{std::string(*told)} : cell_or_missing(names.release));
    line(report, "VERSION", "version", cell_or_missing(names.version));
    const auto clock = cpu_kilohertz(target);
    line(report, "MACHINE", "machine", cell_or_missing(names.machine), clock ? fmt::format("  ({} Mhz)", *clock / 1000) : "  (unknown Mhz)");
}

// The memory of the machine, rounded up over what the firmware keeps below a full gigabyte.
void memory_line(Report& report, const Target& target) {
    const auto pages = present_pages(target);
    if (!pages) return line(report, "MEMORY", "memory", Missing{"unknown"});
    const uint64_t page = target.physical().page_size(), bytes = *pages * page, gigabyte = uint64_t{1} << 30;
    const uint64_t next = (bytes + gigabyte - 1) / gigabyte * gigabyte;
    const uint64_t shown = next - bytes <= (uint64_t{64} << 20) ? next : bytes;
    report.record("system", "      MEMORY: {memory}", {{"memory", size_text(shown)}, {"bytes", BytesValue{bytes}}});
}

void panic_line(Report& report, const Target& target) {
    std::optional<std::string> message;
    try {
        const KernelLog log = read_log(target);
        message = panic_message(log);
        const auto lost = std::find_if(log.records.begin(), log.records.end(), [](const LogRecord& record) { return !record.lost.empty(); });
        if (!message && lost != log.records.end()) return line(report, "PANIC", "panic", Missing{"messages of the log are lost: " + lost->lost});
    } catch (const Error& error) {
        return line(report, "PANIC", "panic", Missing{error.what()});
    }
    if (!message) return line(report, "PANIC", "panic", std::string());
    const bool oops = message->find("Oops: ") != std::string::npos;
    report.record("system", oops ? "       PANIC: \"{panic}\" (check log for details)" : "       PANIC: \"{panic}\"", {{"panic", *message}});
}

} // namespace

std::string size_text(uint64_t bytes) {
    const auto whole = [](double value, const char* unit) {
        std::string text = fmt::format("{:.1f} {}", value, unit);
        if (const size_t point = text.find(".0 "); point != std::string::npos) text.erase(point, 2);
        return text;
    };
    if (bytes >= uint64_t{1} << 30) return whole(static_cast<double>(bytes) / (1 << 30), "GB");
    if (bytes >= uint64_t{1} << 20) return whole(static_cast<double>(bytes) / (1 << 20), "MB");
    return fmt::format("{} KB", bytes >> 10);
}

void print_system(Session& session) {
    Report& report = session.report();
    const Target& target = session.target();
    kernel_line(report, target);
    dump_lines(report, target.dump());
    cpu_line(report, target);
    time_lines(report, target);
    line(report, "TASKS", "tasks", uint64_t{session.tasks().all().size()});
    name_lines(report, target);
    memory_line(report, target);
    panic_line(report, target);
}

void print_context(Session& session, int width) {
    const Tasks& tasks = session.tasks();
    const Task& task = session.current();
    const Target& target = session.target();
    const bool panicked = &task == tasks.panic_task() || (tasks.panic_task() && task.address == tasks.panic_task()->address);
    bool sysrq = false;
    if (panicked) {
        try {
            sysrq = sysrq_crash(read_log(target));
        } catch (const Error&) { // the log is told of elsewhere
        }
    }
    const std::string why = panicked ? (sysrq ? "(SYSRQ)" : "(PANIC)") : task.active ? "(ACTIVE)" : "";
    const auto twins = task.pid ? tasks.by_pid(*task.pid) : std::vector<const Task*>{};
    const auto place = std::find_if(twins.begin(), twins.end(), [&](const Task* one) { return one->address == task.address; }) - twins.begin();
    const std::string count = twins.size() > 1 ? fmt::format("  ({} of {})", place + 1, twins.size()) : "";
    // Where thread_info is not in task_struct it is at the lowest address of the stack.
    const uint64_t thread_info = target.try_member("task_struct", {"thread_info.flags"}) ? task.address : task.stack.value_or(0);
    const auto label = [&](std::string_view name) { return fmt::format("{:>{}}: ", name, width); };
    const std::string layout = label("PID") + "{pid}\n" + label("COMMAND") + "\"{command}\"\n" + label("TASK") + "{task}" + count +
                               "  [THREAD_INFO: {thread_info}]\n" + label("CPU") + "{cpu}\n" + label("STATE") + "{state} {why}";
    session.report().record("context", layout,
                            {{"pid", cell_or_missing(task.pid)},
                             {"command", cell_or_missing(task.comm)},
                             {"task", AddressValue{task.address}},
                             {"thread_info", thread_info ? CellValue{AddressValue{thread_info}} : CellValue{Missing{"unreadable"}}},
                             {"cpu", cell_or_missing(task.cpu)},
                             {"state", state_long_name(task)},
                             {"why", why}});
}

void print_banner(Session& session) {
    print_system(session);
    print_context(session, 12);
    if (session.tasks().panic_task() == nullptr && session.tasks().panic_cpu()) session.report().note(Severity::warning, "panic task not found");
}

} // namespace kcrash
