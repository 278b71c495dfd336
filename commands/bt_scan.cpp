// SPDX-License-Identifier: GPL-3.0-or-later
// bt: stacks searched for what looks like addresses of text or saved registers.
#include "commands/bt_parts.hpp"
#include "commands/task_header.hpp"
#include <fmt/format.h>

namespace kcrash::bt {
namespace {

// "[ff4940f9c0643b20] read_zero at ffffffffba2ccb2d [mod]", numbered for -o.
void print_text(Session& session, const Plan& plan, const ScanItem& item, std::optional<unsigned> level) {
    const uint64_t lookup = lookup_of(session.target(), item.value);
    const CodePlace place = describe_code(session.target(), lookup, item.value);
    std::string layout = !level ? "  [{sp:8x}] " : *level < 10 ? " #{level} [{sp:8x}] " : "#{level} [{sp:8x}] ";
    layout += place.function.empty() ? "(unknown)" : "{function}";
    if (plan.offsets && !place.function.empty()) layout += plan.hex ? "+0x{offset:x}" : "+{offset}";
    layout += " at {ip}";
    if (!place.module.empty()) layout += " [{module}]";
    Fields fields{{"sp", AddressValue{item.address}}, {"function", place.function}, {"offset", place.offset},
                  {"ip", AddressValue{item.value}},   {"module", place.module},     {"level", level ? CellValue{uint64_t{*level}} : Nothing{}}};
    if (plan.lines)
        if (DebugInfo* info = session.target().debug_info(lookup))
            if (const auto line = info->line(lookup)) {
                fields.push_back({"file", line->file});
                fields.push_back({"line", uint64_t{line->line}});
                layout += "\n    {file}: {line}";
            }
    session.report().record("possible_frame", layout, fields);
}

void print_items(Session& session, const Plan& plan, const std::vector<ScanItem>& items) {
    unsigned level = 0;
    for (const ScanItem& item : items) {
        if (item.kind == ScanItem::Kind::text)
            print_text(session, plan, item, plan.style == Style::old ? std::optional(level++) : std::nullopt);
        else if (item.kind == ScanItem::Kind::registers) print_registers(session, *item.exception);
        else session.report().text(item.separator, true);
    }
}

void print_exceptions(Session& session, const std::vector<ExceptionFrame>& found) {
    for (const ExceptionFrame& exception : found) {
        session.report().record("exception_frame", exception.user_mode ? "\n  USER-MODE EXCEPTION FRAME AT: {address}" : "\n  KERNEL-MODE EXCEPTION FRAME AT: {address}",
                                {{"address", AddressValue{exception.address}}});
        print_registers(session, exception);
    }
}

} // namespace

void print_scan(Session& session, const Plan& plan, const Unwinder& unwinder, const Task& task) {
    const auto range = unwinder.process_stack(task);
    if (!range) return session.report().text("(no stack)");
    const Stack stack = unwinder.unwind(task, plan.stack);
    if (plan.style == Style::all_text) return print_items(session, plan, scan_all_text(session.target(), stack, *range));
    if (stack.active_without_registers) session.report().text("(active)");
    if (plan.style == Style::text && !stack.frames.empty()) {
        const Frame& first = stack.frames.front();
        const CodePlace place = describe_code(session.target(), first.lookup(), first.pc);
        session.report().record("start", place.function.empty() ? "              START: (unknown) at {ip}" : "              START: {function} at {ip}",
                                {{"function", place.function}, {"ip", AddressValue{first.pc}}});
    }
    print_items(session, plan, scan_text(session.target(), stack, *range));
}

void print_exceptions_of(Session& session, const Unwinder& unwinder, const Task& task) {
    const auto range = unwinder.process_stack(task);
    if (!range) return session.report().text("(no stack)");
    print_exceptions(session, find_exception_frames(session.target(), *range));
}

// First the interrupt stacks of all CPUs, then the exception stacks, as crash does.
void print_exceptions_of_cpus(Session& session, const std::vector<unsigned>& cpus) {
    for (const bool irq : {true, false})
        for (const unsigned cpu : cpus)
            for (const StackRange& range : special_stacks_of(session.target(), cpu)) {
                Translation unused; // those of SEV are mapped only where there is SEV
                const bool mapped = session.target().kernel().try_translate(VirtualAddress{range.begin}, unused) == Fault::none;
                if ((range.name == "IRQ") != irq || range.name == "ENTRY_TRAMPOLINE" || !mapped) continue;
                session.report().begin("stack", irq ? "CPU {cpu} IRQ STACK:" : "CPU {cpu} {name} EXCEPTION STACK:",
                                       {{"cpu", uint64_t{cpu}}, {"name", range.name}, {"begin", AddressValue{range.begin}}, {"end", AddressValue{range.end}}});
                const auto found = find_exception_frames(session.target(), range);
                if (found.empty()) session.report().text("(none found)", true);
                print_exceptions(session, found);
                session.report().end();
                session.report().text("", true);
            }
}

void print_overflows(Session& session) {
    uint64_t damaged = 0, unchecked = 0;
    for (const Task& task : session.tasks().all()) {
        const StackDamage damage = check_overflow(session.target(), task);
        unchecked += damage.unreadable;
        if (damage.problems.empty()) continue;
        if (damaged++) session.report().text("", true);
        session.report().begin("task", task_header_layout, task_fields(task));
        for (const std::string& problem : damage.problems)
            session.report().record("overflow", "  possible stack overflow: {problem}", {{"problem", problem}});
        session.report().end();
    }
    if (!damaged) session.report().record("overflow", "No stack overflows detected", {{"problem", Nothing{}}});
    if (unchecked) session.report().note(Severity::warning, fmt::format("the stacks of {} tasks could not be read and were not checked", unchecked));
}

} // namespace kcrash::bt
