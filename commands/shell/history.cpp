// SPDX-License-Identifier: GPL-3.0-or-later
// History over readline's.
#include "commands/shell/history.hpp"
#include "core/error.hpp"
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <fcntl.h>
#include <fmt/format.h>
#include <readline/history.h>
#include <sys/stat.h>
#include <unistd.h>

namespace kcrash {
namespace {

constexpr int longest = 10000; // lines in the file

std::string state_folder() {
    const char* state = std::getenv("XDG_STATE_HOME");
    if (state && *state == '/') return state;
    const char* home = std::getenv("HOME");
    return home && *home ? std::string(home) + "/.local/state" : "";
}

// mkdir -p, readable for the user only: lines may hold what a dump's owner calls secret.
void make_folders(const std::string& path) {
    for (size_t at = path.find('/', 1); at != std::string::npos; at = path.find('/', at + 1))
        mkdir(path.substr(0, at).c_str(), 0700);
    mkdir(path.c_str(), 0700);
}

std::optional<int> parse_index(std::string_view text) {
    int value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size() || text.empty()) return std::nullopt;
    return value;
}

} // namespace

History::History() {
    using_history();
    const std::string folder = state_folder();
    if (folder.empty()) return;
    make_folders(folder + "/kcrash");
    path_ = folder + "/kcrash/history";
    const int file = ::open(path_.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600); // append_history() makes no files
    if (file < 0) {
        path_.clear();
        return;
    }
    ::close(file);
    read_history(path_.c_str());
    history_truncate_file(path_.c_str(), longest);
}

void History::add(const std::string& line) {
    const HIST_ENTRY* last = history_length > 0 ? history_get(history_base + history_length - 1) : nullptr;
    if (last && line == last->line) return;
    add_history(line.c_str());
    if (!path_.empty()) append_history(1, path_.c_str());
}

std::optional<std::string> History::recall(std::string_view line) const {
    std::string_view wanted;
    if (line == "r" || line == "!!") wanted = "";
    else if (line.starts_with("r ")) wanted = line.substr(line.find_first_not_of(' ', 1));
    else if (line.starts_with('!') && parse_index(line.substr(1))) wanted = line.substr(1);
    else return std::nullopt;
    if (const auto index = parse_index(wanted)) {
        const HIST_ENTRY* entry = history_get(*index);
        if (!entry) throw UsageError(fmt::format("the history has no line {}", *index));
        return entry->line;
    }
    for (int i = history_base + history_length - 1; i >= history_base; --i)
        if (const HIST_ENTRY* entry = history_get(i); entry && std::string_view(entry->line).starts_with(wanted))
            return entry->line;
    throw UsageError(wanted.empty() ? "the history is empty" : fmt::format("no line of the history begins with {}", wanted));
}

std::string History::list() const {
    constexpr int shown = 100;
    std::string text;
    for (int i = std::max(history_base, history_base + history_length - shown); i < history_base + history_length; ++i)
        if (const HIST_ENTRY* entry = history_get(i)) text += fmt::format("[{}] {}\n", i, entry->line);
    return text;
}

} // namespace kcrash
