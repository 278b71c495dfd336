// SPDX-License-Identifier: GPL-3.0-or-later
// Debug files from a server, by build-id.
#pragma once
#include "core/progress.hpp"
#include <string>

namespace kcrash {

struct Fetched {
    std::string path;  // in debuginfod's cache; empty: not found
    std::string why;   // nothing was asked, or what the servers said
    bool late = false; // the time was over: the next question would wait as long
};

constexpr unsigned fetch_seconds = 300; // for one file: some hundred megabytes over a slow line

// Asks the servers that $DEBUGINFOD_URLS names for the debug file of this build-id (hexadecimal). Without that variable nothing
// is sent anywhere. Gives up after `seconds`; throws Interrupted at Ctrl-C. progress is told bytes.
Fetched fetch_debug_file(const std::string& build_id, unsigned seconds, const ProgressMaker& progress);

} // namespace kcrash
