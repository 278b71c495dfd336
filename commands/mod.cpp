// SPDX-License-Identifier: GPL-3.0-or-later
// mod: the loaded modules, and loading the symbols and debug information of their files.
#include "commands/session.hpp"
#include "core/error.hpp"
#include "core/interrupt.hpp"
#include "kernel/taint.hpp"
#include "symbols/debug_files.hpp"
#include <algorithm>
#include <fmt/format.h>
#include <sys/stat.h>

namespace kcrash {
namespace {

using Modules = std::vector<const LoadedModule*>;

Modules by_base(const Target& target) {
    Modules modules;
    for (const LoadedModule& module : target.symbols().modules()) modules.push_back(&module);
    std::stable_sort(modules.begin(), modules.end(), [](const auto* a, const auto* b) { return a->base < b->base; });
    return modules;
}

const LoadedModule& module_named(const Target& target, std::string_view name) {
    for (const LoadedModule& module : target.symbols().modules())
        if (module.name == name) return module;
    throw LookupError(fmt::format("module \"{}\" is not loaded in the dumped kernel; \"mod\" lists those that are", name));
}

void show(Session& session, const Modules& modules) {
    if (modules.empty()) {
        session.report().text("no modules are loaded");
        return;
    }
    size_t name_width = 4, size_width = 4;
    for (const LoadedModule& module : session.target().symbols().modules()) {
        name_width = std::max(name_width, module.name.size());
        size_width = std::max(size_width, std::to_string(module.size).size());
    }
    const int address = static_cast<int>(session.target().arch().word_size) * 2;
    const bool pieces = session.target().try_member("struct module", {"mem"}).has_value();
    const Column columns[] = {
        {"module", "MODULE", address, Align::center},
        {"name", "NAME", static_cast<int>(name_width), Align::left, "  "},
        {"base", pieces ? "TEXT_BASE" : "BASE", address, Align::center, "  "},
        {"size", "SIZE", static_cast<int>(size_width), Align::right, "  "},
        {"object_file", "OBJECT FILE", 0, Align::left, "  "},
    };
    session.report().table("module", columns);
    for (const LoadedModule* module : modules) {
        const bool loaded = !module->object_file.empty();
        const std::string own = module->own_symbols && module->own_symbols->size() ? "  [CONFIG_KALLSYMS]" : "";
        session.report().row({AddressValue{module->address}, module->name, AddressValue{module->base}, BytesValue{module->size},
                              loaded ? CellValue(module->object_file) : CellValue(std::string("(not loaded)"))},
                             loaded ? "" : own);
    }
}

void show_taints(Session& session) {
    const Target& target = session.target();
    // Enterprise kernels note which modules have no valid signature.
    const auto signature = target.try_member("struct module", {"gpgsig_ok"});
    std::vector<std::pair<std::string, std::string>> rows;
    std::vector<uint64_t> masks;
    size_t width = 4;
    for (const LoadedModule* module : by_base(target)) {
        uint64_t signed_ok = 1;
        const bool has_signature = signature && signature->load(target.kernel(), module->address, signed_ok) == Fault::none;
        if (!module->taints && (!has_signature || signed_ok)) continue;
        const std::string letters = taint_letters(target, module->taints);
        rows.emplace_back(module->name, (letters.empty() && module->taints ? fmt::format("{:x}", module->taints) : letters) + (has_signature && !signed_ok ? "(U)" : ""));
        masks.push_back(module->taints);
        width = std::max(width, module->name.size());
    }
    if (rows.empty()) {
        session.report().text("no tainted modules");
        return;
    }
    const Column columns[] = {{"name", "NAME", static_cast<int>(width), Align::left}, {"taints", "TAINTS", 0, Align::left, "  "}};
    session.report().table("taint", columns);
    for (auto& [name, letters] : rows) session.report().row({std::move(name), std::move(letters)});
}

std::string release_of(const Target& target) { return std::string(target.vmcoreinfo().value("OSRELEASE").value_or("")); }

void load_one(Session& session, const Invocation& invocation) {
    Target& target = session.target();
    if (invocation.operands.size() > 1) throw UsageError("one object file at most: mod -s module [objfile]");
    const std::string name = *invocation.value("s"), file = invocation.operands.empty() ? "" : invocation.operands.front();
    target.load_module(name, file, invocation.has("g"));
    show(session, {&module_named(target, name)});
}

void load_all(Session& session, const Invocation& invocation) {
    Target& target = session.target();
    std::optional<ModuleFinder> only_there;
    if (!invocation.operands.empty()) {
        const std::string& place = invocation.operands.front();
        struct stat st {};
        if (invocation.operands.size() > 1 || ::stat(place.c_str(), &st) != 0 || !S_ISDIR(st.st_mode))
            throw UsageError(fmt::format("{} is not a directory", invocation.operands.back()));
        only_there.emplace(ModuleSearch{.release = release_of(target), .directories = {place}, .beside = {}, .standard = false});
    }
    FoundFile searched; // of the last that was not found
    std::vector<std::string> names, missing;
    for (const LoadedModule* module : by_base(target)) names.push_back(module->name);
    size_t loaded = 0;
    for (const std::string& name : names) {
        check_interrupt();
        const LoadedModule& module = module_named(target, name);
        FoundFile found = only_there ? only_there->find(module) : target.find_module_object(module, true);
        try {
            if (found.path.empty()) {
                searched = std::move(found);
                throw LookupError(fmt::format("cannot find or load object file for {} module", name));
            }
            target.load_module(name, found.path, invocation.has("g"));
            ++loaded;
        } catch (const Interrupted&) {
            throw;
        } catch (const Error& error) {
            missing.push_back(error.what());
        }
    }
    for (const std::string& what : missing) session.report().note(loaded ? Severity::warning : Severity::error, what);
    if (!searched.searched.empty()) session.report().note(Severity::warning, "the last of them: " + search_advice(searched, release_of(target)));
    Modules shown;
    for (const LoadedModule* module : by_base(target))
        if (!module->object_file.empty()) shown.push_back(module);
    if (!shown.empty()) show(session, shown);
}

// Shows the modules whose files were forgotten, as they are now.
void unload(Session& session, const std::vector<std::string>& names) {
    Target& target = session.target();
    std::vector<std::string> loaded;
    for (const std::string& name : names)
        if (!module_named(target, name).object_file.empty()) loaded.push_back(name);
    for (const std::string& name : loaded) target.unload_module(name);
    if (loaded.empty()) return session.report().text(names.size() == 1 ? fmt::format("no object file is loaded for {}", names.front()) : "no object files are loaded");
    Modules shown;
    for (const std::string& name : loaded) shown.push_back(&module_named(target, name));
    show(session, shown);
}

void unload_all(Session& session) {
    std::vector<std::string> names;
    for (const LoadedModule* module : by_base(session.target())) names.push_back(module->name);
    unload(session, names);
}

void run(Session& session, const Invocation& invocation) {
    Target& target = session.target();
    if (invocation.has("t")) return show_taints(session);
    if (invocation.has("D")) return unload_all(session);
    if (invocation.has("d")) return unload(session, invocation.values("d"));
    if (invocation.has("s")) return load_one(session, invocation);
    if (invocation.has("S")) return load_all(session, invocation);
    if (invocation.has("g")) throw UsageError("-g says what to add when a file is loaded: mod -s module -g, or mod -S -g");
    if (invocation.has("R")) throw UsageError("-R is for live systems: the modules of a dump do not change; \"mod -D\" forgets loaded object files");
    Modules modules = by_base(target);
    if (!invocation.operands.empty()) {
        modules.clear();
        for (const std::string& name : invocation.operands) modules.push_back(&module_named(target, name));
    }
    show(session, modules);
}

constexpr Option options[] = {
    {"s", "module", ArgumentKind::module, "load symbols and debug information of a module's object file"},
    {"d", "module", ArgumentKind::module, "forget what was loaded for a module"},
    {"S", "", ArgumentKind::none, "load those of all modules, from a directory or from the usual places"},
    {"D", "", ArgumentKind::none, "forget what was loaded for all modules"},
    {"t", "", ArgumentKind::none, "the modules that taint the kernel"},
    {"g", "", ArgumentKind::none, "with -s or -S: list the sections' starts and ends among the symbols, see \"sym -m\""},
    {"R", "", ArgumentKind::none, "read the list of modules anew: for live systems only"},
    {"r", "", ArgumentKind::none, "debug information is always read when it is needed, so this changes nothing"},
    {"o", "", ArgumentKind::none, "there is one way to load symbols, so this changes nothing"},
};

} // namespace

extern const Command mod_command;
const Command mod_command = {
    .name = "mod",
    .summary = "the loaded modules and their symbols",
    .synopsis = "[module]... | -s module [objfile] | -d module | -S [directory] [-D|-t|-r|-R|-o|-g]",
    .options = options,
    .operands = ArgumentKind::module,
    .needs = needs_target | needs_symbols,
    .help = R"help(Without options: each module, where its struct module is, where its memory begins and how large it is, and the object file
that was loaded for it. [CONFIG_KALLSYMS] stands where the dump itself has the module's symbols: names need no file then; types,
files, lines and variables do.

An object file is the module's .ko or .ko.debug, also packed as .xz, .zst, .gz or .bz2. It is searched by the module's build-id
beside the dump, in the directories of --mod and --debug-dir, in the folder of vmlinux and below it, in /usr/lib/debug and in
/lib/modules, then asked for at the servers of DEBUGINFOD_URLS when that is set; one whose build-id is another's is refused. When
there is none, the places that were searched are named, and the package that has it.

Examples:
  The modules:
    mod
  Load one from the usual places, or from a file:
    mod -s nfs
    mod -s nfs /tmp/nfs.ko.debug
  Load all that a directory has:
    mod -S /tmp/modules
)help",
    .run = run,
};

} // namespace kcrash
