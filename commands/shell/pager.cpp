// SPDX-License-Identifier: GPL-3.0-or-later
// The pager: less, more, or $CRASHPAGER.
#include "commands/shell/pager.hpp"
#include <cstdlib>
#include <unistd.h>

namespace kcrash {
namespace {

bool installed(std::string_view program) {
    const char* path = std::getenv("PATH");
    std::string_view folders = path ? path : "/usr/bin:/bin";
    while (!folders.empty()) {
        const std::string_view folder = folders.substr(0, folders.find(':'));
        folders.remove_prefix(std::min(folders.size(), folder.size() + 1));
        if (access((std::string(folder) + "/" + std::string(program)).c_str(), X_OK) == 0) return true;
    }
    return false;
}

// -E: leave at the end of the text; -X: leave the text on the screen.
constexpr const char* less_command = "less -E -X -P'kcrash: <space> forward, b back, / search, q quit'";

} // namespace

std::string pager_command(const Settings& settings) {
    if (settings.pager == "CRASHPAGER") {
        const char* named = std::getenv("CRASHPAGER");
        if (named && *named) return named;
    } else if (settings.pager == "more" && installed("more")) return "more";
    if (installed("less")) return less_command;
    return installed("more") ? "more" : "";
}

} // namespace kcrash
