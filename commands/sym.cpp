// SPDX-License-Identifier: GPL-3.0-or-later
// sym: names to addresses, addresses to names.
#include "commands/session.hpp"
#include "core/error.hpp"
#include "core/interrupt.hpp"
#include "symbols/elf_file.hpp"
#include <algorithm>
#include <fmt/format.h>

namespace kcrash {
namespace {

// A symbol and where it stands in its table, so that its neighbours can be found.
struct Place {
    const SymbolTable* table = nullptr;
    const LoadedModule* module = nullptr;
    size_t index = 0;
    uint64_t offset = 0; // bytes, for a look-up by address
    Symbol symbol() const { return table->at(index); }
};

constexpr uint64_t alloc_flag = 2, code_flag = 4; // SHF_ALLOC, SHF_EXECINSTR

class Lister {
public:
    Lister(Session& session, bool sections) : session_(session), target_(session.target()), sections_(sections) {}

    // One line. `lines`: with the file and line of text.
    void show(const Place& place, bool lines) const {
        const Symbol symbol = place.symbol();
        const uint64_t address = symbol.address + place.offset;
        Fields fields{{"address", AddressValue{address}}, {"type", std::string(1, symbol.type)}, {"name", std::string(symbol.name)},
                      {"offset", place.offset},           {"module", Nothing{}},                 {"section", Nothing{}},
                      {"file", Nothing{}},                {"line", Nothing{}},                   {"plus", offset_text(place.offset)}};
        std::string layout = "{address} ({type}) {name}{plus}";
        if (place.module) fields[4].value = place.module->name, layout += " [{module}]";
        if (sections_) {
            const std::string section = section_of(place);
            if (!section.empty()) fields[5].value = section;
            layout += !place.module ? " [{section}]" : section.empty() ? " [in {module} module]" : " [{section} in {module} module]";
        } else if (const auto line = lines ? source_line(address) : std::nullopt) {
            fields[6].value = line->file;
            fields[7].value = static_cast<uint64_t>(line->line);
            layout += " {file}: {line}";
        }
        session_.report().record("symbol", layout, fields);
    }

    void show_table(const SymbolTable& table, const LoadedModule* module) const {
        for (size_t i = 0; i < table.size(); ++i) {
            if (i % 256 == 0) check_interrupt();
            show({&table, module, i, 0}, false);
        }
    }

    void show_module(const LoadedModule& module) const;

    // The place of a match; its table may hold several symbols of that address and name.
    Place place_of(const SymbolMatch& match) const {
        const SymbolTable& table = match.module ? *match.module->symbols : target_.symbols().kernel();
        for (size_t i = table.first_above(match.symbol.address); i-- > 0 && table.at(i).address == match.symbol.address;)
            if (table.at(i).name == match.symbol.name) return {&table, match.module, i, match.offset};
        throw LookupError(fmt::format("symbol {} is not where it was found", match.symbol.name));
    }

    // By address: the symbol that holds it, or else the one before it: padding and strings have no names of their own.
    std::optional<Place> place_at(uint64_t address) const {
        const Symbols& symbols = target_.symbols();
        if (const auto match = symbols.containing(address)) return place_of(*match);
        const LoadedModule* module = symbols.module_of(address);
        const bool in_kernel = address >= symbols.address("_stext").value_or(~uint64_t{0}) && address < symbols.address("_end").value_or(0);
        if (!module && !in_kernel) return std::nullopt;
        const SymbolTable& table = module ? *module->symbols : symbols.kernel();
        const size_t above = table.first_above(address);
        if (above == 0 || (module && symbols.module_of(table.at(above - 1).address) != module)) return std::nullopt;
        return Place{&table, module, above - 1, address - table.at(above - 1).address};
    }

    // ".init.text" is no symbol, but people look for it. False: no section of vmlinux.
    bool show_section(const std::string& name) const {
        const ElfSection* section = name.starts_with('.') && target_.elf() ? target_.elf()->section(name) : nullptr;
        if (!section || !(section->flags & alloc_flag)) return false;
        const uint64_t address = target_.slide().to_run_time(section->address);
        session_.report().record("section", "{address} ({type}) {name}",
                                 {{"address", AddressValue{address}}, {"type", std::string(1, (section->flags & code_flag) ? 't' : 'd')}, {"name", name}, {"size", BytesValue{section->size}}});
        return true;
    }

private:
    std::string offset_text(uint64_t offset) const {
        if (offset == 0) return {};
        return session_.settings.radix == 16 ? fmt::format("+0x{:x}", offset) : fmt::format("+{}", offset);
    }

    std::optional<SourceLine> source_line(uint64_t address) const {
        if (!target_.symbols().is_text(address)) return std::nullopt;
        DebugInfo* info = target_.debug_info(address);
        return info ? info->line(address) : std::nullopt;
    }

    std::string section_of(const Place& place) const {
        const uint64_t address = place.symbol().address;
        if (place.module) {
            const LoadedModule::Section* best = nullptr;
            for (const LoadedModule::Section& section : place.module->sections)
                if (section.address <= address && (!best || section.address >= best->address)) best = &section;
            return best && target_.symbols().module_of(best->address) == place.module ? best->name : "";
        }
        const ElfFile* elf = target_.elf();
        if (!elf) return {};
        const uint64_t linked = target_.slide().to_linked(address);
        for (const ElfSection& section : elf->sections())
            if ((section.flags & alloc_flag) && linked >= section.address && linked - section.address < section.size) return section.name;
        return {};
    }

    void mark(uint64_t address, std::string_view kind, const LoadedModule& module, std::string text) const {
        session_.report().record(kind, "{address} {text}", {{"address", AddressValue{address}}, {"module", module.name}, {"text", std::move(text)}});
    }
    void show_range(const LoadedModule& module, const std::string& what, uint64_t begin, uint64_t end, uint64_t last) const;

    Session& session_;
    Target& target_;
    bool sections_;
};

// The symbols of one part of a module between the marks of its start and end, and those of its sections if they were asked for.
void Lister::show_range(const LoadedModule& module, const std::string& what, uint64_t begin, uint64_t end, uint64_t last) const {
    struct Mark { uint64_t address; bool starts; std::string text; };
    std::vector<Mark> marks;
    for (const LoadedModule::Section& section : module.sections) {
        if (!module.list_sections || !section.size || section.address < begin || section.address >= end) continue;
        marks.push_back({section.address, true, fmt::format("[{}]: section start", section.name)});
        marks.push_back({section.address + section.size, false, fmt::format("[{}]: section end", section.name)});
    }
    std::stable_sort(marks.begin(), marks.end(), [](const Mark& a, const Mark& b) { return std::pair(a.address, a.starts) < std::pair(b.address, b.starts); });
    const SymbolTable& table = *module.symbols;
    mark(begin, "module-start", module, fmt::format("MODULE {}START: {}", what, module.name));
    size_t next = 0;
    for (size_t i = begin ? table.first_above(begin - 1) : 0; i < table.size() && table.at(i).address < end; ++i) {
        check_interrupt();
        for (; next < marks.size() && marks[next].address <= table.at(i).address; ++next) mark(marks[next].address, "section", module, marks[next].text);
        show({&table, nullptr, i, 0}, false);
    }
    for (; next < marks.size(); ++next) mark(marks[next].address, "section", module, marks[next].text);
    mark(last, "module-end", module, fmt::format("MODULE {}END: {}", what, module.name));
}

// Kernels before 6.4 have a module in one piece; since then each kind of memory is one, and its last byte stands at the end.
void Lister::show_module(const LoadedModule& module) const {
    bool pieces = false;
    for (const LoadedModule::Range& range : module.ranges) {
        if (range.name.empty()) continue;
        pieces = true;
        show_range(module, std::string(range.name) + " ", range.begin, range.end, range.end - 1);
    }
    if (pieces) return;
    show_range(module, "", module.base, module.base + module.size, module.base + module.size);
    uint64_t begin = ~uint64_t{0}, end = 0;
    for (const LoadedModule::Range& range : module.ranges)
        if (range.begin - module.base >= module.size) begin = std::min(begin, range.begin), end = std::max(end, range.end);
    if (begin < end) show_range(module, "INIT ", begin, end, end);
}

const LoadedModule& module_named(const Target& target, std::string_view name) {
    for (const LoadedModule& module : target.symbols().modules())
        if (module.name == name) return module;
    throw LookupError(fmt::format("module \"{}\" is not loaded in the dumped kernel; \"mod\" lists those that are", name));
}

// In the order in which crash lists modules.
std::vector<const LoadedModule*> by_base(const Target& target) {
    std::vector<const LoadedModule*> modules;
    for (const LoadedModule& module : target.symbols().modules()) modules.push_back(&module);
    std::stable_sort(modules.begin(), modules.end(), [](const auto* a, const auto* b) { return a->base < b->base; });
    return modules;
}

void search(Session& session, const Lister& lister, const std::string& text, bool only_count) {
    size_t count = 0;
    std::string last;
    const auto search_in = [&](const SymbolTable& table, const LoadedModule* module) {
        for (size_t i = 0; i < table.size(); ++i) {
            if (i % 4096 == 0) check_interrupt();
            const Symbol symbol = table.at(i);
            if (symbol.name.find(text) == std::string_view::npos) continue;
            ++count;
            if (only_count) last = symbol.name;
            else lister.show({&table, module, i, 0}, false);
        }
    };
    search_in(session.target().symbols().kernel(), nullptr);
    for (const LoadedModule* module : by_base(session.target())) search_in(*module->symbols, module);
    if (only_count) session.report().record("count", count ? "{count} found ({last})" : "{count} found", {{"count", uint64_t{count}}, {"last", last}});
    else if (count == 0) session.report().text("(none found)");
}

// A word is a symbol, or what has an address: then the symbol that holds it.
void look_up(Session& session, const Lister& lister, const Invocation& invocation, const std::string& word) {
    const Symbols& symbols = session.target().symbols();
    if (lister.show_section(word)) return;
    std::vector<Place> places;
    for (const SymbolMatch& match : symbols.find_all(word)) places.push_back(lister.place_of(match));
    if (places.empty()) {
        const auto place = lister.place_at(session.address(word));
        if (!place) throw LookupError(fmt::format("invalid address: {}", word));
        places.push_back(*place);
    }
    for (const Place& place : places) {
        const auto neighbour = [&](size_t index) { lister.show({place.table, place.module, index, 0}, true); };
        if (invocation.has("p") && place.index > 0) neighbour(place.index - 1);
        lister.show(place, true);
        if (invocation.has("n") && place.index + 1 < place.table->size()) neighbour(place.index + 1);
    }
}

void run(Session& session, const Invocation& invocation) {
    const Target& target = session.target();
    const Lister lister(session, invocation.has("s"));
    bool listed = true;
    if (invocation.has("l")) {
        lister.show_table(target.symbols().kernel(), nullptr);
        for (const LoadedModule* module : by_base(target)) lister.show_module(*module);
    } else if (invocation.has("M")) {
        for (const LoadedModule* module : by_base(target)) lister.show_module(*module);
    } else if (invocation.has("m")) {
        for (const std::string& name : invocation.values("m")) lister.show_module(module_named(target, name));
    } else if (invocation.has("q") || invocation.has("Q")) {
        for (const std::string& text : invocation.values("q")) search(session, lister, text, false);
        for (const std::string& text : invocation.values("Q")) search(session, lister, text, true);
    } else {
        listed = false;
    }
    if (!listed && invocation.operands.empty()) throw UsageError("no symbol given: sym [-l] | [-M] | [-m module] | [-p|-n|-s] [symbol | vaddr]");
    for (const std::string& word : invocation.operands) {
        try {
            look_up(session, lister, invocation, word);
        } catch (const LookupError& error) { // the other words may be right
            session.report().note(Severity::error, error.what());
        }
    }
}

constexpr Option options[] = {
    {"l", "", ArgumentKind::none, "all symbols: the kernel's, then the modules'"},
    {"M", "", ArgumentKind::none, "the symbols of all modules"},
    {"m", "module", ArgumentKind::module, "the symbols of one module"},
    {"p", "", ArgumentKind::none, "also the symbol before"},
    {"n", "", ArgumentKind::none, "also the symbol after"},
    {"q", "string", ArgumentKind::text, "every symbol whose name contains the string"},
    {"Q", "string", ArgumentKind::text, "how many symbols contain the string, and the last of them"},
    {"s", "", ArgumentKind::none, "the section that holds the symbol, in place of file and line"},
};

} // namespace

extern const Command sym_command;
const Command sym_command = {
    .name = "sym",
    .summary = "names to addresses, addresses to names",
    .synopsis = "[-l] | [-M] | [-m module] | [-q|-Q string] | [-p|-n|-s] [symbol | vaddr]...",
    .options = options,
    .operands = ArgumentKind::symbol_or_address,
    .needs = needs_target | needs_symbols,
    .help = R"help(A symbol gives its address, its type as nm names types, and for text the file and line of its first instruction. Several
symbols of one name are all listed. An address gives the symbol that holds it and the distance from its start. Symbols of modules
come with the module's name; their files and lines need the module's object file, which is searched as "mod -s" does.

With -m and -M the start and the end of a module's memory are shown around its symbols, and those of its sections after "mod -g".

Examples:
  An address of text:
    sym ffffffff810b2f40
  A symbol and its neighbours:
    sym -np jiffies
  All symbols that have to do with a word:
    sym -q pipe_read
  The symbols of a module:
    sym -m nfs
)help",
    .run = run,
    .in_minimal = true,
};

} // namespace kcrash
