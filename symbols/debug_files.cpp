// SPDX-License-Identifier: GPL-3.0-or-later
// Where debug files are, and where kcrash keeps its own.
#include "symbols/debug_files.hpp"
#include <cstdlib>
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

} // namespace

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
