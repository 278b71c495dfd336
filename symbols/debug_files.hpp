// SPDX-License-Identifier: GPL-3.0-or-later
// The search for debug files by build-id: next to the dump, next to vmlinux, in /usr/lib/debug, where the user says.
#pragma once
#include "symbols/elf_file.hpp"
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace kcrash {

struct FoundFile {
    std::string path;                  // empty: none matched
    std::vector<std::string> searched; // every place that was looked at, for the message
};

// The .ko, .ko.debug, .ko.xz, .ko.zst of a module; a wrong build-id never matches. `directories` come first.
// release: the kernel's utsname release, for the standard folders. Nothing is fetched from a network.
FoundFile find_module_file(const LoadedModule& module, std::string_view release, const std::vector<std::string>& directories);
// The same for many modules: the folders are listed once, when they are first needed. Not for several threads.
class ModuleFinder {
public:
    ModuleFinder(std::string_view release, const std::vector<std::string>& directories);
    FoundFile find(const LoadedModule& module);

private:
    void list();
    bool listed_ = false;
    std::string release_;
    std::vector<std::string> searched_;
    std::multimap<std::string, std::string, std::less<>> files_; // name of the module -> path, in the order of the folders
};

// The half that has the DWARF of a file split with .gnu_debuglink, or by build-id under .build-id/.
FoundFile find_debug_half(const ElfFile& file, const std::vector<std::string>& directories);

// The cache folder: $KCRASH_CACHE_DIR, else $XDG_CACHE_HOME/kcrash, else ~/.cache/kcrash. Created 0700. Empty: none can be made.
std::string cache_directory();

} // namespace kcrash
