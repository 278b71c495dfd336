// SPDX-License-Identifier: GPL-3.0-or-later
// Lines of GDB's language that are one command: "define", "python" and their like, up to their "end".
#pragma once
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace kcrash {

class GdbScript {
public:
    // Nothing when the line is a command by itself. A "gdb" in front of it is left out.
    static std::optional<GdbScript> begin(std::string_view line);

    bool complete() const { return open_.empty(); }
    void add(std::string_view line); // with its blanks: Python needs them
    const std::string& text() const { return text_; }
    std::string_view word() const { return word_; } // that began it

private:
    enum class Body : char { commands, words }; // words: of another language, or of a help text. They end at "end", nothing nests
    static std::optional<Body> body_of(std::string_view line);
    static bool opens_inside(std::string_view word);

    std::string text_, word_;
    std::vector<Body> open_;
};

} // namespace kcrash
