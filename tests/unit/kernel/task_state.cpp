// SPDX-License-Identifier: GPL-3.0-or-later
#include "kernel/task.hpp"
#include "kernel/time.hpp"
#include <doctest/doctest.h>

using namespace kcrash;

static Task with_state(uint64_t state, uint64_t exit_state = 0, bool old = false) {
    Task task;
    task.state = state;
    task.exit_state = exit_state;
    task.old_state_bits = old;
    return task;
}

TEST_CASE("task states: two letters as crash has them") {
    CHECK(state_name(with_state(0)) == "RU");
    CHECK(state_name(with_state(1)) == "IN");
    CHECK(state_name(with_state(0x2001)) == "IN"); // TASK_FREEZABLE
    CHECK(state_name(with_state(2)) == "UN");
    CHECK(state_name(with_state(0x102)) == "UN");  // TASK_KILLABLE
    CHECK(state_name(with_state(0x402)) == "ID");  // TASK_IDLE
    CHECK(state_name(with_state(4 | 0x100)) == "ST");
    CHECK(state_name(with_state(8)) == "TR");
    CHECK(state_name(with_state(0x80, 0x20)) == "ZO");
    CHECK(state_name(with_state(0x80, 0x10)) == "DE");
    CHECK(state_name(with_state(0x40)) == "PA");
    CHECK(state_name(with_state(0x200)) == "WA");
    CHECK(state_name(with_state(0x800)) == "NE");
    CHECK(state_name(with_state(0x8000)) == "UN"); // TASK_FROZEN
}

TEST_CASE("task states: the bits of before Linux 4.14") {
    CHECK(state_name(with_state(0x200, 0, true)) == "PA");
    CHECK(state_name(with_state(0x40, 0x20, true)) == "ZO");
    CHECK(state_name(with_state(0x82, 0, true)) == "UN");
}

TEST_CASE("task states: unreadable and unknown ones are not called running") {
    CHECK(state_name(Task{}) == "??");
    CHECK(state_long_name(Task{}) == "(unreadable)");
    CHECK(state_name(with_state(0x40000000)) == "??");
    CHECK(state_long_name(with_state(0x40000001)) == "TASK_INTERRUPTIBLE|(unknown)");
}

TEST_CASE("task states: by the kernel's names") {
    CHECK(state_long_name(with_state(0)) == "TASK_RUNNING");
    CHECK(state_long_name(with_state(0x402)) == "TASK_UNINTERRUPTIBLE|TASK_NOLOAD");
    CHECK(state_long_name(with_state(0x80, 0x20)) == "EXIT_ZOMBIE|TASK_DEAD");
}

TEST_CASE("uptime: hours first, days when there are some") {
    CHECK(format_uptime(20) == "00:00:20");
    CHECK(format_uptime(86399) == "23:59:59");
    CHECK(format_uptime(92132) == "1 days, 01:35:32");
}
