// SPDX-License-Identifier: GPL-3.0-or-later
// vtop: from a virtual address to its page, step by step.
#include "commands/session.hpp"
#include "commands/task_space.hpp"
#include "core/error.hpp"
#include "kernel/page.hpp"
#include "kernel/path.hpp"
#include "kernel/swap_file.hpp"
#include "kernel/vma.hpp"
#include <fmt/format.h>

namespace kcrash {
namespace {

// The address space that one vtop command looks through.
struct Space {
    const AddressSpace* space = nullptr;
    std::unique_ptr<AddressSpace> owned; // of a process
    uint64_t mm = 0;                     // of that process
    bool user = false;
};

Space kernel_space(const Session& session) { return {&session.target().kernel(), nullptr, 0, false}; }

Space user_space(const Session& session, const Task& task) {
    Space result{nullptr, task_space(session, task), *task.mm, true};
    result.space = result.owned.get();
    return result;
}

std::string size_words(uint64_t bytes) {
    if (bytes >= uint64_t{1} << 30) return fmt::format("{}GB", bytes >> 30);
    return bytes >= uint64_t{1} << 20 ? fmt::format("{}MB", bytes >> 20) : fmt::format("{}KB", bytes >> 10);
}

// Where a table or an entry lies, as this architecture's vtop shows it.
AddressValue shown(const Target& target, PhysicalAddress physical) {
    const Architecture& arch = target.arch();
    const auto map = arch.walk_lines.virtual_addresses && arch.direct_map ? arch.direct_map(target.facts()) : std::nullopt;
    return AddressValue{map ? *map + physical.value : physical.value};
}

void say_steps(Session& session, const Space& space, const Walk& walk) {
    Report& report = session.report();
    const Target& target = session.target();
    const WalkLines& lines = target.arch().walk_lines;
    const uint64_t top = space.user ? 0 : target.facts().symbol("swapper_pg_dir").value_or(0);
    if (const char* line = space.user ? lines.user_top : lines.kernel_top)
        report.record("top", line, {{"address", top ? AddressValue{top} : shown(target, space.space->root())}});
    for (size_t i = 0; i < walk.steps.size(); ++i) {
        const WalkStep& step = walk.steps[i];
        // The kernel's top table is shown where its symbol is.
        const bool in_image = i == 0 && top && lines.virtual_addresses;
        const AddressValue address = in_image ? AddressValue{top + (step.address.value - space.space->root().value)} : shown(target, step.address);
        const bool first = i == 0 && !space.user && lines.kernel_first;
        report.record("step", first ? lines.kernel_first : lines.step,
                      {{"level", std::string(step.level)}, {"address", address}, {"entry", HexValue{step.entry}}});
    }
    if (walk.fault != Fault::none) return;
    const uint64_t base = walk.result.physical.value & ~(walk.result.page_size - 1), small = target.physical().page_size();
    report.record("page", walk.result.page_size == small ? "  PAGE: {address}" : "  PAGE: {address}  ({text})",
                  {{"address", AddressValue{base}}, {"size", BytesValue{walk.result.page_size}}, {"text", size_words(walk.result.page_size)}});
}

void say_entry(Session& session, const Walk& walk) {
    const Target& target = session.target();
    const std::string entry = fmt::format("{:x}", walk.fault == Fault::swapped ? walk.swap_entry : walk.result.entry);
    const int width = static_cast<int>(std::max<size_t>(entry.size(), 3));
    const std::string title = fmt::format("{:^{}}", "PTE", width);
    session.report().text("", true);
    if (walk.fault == Fault::swapped) {
        const SwapEntry swap = target.arch().swap_entry(target.facts(), walk.swap_entry);
        const std::string file = swap_file_name(target, swap.type);
        const int file_width = static_cast<int>(std::max<size_t>(file.size(), 4));
        session.report().text(fmt::format("{}  {:^{}}  OFFSET", title, "SWAP", file_width), true);
        session.report().record("swap", fmt::format("{{entry:>{}}}  {{file:>{}}}  {{offset}}", width, file_width),
                                {{"entry", HexValue{walk.swap_entry}}, {"type", uint64_t{swap.type}}, {"file", file}, {"offset", swap.offset}});
        return;
    }
    const std::string physical = fmt::format("{:x}", walk.result.physical.value & ~(walk.result.page_size - 1));
    const int physical_width = static_cast<int>(std::max<size_t>(physical.size(), 8));
    session.report().text(fmt::format("{}  {:^{}}  FLAGS", title, "PHYSICAL", physical_width), true);
    session.report().record("entry", fmt::format("{{entry:>{}}}  {{physical:>{}}}  ({{flags}})", width, physical_width),
                            {{"entry", HexValue{walk.result.entry}},
                             {"physical", AddressValue{walk.result.physical.value & ~(walk.result.page_size - 1)}},
                             {"flags", target.arch().describe_entry(target.facts(), walk.result.entry)}});
}

void say_vma(Session& session, const Space& space, uint64_t address) {
    const Target& target = session.target();
    const auto vma = find_vma(target, space.mm, address);
    if (!vma) return;
    session.report().text("", true);
    session.report().text("      VMA           START       END     FLAGS FILE", true);
    session.report().record("vma", "{vma:>16} {start:>10} {end:>10} {flags:>6} {file}",
                            {{"vma", AddressValue{vma->address}}, {"start", AddressValue{vma->begin}}, {"end", AddressValue{vma->end}},
                             {"flags", HexValue{vma->flags}}, {"file", file_name(target, vma->file)}});
}

void say_page(Session& session, PhysicalAddress physical) {
    const Target& target = session.target();
    const PageMap map(target);
    if (!map.known()) return;
    const Page page = map.read(PageFrame{physical.value / target.physical().page_size()});
    const auto hex = [](const std::optional<uint64_t>& v) { return v ? CellValue{HexValue{*v}} : CellValue{Missing{"struct page"}}; };
    session.report().text("", true);
    session.report().text("      PAGE       PHYSICAL      MAPPING       INDEX CNT FLAGS", true);
    session.report().record("struct_page", "{page:>16} {physical:>8} {mapping:>16} {index:>8} {count:>2} {flags} {names}",
                            {{"page", AddressValue{page.address}},
                             {"physical", AddressValue{page.physical.value}},
                             {"mapping", page.mapping ? CellValue{AddressValue{*page.mapping}} : CellValue{Missing{"struct page"}}},
                             {"index", hex(page.index)},
                             {"count", page.count ? CellValue{*page.count} : CellValue{Missing{"struct page"}}},
                             {"flags", hex(page.flags)},
                             {"names", page.flags ? page_flag_names(target, *page.flags) : std::string{}}});
}

void translate(Session& session, const Space& space, uint64_t address) {
    const Walk walk = space.space->walk(VirtualAddress{address});
    const std::string shown = fmt::format("{:x}", address);
    const int width = static_cast<int>(std::max<size_t>(shown.size(), space.user ? 10 : 16));
    session.report().text(fmt::format("{:<{}}  {:<16}", "VIRTUAL", width, "PHYSICAL"), true);
    CellValue physical = AddressValue{walk.result.physical.value};
    if (walk.fault != Fault::none) physical = std::string(walk.fault == Fault::no_mapping ? "(not mapped)" : fmt::format("({})", describe(walk.fault)));
    session.report().begin("translation", fmt::format("{{virtual:<{}}}  {{physical:<16}}", width),
                           {{"virtual", AddressValue{address}},
                            {"physical", physical},
                            {"space", std::string(space.user ? "user" : "kernel")},
                            {"fault", walk.fault == Fault::none ? CellValue{Nothing{}} : CellValue{std::string(name(walk.fault))}}});
    session.report().text("", true);
    say_steps(session, space, walk);
    if (walk.fault == Fault::none || walk.fault == Fault::swapped) say_entry(session, walk);
    if (space.user) say_vma(session, space, address);
    if (walk.fault == Fault::none) say_page(session, walk.result.physical);
    session.report().end();
    session.report().text("", true);
}

void run(Session& session, const Invocation& invocation) {
    if (invocation.operands.empty()) throw UsageError("no address given: vtop [-c pid | task] [-u | -k] address...");
    if (invocation.has("u") && invocation.has("k")) throw UsageError("-u and -k exclude each other");
    const auto chosen = invocation.value("c");
    const Target& target = session.target();
    const auto task = [&]() -> const Task& { return chosen ? session.task(*chosen) : session.current(); };
    const bool of_process = chosen && target.kernel_address(0); // on s390x every number may be an address of the kernel: who names a task means its
    for (const std::string& word : invocation.operands) {
        const uint64_t address = session.address(word);
        const bool user = invocation.has("u") || (!invocation.has("k") && (of_process || !target.kernel_address(address)));
        translate(session, user ? user_space(session, task()) : kernel_space(session), address);
    }
}

constexpr Option options[] = {
    {"c", "pid|task", ArgumentKind::task, "translate a user address of this task, in place of the current one"},
    {"u", "", ArgumentKind::none, "the address is a user virtual address"},
    {"k", "", ArgumentKind::none, "the address is a kernel virtual address"},
};

} // namespace

extern const Command vtop_command;
const Command vtop_command = {
    .name = "vtop",
    .summary = "translate virtual addresses to physical ones",
    .synopsis = "[-c pid | task] [-u | -k] address...",
    .options = options,
    .operands = ArgumentKind::symbol_or_address,
    .needs = needs_target,
    .help = R"help(Walks the page tables and shows each entry on the way: its physical address and its value. Then come the last
entry's protection, for user addresses the area (VMA) with its file, and the page's struct page.

Which space an address belongs to shows in the address itself; -u and -k say it where that is not so.
An address that no table maps says "(not mapped)". A table that is not in the dump says why it cannot be read:
that is not the same. A page that is in swap shows the swap file and the offset in it, in pages.

Examples:
  A kernel address:
    vtop ffffffff81a00000
  A user address of pid 1:
    vtop -c 1 401000
  A symbol, and user addresses of the current task:
    vtop jiffies
    vtop -u 401000 7ffca364b000
)help",
    .run = run,
};

} // namespace kcrash
