// SPDX-License-Identifier: GPL-3.0-or-later
// The search for debug files by build-id: next to the dump, next to vmlinux, in /usr/lib/debug, where the user says, from debuginfod.
#pragma once
#include "symbols/debuginfod.hpp"
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

// "searched: PLACE, ...; on Debian: apt install ...", for a message. release: the kernel's utsname release.
std::string search_advice(const FoundFile& found, const std::string& release);

// Where modules' files are searched, in this order.
struct ModuleSearch {
    std::string release;                  // the kernel's utsname release; empty: unknown
    std::vector<std::string> directories; // the user's, and all folders below them
    std::vector<std::string> beside;      // without the folders below them: a dump may lie anywhere
    bool standard = true;                 // then /usr/lib/debug and /lib/modules
};

// The .ko, .ko.debug, .ko.xz, .ko.zst of modules, by build-id below .build-id/, then by name; a wrong build-id never matches. The
// folders are listed once, when they are first needed. Not for several threads.
class ModuleFinder {
public:
    explicit ModuleFinder(ModuleSearch search);
    // fetch: told while debuginfod is asked for what lies nowhere with debug information; null: nothing is fetched.
    FoundFile find(const LoadedModule& module, const ProgressMaker* fetch = nullptr);

private:
    void list();
    ModuleSearch search_;
    bool listed_ = false, late_ = false; // late: no server answers
    std::multimap<std::string, std::string, std::less<>> files_; // name of the module -> path, in the order of the folders
};

// The half that has the DWARF of a file split with .gnu_debuglink, or by build-id under .build-id/. fetch: as above.
FoundFile find_debug_half(const ElfFile& file, const std::vector<std::string>& directories, const ProgressMaker* fetch = nullptr);

// The cache folder: $KCRASH_CACHE_DIR, else $XDG_CACHE_HOME/kcrash, else ~/.cache/kcrash. Created 0700. Empty: none can be made.
std::string cache_directory();

} // namespace kcrash
