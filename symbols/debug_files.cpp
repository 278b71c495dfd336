// SPDX-License-Identifier: GPL-3.0-or-later
// Where debug files are, and where kcrash keeps its own.
#include "symbols/debug_files.hpp"
#include "core/interrupt.hpp"
#include "symbols/debug_packages.hpp"
#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

namespace kcrash {
namespace {

// Makes the folder and those above it. False when it cannot be written to.
bool make_folder(const std::string& path) {
    for (size_t at = path.find('/', 1); at != std::string::npos; at = path.find('/', at + 1)) ::mkdir(path.substr(0, at).c_str(), 0700);
    ::mkdir(path.c_str(), 0700);
    struct stat st {};
    return ::stat(path.c_str(), &st) == 0 && S_ISDIR(st.st_mode) && ::access(path.c_str(), W_OK | X_OK) == 0;
}

constexpr size_t most_entries = 1000000; // of folders that are listed
constexpr int deepest = 32;

const char* const debug_folder = "/usr/lib/debug";

bool is_file(const std::string& path) {
    struct stat st {};
    return ::stat(path.c_str(), &st) == 0 && S_ISREG(st.st_mode);
}

// The name a module has in the kernel, from its file's: "snd-hda-intel.ko.xz" is snd_hda_intel. Empty: not a module.
std::string module_name(std::string_view file) {
    const size_t dot = file.find(".ko");
    if (dot == std::string_view::npos || dot == 0) return {};
    const std::string_view rest = file.substr(dot + 3);
    for (const std::string_view known : {"", ".debug", ".xz", ".zst", ".gz", ".bz2", ".debug.xz", ".debug.zst", ".debug.gz"})
        if (rest == known) {
            std::string name(file.substr(0, dot));
            std::replace(name.begin(), name.end(), '-', '_');
            return name;
        }
    return {};
}

// A build-id comes from a dump, and becomes part of paths and questions.
bool is_build_id(std::string_view hexadecimal) { return hexadecimal.size() >= 8 && hexadecimal.size() <= 128; }

// ".build-id/ab/cdef....debug" under a folder.
std::string build_id_path(const std::string& folder, const std::string& id) {
    return fmt::format("{}/.build-id/{}/{}.debug", folder, id.substr(0, 2), id.substr(2));
}

// Asks debuginfod, and takes what it gave if it fits. True: it did not answer in time.
template <typename Fits> bool fetch_into(FoundFile& found, const std::string& id, const ProgressMaker& progress, const Fits& fits) {
    if (!is_build_id(id)) return false;
    const Fetched fetched = fetch_debug_file(id, fetch_seconds, progress);
    if (fetched.path.empty() || !fits(fetched.path))
        found.searched.push_back(fmt::format("debuginfod ({})", fetched.path.empty() ? fetched.why : "it gave another file"));
    return fetched.late;
}

std::string folder_of(const std::string& path) {
    const size_t slash = path.rfind('/');
    return slash == std::string::npos ? "." : slash == 0 ? "/" : path.substr(0, slash);
}

// "vermagic=6.1.0-56-cloud-amd64 SMP ..." of .modinfo; empty when the file has none.
std::string release_of(const ElfFile& file) {
    const ElfSection* info = file.section(".modinfo");
    if (!info || info->size > 65536) return {};
    const auto bytes = file.data(*info);
    const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    const size_t at = text.find("vermagic=");
    if (at == std::string_view::npos) return {};
    return std::string(text.substr(at + 9, text.find_first_of(std::string_view(" \0", 2), at) - at - 9));
}

// Is this file the module's? By build-id; without one in the dump by the kernel that it was built for.
bool is_of_module(const ElfFile& file, const LoadedModule& module, std::string_view release) {
    if (!file.relocatable()) return false;
    if (!module.build_id.empty()) return file.build_id() == module.build_id;
    const std::string built_for = release_of(file);
    return built_for.empty() || release.empty() || built_for == release;
}

} // namespace

std::string search_advice(const FoundFile& found, const std::string& release) {
    std::string text = "searched:";
    for (const std::string& place : found.searched) text += fmt::format("\n  {}", place);
    const std::string package = debug_package_advice(release);
    return package.empty() ? text : fmt::format("{}\n{}", text, package);
}

ModuleFinder::ModuleFinder(ModuleSearch search) : search_(std::move(search)) {
    const std::string& release = search_.release;
    if (!search_.standard || release.empty() || release.find('/') != std::string::npos || release == "." || release == "..") return;
    search_.directories.push_back(fmt::format("{}/lib/modules/{}", debug_folder, release));
    search_.directories.push_back(fmt::format("/lib/modules/{}", release));
}

void ModuleFinder::list() {
    if (listed_) return;
    files_.clear(); // of a list that Ctrl-C ended
    size_t entries = 0;
    namespace fs = std::filesystem;
    const auto add = [&](const std::string& folder, int depth) {
        std::error_code failed;
        fs::recursive_directory_iterator at(folder, fs::directory_options::skip_permission_denied, failed), end;
        for (; !failed && at != end && entries < most_entries; at.increment(failed), ++entries) {
            check_interrupt();
            if (at.depth() >= depth) at.disable_recursion_pending();
            const std::string name = module_name(at->path().filename().native());
            if (!name.empty()) files_.emplace(name, at->path().native()); // equal keys keep the order of insertion
        }
    };
    for (const std::string& folder : search_.beside) add(folder, 0);
    for (const std::string& folder : search_.directories) add(folder, deepest);
    listed_ = true;
}

FoundFile ModuleFinder::find(const LoadedModule& module, const ProgressMaker* fetch) {
    FoundFile found;
    const auto is_best = [&](const std::string& path) { // true: nothing better can come
        if (!is_file(path)) return false;
        try {
            const auto file = ElfFile::open(path);
            if (!is_of_module(*file, module, search_.release)) return false;
            const bool dwarf = file->has_dwarf();
            if (dwarf || found.path.empty()) found.path = path; // symbols are better than nothing
            return dwarf;
        } catch (const FileError&) { // a damaged file is not the one
            return false;
        }
    };
    if (const std::string id = hex(module.build_id); is_build_id(id)) {
        for (const auto* folders : {&search_.beside, &search_.directories})
            for (const std::string& folder : *folders) found.searched.push_back(build_id_path(folder, id));
        if (search_.standard) found.searched.push_back(build_id_path(debug_folder, id));
        for (const std::string& path : found.searched)
            if (is_best(path)) return found;
    }
    list();
    for (const std::string& folder : search_.beside) found.searched.push_back(fmt::format("{}/{}.ko*", folder, module.name));
    for (const std::string& folder : search_.directories) found.searched.push_back(fmt::format("{}/**/{}.ko*", folder, module.name));
    const auto [first, last] = files_.equal_range(module.name);
    for (auto it = first; it != last; ++it)
        if (is_best(it->second)) return found;
    if (fetch && !late_) late_ = fetch_into(found, hex(module.build_id), *fetch, is_best);
    return found;
}

FoundFile find_debug_half(const ElfFile& file, const std::vector<std::string>& directories, const ProgressMaker* fetch) {
    const std::string id = hex(file.build_id());
    const std::string folder = folder_of(file.path()), link = file.debug_link().value_or("");
    std::vector<std::string> folders = {folder, folder + "/.debug"};
    folders.insert(folders.end(), directories.begin(), directories.end());
    folders.push_back(debug_folder + (folder.starts_with('/') ? folder : "/" + folder));
    FoundFile found;
    if (is_build_id(id)) {
        for (const std::string& place : directories) found.searched.push_back(build_id_path(place, id));
        found.searched.push_back(build_id_path(debug_folder, id));
    }
    if (!link.empty())
        for (const std::string& place : folders) found.searched.push_back(place + "/" + link);
    found.searched.push_back(file.path() + ".debug");
    const auto fits = [&](const std::string& path) {
        if (path == file.path() || !is_file(path)) return false;
        try {
            const auto half = ElfFile::open(path);
            if (!half->has_dwarf() || (!id.empty() && hex(half->build_id()) != id)) return false;
            found.path = path;
            return true;
        } catch (const FileError&) { // a damaged file is not the one
            return false;
        }
    };
    if (std::none_of(found.searched.begin(), found.searched.end(), fits) && fetch) fetch_into(found, id, *fetch, fits);
    return found;
}

std::string cache_directory() {
    const auto variable = [](const char* name) {
        const char* value = std::getenv(name);
        return std::string(value && value[0] == '/' ? value : "");
    };
    std::string folder = variable("KCRASH_CACHE_DIR");
    if (folder.empty() && !variable("XDG_CACHE_HOME").empty()) folder = variable("XDG_CACHE_HOME") + "/kcrash";
    if (folder.empty() && !variable("HOME").empty()) folder = variable("HOME") + "/.cache/kcrash";
    return !folder.empty() && make_folder(folder) ? folder : std::string();
}

} // namespace kcrash
