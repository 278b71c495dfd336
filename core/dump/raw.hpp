// SPDX-License-Identifier: GPL-3.0-or-later
// Raw memory: files without any header, whose physical addresses the user gives.
#pragma once
#include "core/dump/dump.hpp"

namespace kcrash {

// Is this word of the command line "FILE@ADDRESS[,FILE@ADDRESS]...", and not the name of a file?
bool is_raw_list(const std::string& word);
// Opens the files of all lists as one dump. Throws FileError.
std::unique_ptr<Dump> open_raw(const std::vector<std::string>& words);

} // namespace kcrash
