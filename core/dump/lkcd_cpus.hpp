// SPDX-License-Identifier: GPL-3.0-or-later
// The registers in an LKCD dump.
#pragma once
#include "core/dump/dump.hpp"

namespace kcrash {

// An NT_PRSTATUS for each CPU, from the architecture's header at `at`, which is where the common header ends. x86_64 only, and none
// when there is no such header: its magic number tells.
std::vector<Note> lkcd_x86_64_registers(const ByteSource& file, FileOffset at);

} // namespace kcrash
