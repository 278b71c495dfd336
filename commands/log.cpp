// SPDX-License-Identifier: GPL-3.0-or-later
// log: the kernel's message buffer.
#include "commands/session.hpp"
#include "core/error.hpp"
#include "kernel/printk.hpp"
#include "kernel/printk_safe.hpp"
#include "kernel/time.hpp"
#include "symbols/rust_name.hpp"
#include <algorithm>
#include <cctype>
#include <fmt/format.h>

namespace kcrash {
namespace {

constexpr int64_t billion = 1'000'000'000;

struct Style {
    bool time = true, wall_clock = false, dictionary = false, level = false, caller = false, rust = false;
    std::optional<int64_t> booted; // nanoseconds since 1970, for wall_clock
    bool records = true;           // false: times and levels are in the text
};

std::string double_braces(std::string_view text) {
    std::string out;
    for (const char c : text) {
        out += c;
        if (c == '{' || c == '}') out += c;
    }
    return out;
}

std::vector<std::string_view> split_lines(std::string_view text) {
    std::vector<std::string_view> lines;
    for (size_t at = 0; at <= text.size();) {
        const size_t end = std::min(text.find('\n', at), text.size());
        lines.push_back(text.substr(at, end - at));
        at = end + 1;
    }
    return lines;
}

// "[    T29]" or "[     C0]": who called printk.
std::string caller_text(uint32_t caller) {
    const bool is_cpu = caller & 0x80000000;
    return fmt::format("{}{}", is_cpu ? 'C' : 'T', caller & 0x7fffffff);
}

std::string prefix_of(const LogRecord& record, const Style& style) {
    std::string prefix;
    if (style.records && style.time) {
        const auto time = record.nanoseconds;
        if (!time) prefix += "[    ?.??????] ";
        else if (style.wall_clock && style.booted) prefix += fmt::format("[{}] ", format_date((*style.booted + static_cast<int64_t>(*time)) / billion));
        else prefix += fmt::format("[{:5}.{:06}] ", *time / 1'000'000'000, *time / 1000 % 1'000'000);
    }
    if (style.caller && record.caller) prefix += fmt::format("[{:>6}] ", caller_text(*record.caller));
    if (style.level) prefix += record.level ? fmt::format("<{:x}>", *record.level) : style.records ? "<?>" : "";
    return prefix;
}

Fields fields_of(const LogRecord& record, const std::string& text) {
    const CellValue none = Nothing{};
    const auto number = [&](const auto& value) { return value ? CellValue{static_cast<uint64_t>(*value)} : none; };
    std::string dictionary;
    for (const std::string& entry : record.dictionary) dictionary += (dictionary.empty() ? "" : "\n") + entry;
    return {{"sequence", number(record.sequence)},
            {"nanoseconds", record.nanoseconds ? CellValue{NanosecondsValue{*record.nanoseconds}} : none},
            {"level", number(record.level)},
            {"facility", number(record.facility)},
            {"caller", record.caller ? CellValue{caller_text(*record.caller)} : none},
            {"text", record.lost.empty() ? CellValue{text} : CellValue{Missing{record.lost}}},
            {"dictionary", dictionary.empty() ? none : CellValue{dictionary}}};
}

// The first line carries the prefix; further ones of the same message are indented to it.
void say(Report& report, const LogRecord& record, const Style& style) {
    const std::string prefix = prefix_of(record, style);
    const std::string text = style.rust ? demangle_rust_in(record.text) : record.text;
    const auto lines = split_lines(text);
    const std::string first = record.lost.empty() ? escape(lines.front(), true) : "(message lost: " + record.lost + ")";
    report.record("message", double_braces(prefix + first), fields_of(record, text));
    if (prefix.empty() && first.empty()) report.text("", true);
    for (size_t i = 1; i < lines.size(); ++i) report.text(std::string(prefix.size(), ' ') + std::string(lines[i]), true);
    if (style.dictionary)
        for (const std::string& entry : record.dictionary) report.text(std::string(prefix.size(), ' ') + entry, true);
}

void say_safe_buffers(Session& session) {
    Report& report = session.report();
    const auto buffers = read_safe_buffers(session.target());
    if (buffers.empty())
        throw LookupError("this kernel has no printk_safe buffers: they existed from Linux 4.10 to 5.14");
    std::string_view name;
    for (const SafeBuffer& buffer : buffers) {
        if (buffer.name != name) report.text("PRINTK_SAFE_SEQ_BUF: " + buffer.name, true);
        name = buffer.name;
        report.record("printk-safe-buffer", "CPU: {cpu}  ADDR: {address} LEN: {length}  MESSAGE_LOST: {lost}",
                      {{"name", buffer.name},
                       {"cpu", uint64_t{buffer.cpu}},
                       {"address", AddressValue{buffer.address}},
                       {"length", cell_or_missing(buffer.length)},
                       {"lost", cell_or_missing(buffer.lost)},
                       {"text", buffer.unreadable.empty() ? CellValue{buffer.text} : CellValue{Missing{buffer.unreadable}}}});
        if (buffer.text.empty()) report.text(buffer.unreadable.empty() ? "  (empty)" : "  (" + buffer.unreadable + ")", true);
        else
            for (const auto line : split_lines(std::string_view(buffer.text).substr(0, buffer.text.find_last_not_of('\n') + 1)))
                report.text("  " + std::string(line), true);
    }
}

void say_audit(Session& session) {
    Report& report = session.report();
    std::vector<std::string> warnings;
    const auto messages = read_audit_queue(session.target(), warnings);
    for (const std::string& warning : warnings) report.note(Severity::warning, warning);
    if (messages.empty()) report.note(Severity::note, "kernel audit log is empty");
    for (const AuditMessage& message : messages)
        report.record("audit-message", "type={type} {text}",
                      {{"type", cell_or_missing(message.type)},
                       {"text", message.unreadable.empty() ? CellValue{message.text} : CellValue{Missing{message.unreadable}}},
                       {"sk_buff", AddressValue{message.skb}}});
}

// Nanoseconds since 1970 at boot. printk's clock is not the one that was set: that is what makes -T approximate.
std::optional<int64_t> boot_moment(const Target& target) {
    const KernelClock clock = read_clock(target);
    if (!clock.real_seconds || !clock.boot_nanoseconds || *clock.real_seconds < 0 || *clock.real_seconds > INT64_MAX / billion - 1)
        return std::nullopt;
    return *clock.real_seconds * billion + static_cast<int64_t>(clock.real_fraction) - static_cast<int64_t>(*clock.boot_nanoseconds);
}

void say_leftovers(Session& session) {
    for (const SafeBuffer& buffer : read_safe_buffers(session.target())) {
        if (buffer.text.empty()) continue;
        for (const auto line : split_lines(std::string_view(buffer.text).substr(0, buffer.text.find_last_not_of('\n') + 1)))
            session.report().record("unflushed-message", "[{name}] {text}", {{"name", buffer.name}, {"text", std::string(line)}});
    }
}

void run(Session& session, const Invocation& invocation) {
    if (invocation.has("a")) return say_audit(session);
    if (invocation.has("s")) return say_safe_buffers(session);
    Report& report = session.report();
    Style style;
    style.time = !invocation.has("t");
    style.wall_clock = invocation.has("T");
    style.dictionary = invocation.has("d");
    style.level = invocation.has("m");
    style.caller = invocation.has("c");
    style.rust = invocation.has("R");
    if (style.wall_clock && !style.time) throw UsageError("-t and -T contradict each other: without times, or with the wall clock's");
    if (style.wall_clock && !(style.booted = boot_moment(session.target())))
        throw LookupError("the dump does not tell when the system was booted; use log without -T");
    const KernelLog log = read_log(session.target());
    style.records = log.has_records;
    for (const std::string& warning : log.warnings) report.note(Severity::warning, warning);
    for (const LogRecord& record : log.records) say(report, record, style);
    say_leftovers(session);
}

const Option options[] = {
    {"T", {}, ArgumentKind::none, "wall-clock times (approximate: printk's clock drifts from it)"},
    {"t", {}, ArgumentKind::none, "no times"},
    {"d", {}, ArgumentKind::none, "the device properties that belong to a message"},
    {"m", {}, ArgumentKind::none, "the level before each message, in hexadecimal"},
    {"a", {}, ArgumentKind::none, "audit messages that wait for the audit daemon"},
    {"s", {}, ArgumentKind::none, "the per-cpu printk_safe buffers (Linux 4.10 to 5.14)"},
    {"c", {}, ArgumentKind::none, "who called printk: a thread (T) or a cpu (C)"},
    {"R", {}, ArgumentKind::none, "Rust symbol names as people write them"},
};

} // namespace

extern const Command log_command;
const Command log_command{
    .name = "log",
    .summary = "the kernel's message buffer",
    .synopsis = "[-T | -t] [-d] [-m] [-c] [-R] | -a | -s",
    .options = options,
    .needs = needs_target,
    .help = "Prints the kernel's messages, oldest first. A message of several lines is indented to its first one. Messages\n"
            "that could not be read stay in the list and say why.\n\n"
            "Examples:\n"
            "  log           the messages with the kernel's own times\n"
            "  log -m        with their levels: <0> emergency to <7> debug\n"
            "  log -T | tail with the wall clock's times\n"
            "  log -td       without times, with SUBSYSTEM= and DEVICE= of messages about devices\n",
    .run = run,
    .in_minimal = true,
};

} // namespace kcrash
