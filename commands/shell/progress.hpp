// SPDX-License-Identifier: GPL-3.0-or-later
// A progress bar for what takes over a second.
#pragma once
#include <atomic>
#include <chrono>
#include <cstdint>
#include <mutex>
#include <string>

namespace kcrash {

class Session;

// Lives as long as the work. Give `std::ref(progress)` to a kernel walker as its callback (done, total): cheap and safe from
// many threads. The bar stands on the standard error, if that is a terminal and the session talks, from the second second on,
// and goes away with the object: be done with it before the results are reported.
class Progress {
public:
    Progress(const Session& session, std::string what);
    Progress(int descriptor, std::string what, std::chrono::milliseconds delay); // descriptor -1: nowhere
    ~Progress();
    Progress(const Progress&) = delete;
    Progress& operator=(const Progress&) = delete;

    // total 0: unknown. Also looks at Ctrl-C: throws Interrupted.
    void operator()(uint64_t done, uint64_t total);

private:
    using Clock = std::chrono::steady_clock;
    void draw(uint64_t done, uint64_t total);

    const int descriptor_;
    const std::string what_;
    std::atomic<Clock::rep> next_draw_;
    std::mutex drawing_;
    size_t width_ = 0; // of what stands there now
};

} // namespace kcrash
