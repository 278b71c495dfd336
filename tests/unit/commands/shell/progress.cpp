// SPDX-License-Identifier: GPL-3.0-or-later
#include "commands/shell/progress.hpp"
#include "core/interrupt.hpp"
#include <doctest/doctest.h>
#include <fcntl.h>
#include <unistd.h>

using namespace kcrash;

namespace {

std::string drawn(std::chrono::milliseconds delay) {
    int ends[2];
    REQUIRE(pipe2(ends, O_CLOEXEC) == 0);
    {
        Progress progress(ends[1], "kmem: slabs", delay);
        progress(5, 10);
    }
    ::close(ends[1]);
    char text[1000];
    const ssize_t n = ::read(ends[0], text, sizeof text);
    ::close(ends[0]);
    return {text, n > 0 ? static_cast<size_t>(n) : 0};
}

} // namespace

TEST_CASE("progress: a bar that goes away again") {
    CHECK(drawn(std::chrono::milliseconds(0)) ==
          "\rkmem: slabs: [###############               ]  50 %\r" + std::string(51, ' ') + "\r");
}

TEST_CASE("progress: a bar that is hidden stays away, whoever still works") {
    int ends[2];
    REQUIRE(pipe2(ends, O_CLOEXEC) == 0);
    Progress progress(ends[1], "stacks", std::chrono::milliseconds(0));
    progress.hide();
    progress(5, 10);
    ::close(ends[1]);
    char byte = 0;
    CHECK(::read(ends[0], &byte, 1) == 0);
    ::close(ends[0]);
}

TEST_CASE("progress: what is quick shows nothing") { CHECK(drawn(std::chrono::milliseconds(60000)) == ""); }

TEST_CASE("progress: Ctrl-C ends the work") {
    Progress progress(-1, "", std::chrono::milliseconds(0));
    interrupt_requested = 1;
    CHECK_THROWS_AS(progress(1, 2), Interrupted);
    interrupt_requested = 0;
}
