// SPDX-License-Identifier: GPL-3.0-or-later
// The command line.
#pragma once
#include <string>
#include <string_view>

namespace kcrash::dwarfcheck {

struct Options {
    std::string file, base; // base: empty where none was given
    bool json = false, help = false, version = false;
};

Options parse_options(int count, char** words); // UsageError
std::string_view usage();

} // namespace kcrash::dwarfcheck
