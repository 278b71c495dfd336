// SPDX-License-Identifier: GPL-3.0-or-later
// A progress bar for what takes over a second.
#pragma once
#include "core/progress.hpp"
#include <atomic>
#include <chrono>
#include <cstdint>
#include <mutex>
#include <string>

namespace kcrash {

class Session;

// The bars of a session, for what does not know it. The session must outlive them.
ProgressMaker progress_of(const Session& session);
// The same before there is a session.
ProgressMaker progress_on_terminal();

// Lives as long as the work. Give `std::ref(progress)` to a kernel walker as its callback (done, total): cheap and safe from
// many threads. The bar stands on the standard error, if that is a terminal and the session talks, from the second second on,
// and goes away with the object: be done with it before the results are reported.
class Progress {
public:
    Progress(const Session& session, std::string what);
    Progress(int descriptor, std::string what, std::chrono::milliseconds delay); // descriptor -1: nowhere
    void hide(); // nothing more is drawn: other output follows
    ~Progress();
    Progress(const Progress&) = delete;
    Progress& operator=(const Progress&) = delete;

    // total 0: unknown. Also looks at Ctrl-C: throws Interrupted.
    void operator()(uint64_t done, uint64_t total);

private:
    using Clock = std::chrono::steady_clock;
    void draw(uint64_t done, uint64_t total);

    std::atomic<int> descriptor_;
    const std::string what_;
    std::atomic<Clock::rep> next_draw_;
    std::mutex drawing_;
    size_t width_ = 0; // of what stands there now
};

} // namespace kcrash
