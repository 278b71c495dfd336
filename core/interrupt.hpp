// SPDX-License-Identifier: GPL-3.0-or-later
// Ctrl-C: a flag that the signal handler sets and every long loop looks at.
#pragma once
#include "core/error.hpp"
#include <csignal>

namespace kcrash {

// The one piece of process-wide state: a signal handler has nothing else to write to.
inline volatile std::sig_atomic_t interrupt_requested = 0;

// Throws Interrupted when Ctrl-C was pressed. Cheap enough for every turn of a loop.
inline void check_interrupt() {
    if (interrupt_requested) [[unlikely]] throw Interrupted();
}

} // namespace kcrash
