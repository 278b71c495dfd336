// SPDX-License-Identifier: GPL-3.0-or-later
// debuginfod's client library. It keeps what it fetched in ~/.cache/debuginfod_client, so a file comes once.
#include "symbols/debuginfod.hpp"
#include "core/interrupt.hpp"
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <elfutils/debuginfod.h>
#include <fmt/format.h>
#include <memory>
#include <unistd.h>

namespace kcrash {
namespace {

struct Watch {
    std::chrono::steady_clock::time_point deadline;
    ProgressStep step;
    bool late = false;
};

// Called by the library many times a second; anything but 0 stops it.
int on_progress(debuginfod_client* client, long there, long whole) {
    Watch& watch = *static_cast<Watch*>(debuginfod_get_user_data(client));
    watch.late = std::chrono::steady_clock::now() > watch.deadline;
    if (watch.late || interrupt_requested) return 1;
    const auto bytes = [](long n) { return n > 0 ? static_cast<uint64_t>(n) : 0; };
    try {
        watch.step(bytes(there), bytes(whole));
        return 0;
    } catch (const Interrupted&) { return 1; } // nothing is thrown through the library
}

} // namespace

Fetched fetch_debug_file(const std::string& build_id, unsigned seconds, const ProgressMaker& progress) {
    const char* servers = std::getenv("DEBUGINFOD_URLS");
    if (!servers || !*servers) return {"", "DEBUGINFOD_URLS is not set"};
    const std::unique_ptr<debuginfod_client, void (*)(debuginfod_client*)> client(debuginfod_begin(), debuginfod_end);
    if (!client) return {"", "debuginfod's client cannot start"};
    Watch watch{std::chrono::steady_clock::now() + std::chrono::seconds(seconds), start_progress(progress, "asking debuginfod")};
    debuginfod_set_user_data(client.get(), &watch);
    debuginfod_set_progressfn(client.get(), on_progress);
    char* path = nullptr;
    // Length 0: the build-id is text.
    const int fd = debuginfod_find_debuginfo(client.get(), reinterpret_cast<const unsigned char*>(build_id.c_str()), 0, &path);
    if (fd < 0) {
        check_interrupt();
        return {"", watch.late ? fmt::format("{}: gave up after {} s", servers, seconds) : fmt::format("{}: {}", servers, std::strerror(-fd)),
                watch.late};
    }
    ::close(fd);
    const std::unique_ptr<char, void (*)(void*)> owner(path, std::free);
    return {path ? path : "", ""};
}

} // namespace kcrash
