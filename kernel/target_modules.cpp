// SPDX-License-Identifier: GPL-3.0-or-later
// Loading and forgetting the symbols of a module's file: each makes a new snapshot of all symbols. Where such files may lie.
#include "core/error.hpp"
#include "kernel/target_open.hpp"
#include "symbols/debug_files.hpp"
#include <algorithm>
#include <fmt/format.h>

namespace kcrash {
namespace {

size_t index_of(const std::vector<LoadedModule>& modules, std::string_view name) {
    for (size_t i = 0; i < modules.size(); ++i)
        if (modules[i].name == name) return i;
    throw LookupError(fmt::format("module \"{}\" is not loaded in the dumped kernel; \"mod\" lists those that are", name));
}

void add_folder_of(const std::string& vmlinux, std::vector<std::string>& places) {
    const size_t slash = vmlinux.rfind('/');
    if (!vmlinux.empty()) places.push_back(slash == std::string::npos ? "." : vmlinux.substr(0, slash));
}

} // namespace

ModuleSearch Target::module_search() const {
    ModuleSearch search;
    search.release = vmcoreinfo_.value("OSRELEASE").value_or("");
    search.directories = options_.module_directories;
    search.directories.insert(search.directories.end(), options_.debug_directories.begin(), options_.debug_directories.end());
    add_folder_of(options_.vmlinux, search.directories);
    if (const auto path = path_of_dump(options_)) add_folder_of(*path, search.beside);
    std::erase_if(search.beside, [&](const std::string& folder) { return std::ranges::find(search.directories, folder) != search.directories.end(); });
    return search;
}

std::vector<std::string> Target::source_search_path() const {
    std::vector<std::string> places = options_.source_directories;
    add_folder_of(options_.vmlinux, places);
    return places;
}

FoundFile Target::find_module_object(const LoadedModule& module, bool fetch) const {
    const std::scoped_lock guard(lazy_->lock);
    if (!lazy_->module_finder) lazy_->module_finder = std::make_unique<ModuleFinder>(module_search());
    return lazy_->module_finder->find(module, fetch ? &options_.progress : nullptr);
}

void Target::load_module(std::string_view name, const std::string& object_file, bool list_sections) {
    std::vector<LoadedModule> modules = symbols_->modules();
    LoadedModule& module = modules[index_of(modules, name)];
    std::string path = object_file;
    if (path.empty()) {
        const FoundFile found = find_module_object(module, true);
        if (found.path.empty())
            throw LookupError(fmt::format("module {}: no file of it with build-id {} was found; name the file, or open with --mod DIRECTORY; {}", name,
                                          module.build_id.empty() ? "(unknown)" : hex(module.build_id),
                                          search_advice(found, std::string(vmcoreinfo_.value("OSRELEASE").value_or("")))));
        path = found.path;
    }
    const auto file = ElfFile::open(path);
    if (!file->relocatable()) throw FileError(fmt::format("{}: not a module's object file", path));
    if (!module.build_id.empty() && file->build_id() != module.build_id && !options_.force)
        throw FileError(fmt::format("{}: its build-id {} is not that of the loaded module {}, {}; use --force to load it all the same", path,
                                    hex(file->build_id()), name, hex(module.build_id)));
    if (module.sections.empty())
        throw LookupError(fmt::format("module {}: the dump does not tell the addresses of its sections, so symbols of {} cannot be placed", name, path));
    auto symbols = read_module_symbols(*file, module);
    if (symbols->size() == 0) throw FileError(fmt::format("{}: has no symbols of module {}", path, name));
    module.symbols = std::move(symbols);
    module.object_file = path;
    module.list_sections = list_sections;
    for (LoadedModule::Section& section : module.sections)
        if (const ElfSection* in_file = file->section(section.name)) section.size = in_file->size;
    replace_modules(std::move(modules), name);
}

void Target::unload_module(std::string_view name) {
    std::vector<LoadedModule> modules = symbols_->modules();
    LoadedModule& module = modules[index_of(modules, name)];
    if (module.object_file.empty()) return;
    module.object_file.clear();
    module.list_sections = false;
    module.symbols = module.own_symbols;
    replace_modules(std::move(modules), name);
}

void Target::replace_modules(std::vector<LoadedModule> modules, std::string_view changed) {
    const std::scoped_lock guard(lazy_->lock);
    lazy_->module_dwarf.erase(std::string(changed));
    symbols_ = std::make_shared<Symbols>(symbols_->kernel_table(), std::move(modules));
}

} // namespace kcrash
