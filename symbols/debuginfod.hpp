// SPDX-License-Identifier: GPL-3.0-or-later
// Debug files from a server, by build-id.
#pragma once
#include <functional>
#include <span>
#include <string>

namespace kcrash {

// Told of what has come and of the whole, in bytes; 0: not known yet. The transfer stops when it gives false.
using FetchProgress = std::function<bool(uint64_t there, uint64_t whole)>;

struct Fetched {
    std::string path;  // in debuginfod's cache; empty: not found
    std::string why;   // nothing was asked, or what the servers said
    bool late = false; // the time was over: the next question would wait as long
};

constexpr unsigned fetch_seconds = 300; // for one file: some hundred megabytes over a slow line

// Asks the servers that $DEBUGINFOD_URLS names for the debug file of this build-id (hexadecimal). Without that variable nothing
// is sent anywhere. Gives up after `seconds`, and at Ctrl-C.
Fetched fetch_debug_file(const std::string& build_id, unsigned seconds, const FetchProgress& progress);

} // namespace kcrash
