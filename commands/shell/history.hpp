// SPDX-License-Identifier: GPL-3.0-or-later
// The lines that were typed, kept between sessions.
#pragma once
#include <optional>
#include <string>
#include <string_view>

namespace kcrash {

// readline's history, read from and appended to $XDG_STATE_HOME/kcrash/history (~/.local/state). A file that cannot be
// read or written is not an error: then lines are kept for this session only.
class History {
public:
    History();
    // Adds a line, unless it repeats the last one. Written at once, so that nothing is lost when the session dies.
    void add(const std::string& line);
    // "r", "!!", "r 12", "!12", "r WORD": the line that is meant. Nothing when `line` asks for no earlier one.
    // UsageError when there is none.
    std::optional<std::string> recall(std::string_view line) const;
    // The last lines, numbered: what "h" prints.
    std::string list() const;

private:
    std::string path_; // empty: not kept
};

} // namespace kcrash
