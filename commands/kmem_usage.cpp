// SPDX-License-Identifier: GPL-3.0-or-later
// kmem -i, -V, -z: how memory was used.
#include "commands/banner.hpp"
#include "commands/kmem_parts.hpp"
#include "kernel/mmzone.hpp"
#include "kernel/vmstat.hpp"
#include <algorithm>
#include <fmt/format.h>

namespace kcrash {
namespace {

// The rows of kmem -i: pages, their size, and what part they are of a total.
class UsageTable {
public:
    explicit UsageTable(Session& session) : report_(session.report()), page_(session.target().physical().page_size()) {
        report_.text("                 PAGES        TOTAL      PERCENTAGE", true);
    }
    void row(std::string_view label, std::string_view key, std::optional<int64_t> pages, std::optional<int64_t> total = {}, std::string_view of = {}) {
        const Missing unreadable{"unreadable"};
        CellValue percent = Nothing{};
        if (!of.empty()) percent = !pages || !total ? CellValue{unreadable} : CellValue{*total > 0 ? *pages * 100 / *total : int64_t{0}};
        const std::string layout = fmt::format("{:>13}  {{pages:>7}}  {{size:>11}}  {}", label,
                                               of.empty() ? "       ----" : fmt::format("{{percent:>3}}% of {}", of));
        const std::string size = pages && *pages != 0 ? size_text(static_cast<uint64_t>(*pages) * page_) : "0";
        report_.record("usage", layout, {{"name", std::string(key)},
                                         {"pages", cell_or_missing(pages)},
                                         {"bytes", pages ? CellValue{BytesValue{static_cast<uint64_t>(*pages) * page_}} : CellValue{unreadable}},
                                         {"size", pages ? CellValue{size} : CellValue{unreadable}},
                                         {"percent", percent}});
    }
    void blank() { report_.text("", true); }

private:
    Report& report_;
    uint64_t page_;
};

std::optional<int64_t> as_signed(std::optional<uint64_t> value) {
    return value ? std::optional(static_cast<int64_t>(*value)) : std::nullopt;
}

std::optional<int64_t> minus(std::optional<int64_t> a, std::optional<int64_t> b) {
    return a && b ? std::optional(*a - *b) : std::nullopt;
}

} // namespace

void kmem_usage(Session& session, bool shared) {
    const MemoryInfo info = read_memory_info(session.target());
    UsageTable table(session);
    table.row("TOTAL MEM", "total", info.total);
    table.row("FREE", "free", info.free, info.total, "TOTAL MEM");
    table.row("USED", "used", minus(info.total, info.free), info.total, "TOTAL MEM");
    if (shared) table.row("SHARED", "shared", as_signed(count_shared_pages(session.target())), info.total, "TOTAL MEM");
    table.row("BUFFERS", "buffers", info.buffers, info.total, "TOTAL MEM");
    table.row("CACHED", "cached", info.cached(), info.total, "TOTAL MEM");
    const auto slab = info.slab_reclaimable && info.slab_unreclaimable ? std::optional(*info.slab_reclaimable + *info.slab_unreclaimable) : std::nullopt;
    table.row("SLAB", "slab", slab, info.total, "TOTAL MEM");
    if (info.huge_total) {
        table.blank();
        table.row("TOTAL HUGE", "huge_total", as_signed(info.huge_total));
        table.row("HUGE FREE", "huge_free", as_signed(info.huge_free), as_signed(info.huge_total), "TOTAL HUGE");
    }
    table.blank();
    table.row("TOTAL SWAP", "swap_total", as_signed(info.swap_total));
    table.row("SWAP USED", "swap_used", as_signed(info.swap_used), as_signed(info.swap_total), "TOTAL SWAP");
    table.row("SWAP FREE", "swap_free", minus(as_signed(info.swap_total), as_signed(info.swap_used)), as_signed(info.swap_total), "TOTAL SWAP");
    table.blank();
    table.row("COMMIT LIMIT", "commit_limit", as_signed(info.commit_limit));
    table.row("COMMITTED", "committed", info.committed, as_signed(info.commit_limit), "TOTAL LIMIT");
    if (info.committed_incomplete) session.report().note(Severity::warning, "COMMITTED lacks what some cpu held back: its per-cpu memory is unreadable");
}

void kmem_counters(Session& session) {
    Report& report = session.report();
    const auto tables = read_counters(session.target());
    size_t width = 0; // the same for all tables but the events
    for (const CounterTable& table : tables)
        for (const Counter& counter : table.counters)
            if (table.name != "VM_EVENT_STATES") width = std::max(width, counter.name.size());
    bool first = true;
    for (const CounterTable& table : tables) {
        size_t its = width;
        if (table.name == "VM_EVENT_STATES")
            for (const Counter& counter : table.counters) its = std::max(counter.name.size(), &counter == table.counters.data() ? 0 : its);
        if (!first) report.text("", true);
        first = false;
        report.begin("counters", "  {name}:", {{"name", std::string(table.name)}});
        const std::string layout = fmt::format("{{name:>{}}}: {{value}}", its);
        for (const Counter& counter : table.counters)
            report.record("counter", layout, {{"name", std::string(counter.name)}, {"value", cell_or_missing(counter.value)}});
        report.end();
    }
}

static void say_zone(Report& report, const Zone& zone, const std::vector<std::string_view>& names, size_t width) {
    report.begin("zone", "NODE: {node}  ZONE: {zone}  ADDR: {address}  NAME: \"{name}\"",
                 {{"node", uint64_t{zone.node}}, {"zone", uint64_t{zone.index}}, {"address", AddressValue{zone.address}}, {"name", zone.name}});
    if (!zone.populated()) {
        report.text("  [unpopulated]", true);
        report.text("", true);
        report.end();
        return;
    }
    const auto mark = [&](size_t i) { return i < zone.watermarks.size() ? cell_or_missing(zone.watermarks[i]) : CellValue{Missing{"unreadable"}}; };
    const bool with_holes = zone.present != zone.spanned;
    report.record("size", with_holes ? "  SIZE: {spanned}  PRESENT: {present}  MIN/LOW/HIGH: {min}/{low}/{high}"
                                     : "  SIZE: {spanned}  MIN/LOW/HIGH: {min}/{low}/{high}",
                  {{"spanned", cell_or_missing(zone.spanned)},
                   {"present", cell_or_missing(zone.present)},
                   {"managed", cell_or_missing(zone.managed)},
                   {"min", mark(0)}, {"low", mark(1)}, {"high", mark(2)}});
    report.text("  VM_STAT:", true);
    const std::string layout = fmt::format("{{name:>{}}}: {{value}}", width);
    for (size_t i = 0; i < zone.counters.size(); ++i)
        report.record("counter", layout, {{"name", std::string(i < names.size() ? names[i] : "?")}, {"value", cell_or_missing(zone.counters[i])}});
    report.text("\n", true);
    report.end();
}

void kmem_zones(Session& session) {
    std::vector<std::string> warnings;
    const auto nodes = read_nodes(session.target(), warnings);
    for (const std::string& warning : warnings) session.report().note(Severity::warning, warning);
    const auto names = zone_counter_names(session.target());
    size_t width = 0;
    for (const std::string_view name : names) width = std::max(width, name.size());
    for (const Node& node : nodes)
        for (const Zone& zone : node.zones) say_zone(session.report(), zone, names, width);
}

} // namespace kcrash
