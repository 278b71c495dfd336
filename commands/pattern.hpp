// SPDX-License-Identifier: GPL-3.0-or-later
// A POSIX extended regular expression (regex(7)), as ps and foreach take it in single quotes.
#pragma once
#include <regex.h>
#include <string>

namespace kcrash {

class Pattern {
public:
    explicit Pattern(const std::string& text); // UsageError saying what is wrong with it
    ~Pattern() { regfree(&compiled_); }
    Pattern(const Pattern&) = delete;
    Pattern& operator=(const Pattern&) = delete;
    bool matches(const std::string& text) const; // any part of it

private:
    regex_t compiled_;
};

} // namespace kcrash
