// SPDX-License-Identifier: GPL-3.0-or-later
// What a file is, from the file alone: kcrash --identify FILE...
#pragma once
#include "commands/shell/arguments.hpp"

namespace kcrash {

// Says it of each file by itself, in text or JSON. 0 if each is a dump or a kernel that kcrash reads.
int identify_files(const Arguments& arguments);

} // namespace kcrash
