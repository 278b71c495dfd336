// SPDX-License-Identifier: GPL-3.0-or-later
// One line that is drawn over itself.
#include "commands/shell/progress.hpp"
#include "commands/session.hpp"
#include "core/interrupt.hpp"
#include <algorithm>
#include <fmt/format.h>
#include <memory>
#include <unistd.h>

namespace kcrash {
namespace {

constexpr auto between_draws = std::chrono::milliseconds(100);
constexpr auto patience = std::chrono::milliseconds(1000);
constexpr size_t bar_width = 30; // characters

int talking_descriptor(const Session& session) {
    const bool talks = !session.settings.silent && session.settings.output == "text";
    return talks && isatty(STDERR_FILENO) ? STDERR_FILENO : -1;
}

// The terminal may be gone; that is no reason to stop.
void put(int descriptor, const std::string& text) {
    if (::write(descriptor, text.data(), text.size()) < 0) return;
}

} // namespace

Progress::Progress(const Session& session, std::string what)
    : Progress(talking_descriptor(session), std::move(what), patience) {}

Progress::Progress(int descriptor, std::string what, std::chrono::milliseconds delay)
    : descriptor_(descriptor), what_(std::move(what)), next_draw_((Clock::now() + delay).time_since_epoch().count()) {}

Progress::~Progress() { hide(); }

void Progress::hide() {
    std::lock_guard guard(drawing_);
    if (width_ > 0) put(descriptor_, "\r" + std::string(width_, ' ') + "\r");
    width_ = 0;
    descriptor_ = -1;
}

void Progress::operator()(uint64_t done, uint64_t total) {
    check_interrupt();
    if (descriptor_ < 0) return;
    const Clock::rep now = Clock::now().time_since_epoch().count();
    Clock::rep due = next_draw_.load(std::memory_order_relaxed);
    if (now < due) return;
    const Clock::rep next = now + std::chrono::duration_cast<Clock::duration>(between_draws).count();
    if (next_draw_.compare_exchange_strong(due, next)) draw(done, total); // one of the threads draws
}

ProgressMaker progress_of(const Session& session) {
    return [&session](std::string_view what) -> ProgressStep {
        return [bar = std::make_shared<Progress>(session, std::string(what))](uint64_t done, uint64_t total) { (*bar)(done, total); };
    };
}

ProgressMaker progress_on_terminal() {
    return [](std::string_view what) -> ProgressStep {
        auto bar = std::make_shared<Progress>(isatty(STDERR_FILENO) ? STDERR_FILENO : -1, std::string(what), patience);
        return [bar](uint64_t done, uint64_t total) { (*bar)(done, total); };
    };
}

void Progress::draw(uint64_t done, uint64_t total) {
    std::lock_guard guard(drawing_);
    if (descriptor_ < 0) return;
    std::string text = what_ + ": ";
    if (total == 0) text += fmt::format("{}", done);
    else {
        const double part = std::min(1.0, static_cast<double>(done) / static_cast<double>(total));
        const auto filled = static_cast<size_t>(part * bar_width);
        text += fmt::format("[{}{}] {:3.0f} %", std::string(filled, '#'), std::string(bar_width - filled, ' '), part * 100);
    }
    const size_t old = width_;
    width_ = std::max(width_, text.size());
    put(descriptor_, "\r" + text + std::string(old > text.size() ? old - text.size() : 0, ' '));
}

} // namespace kcrash
