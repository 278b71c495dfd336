// SPDX-License-Identifier: GPL-3.0-or-later
// help -LETTER: what kcrash knows of the dump and of itself, for whoever looks into a strange one.
#include "commands/help_state.hpp"
#include "commands/alias.hpp"
#include "commands/settings.hpp"
#include "commands/task_header.hpp"
#include <fmt/format.h>

namespace kcrash {
namespace {

void say(Session& session, std::string_view name, const CellValue& value) {
    session.report().record("state", "{name:>22}: {value}", {{"name", std::string(name)}, {"value", value}});
}

std::string cpu_list(const std::vector<unsigned>& cpus) { return fmt::format("{}", fmt::join(cpus, ",")); }

void aliases(Session& session) {
    for (const auto& [name, text] : builtin_aliases()) say(session, name, std::string(text));
    for (const auto& [name, text] : session.user_aliases) say(session, name, text);
}

void build(Session& session) {
    say(session, "version", std::string(KCRASH_VERSION));
    say(session, "compiler", std::string(__VERSION__));
}

void dump(Session& session) {
    const Dump& file = session.target().dump();
    const DumpInfo& info = file.info();
    for (const std::string& path : info.files) say(session, "file", path);
    say(session, "format", info.format);
    say(session, "compression", info.compression);
    say(session, "page_size", BytesValue{info.page_size});
    say(session, "dump_level", info.dump_level ? CellValue{uint64_t{*info.dump_level}} : CellValue{Missing{"unknown"}});
    say(session, "max_frame", HexValue{info.max_frame});
    if (info.double_bytes) say(session, "in the file twice", BytesValue{info.double_bytes});
    for (const Note& note : file.notes())
        session.report().record(
            "note", "                  note: {name}, type {type}, {size} bytes",
            {{"name", note.name}, {"type", HexValue{note.type}}, {"size", BytesValue{note.description.size()}}});
    session.report().text("\n" + session.target().vmcoreinfo().text());
}

void kernel(Session& session) {
    const Target& target = session.target();
    say(session, "release", std::string(target.vmcoreinfo().value("OSRELEASE").value_or("(unknown)")));
    say(session, "kaslr_offset", HexValue{target.kernel_offset()});
    say(session, "possible_cpus", cpu_list(target.possible_cpus()));
    say(session, "present_cpus", cpu_list(target.present_cpus()));
    say(session, "online_cpus", cpu_list(target.online_cpus()));
    say(session, "modules", uint64_t{target.symbols().modules().size()});
    for (const std::string& warning : target.warnings()) say(session, "warning", warning);
}

void kernel_and_modules(Session& session) {
    kernel(session);
    for (const LoadedModule& module : session.target().symbols().modules())
        for (const LoadedModule::Range& range : module.ranges)
            session.report().record("module", "{name:>22}: {begin} - {end} {part}",
                                    {{"name", module.name},
                                     {"begin", AddressValue{range.begin}},
                                     {"end", AddressValue{range.end}},
                                     {"part", std::string(1, range.kind)}});
}

void machine(Session& session) {
    const Target& target = session.target();
    say(session, "architecture", std::string(target.arch().name));
    say(session, "page_size", BytesValue{target.physical().page_size()});
    for (const auto& [name, value] : target.options().machine) say(session, name, HexValue{value});
    for (const unsigned cpu : target.possible_cpus())
        say(session, fmt::format("per_cpu_offset[{}]", cpu), AddressValue{target.per_cpu_offset(cpu)});
}

void types(Session& session) {
    for (const auto& source : session.target().types().sources()) say(session, "types from", std::string(source->source()));
}

void program(Session& session) {
    for (const Variable& variable : variables()) say(session, variable.name, variable.show(session));
    say(session, "failed commands", uint64_t{session.failed_commands});
    say(session, "values", uint64_t{session.values.size()});
}

void registers(Session& session) {
    const Target& target = session.target();
    uint64_t index = 0;
    for (const Note& note : target.dump().notes()) {
        if (note.name != "CORE" || note.type != note_prstatus) continue;
        session.report().record("prstatus", "NT_PRSTATUS {index}:", {{"index", index++}});
        for (const SavedRegister& saved : registers_of_note(target.arch(), note.description.size())) {
            const auto bytes = std::span<const std::byte>(note.description).subspan(saved.offset, saved.size ? saved.size : target.arch().word_size);
            say(session, saved.name, AddressValue{load_unsigned(bytes, target.dump().info().order)});
        }
    }
    if (index == 0) throw Error("the dump has no notes with registers");
}

void symbols(Session& session) {
    const Symbols& all = session.target().symbols();
    say(session, std::string(all.kernel().source()), uint64_t{all.kernel().size()});
    for (const LoadedModule& module : all.modules())
        session.report().record(
            "module", "{name:>22}: {symbols} from {from}",
            {{"name", module.name},
             {"symbols", module.symbols ? CellValue{uint64_t{module.symbols->size()}} : CellValue{Missing{"none"}}},
             {"from", module.symbols ? std::string(module.symbols->source()) : std::string("nowhere")}});
}

void tasks(Session& session) {
    const Tasks& all = session.tasks();
    say(session, "tasks", uint64_t{all.all().size()});
    say(session, "panic_task",
        all.panic_task() ? CellValue{AddressValue{all.panic_task()->address}} : CellValue{Missing{"unknown"}});
    say(session, "panic_cpu", all.panic_cpu() ? CellValue{uint64_t{*all.panic_cpu()}} : CellValue{Missing{"unknown"}});
    for (const unsigned cpu : session.target().possible_cpus())
        if (const Task* task = all.active_on(cpu)) say(session, fmt::format("active[{}]", cpu), AddressValue{task->address});
}

void tasks_and_contexts(Session& session) {
    tasks(session);
    for (const Task& task : session.tasks().all()) session.report().record("task", task_header_layout, task_fields(task));
}

void memory(Session& session) {
    uint64_t bytes = 0;
    const auto ranges = session.target().dump().memory();
    for (const PhysicalRange& range : ranges) bytes += range.end - range.begin;
    say(session, "ranges", uint64_t{ranges.size()});
    say(session, "bytes", BytesValue{bytes});
    say(session, "zero_excluded", session.target().physical().zero_excluded());
}

void memory_by_range(Session& session) {
    memory(session);
    for (const PhysicalRange& range : session.target().dump().memory())
        session.report().record("range", "                 range: {begin} - {end}",
                                {{"begin", AddressValue{range.begin.value}}, {"end", AddressValue{range.end.value}}});
}

struct State {
    std::string_view letter, help;
    void (*show)(Session& session); // null: crash keeps something there that kcrash does not
};
constexpr State states[] = {
    {"a", "aliases", aliases},
    {"B", "this binary", build},
    {"D", "the dump file, its notes and vmcoreinfo", dump},
    {"n", "as -D", dump},
    {"k", "the kernel", kernel},
    {"K", "the kernel and its modules", kernel_and_modules},
    {"m", "the machine", machine},
    {"o", "where types come from", types},
    {"p", "the session", program},
    {"r", "registers of the CPUs, from the dump's notes", registers},
    {"s", "where symbols come from", symbols},
    {"t", "the table of tasks", tasks},
    {"T", "the table of tasks, and all of them", tasks_and_contexts},
    {"v", "memory", memory},
    {"V", "memory, range by range", memory_by_range},
    {"b", "buffers", nullptr},
    {"c", "caches of arguments", nullptr},
    {"d", "devices", nullptr},
    {"e", "extensions", nullptr},
    {"f", "file systems", nullptr},
    {"g", "gdb", nullptr},
    {"h", "hash tables", nullptr},
    {"H", "hash tables", nullptr},
    {"L", "LKCD caches", nullptr},
    {"M", "machine details", nullptr},
    {"N", "networks", nullptr},
    {"O", "offsets", nullptr},
    {"x", "text caches", nullptr},
};

} // namespace

void show_state(Session& session, std::string_view letter) {
    for (const State& state : states) {
        if (letter == "z" && state.show) say(session, fmt::format("-{}", state.letter), std::string(state.help));
        if (state.letter != letter) continue;
        if (!state.show)
            throw UsageError(fmt::format("-{} means nothing here: kcrash keeps no table of {}; \"help -z\" lists what there is",
                                         letter, state.help));
        return state.show(session);
    }
    if (letter != "z") throw UsageError(fmt::format("unknown option -{}; \"help -z\" lists them", letter));
}

} // namespace kcrash
