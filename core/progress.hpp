// SPDX-License-Identifier: GPL-3.0-or-later
// How far long work has come: told by who does it, shown by who knows of terminals.
#pragma once
#include "core/interrupt.hpp"
#include <cstdint>
#include <functional>
#include <string_view>

namespace kcrash {

// Called often, perhaps from many threads: so much of `total` is done (total 0: unknown). Throws Interrupted after Ctrl-C.
using ProgressStep = std::function<void(uint64_t done, uint64_t total)>;
// Begins to tell of one piece of work; it has ended when the step is destroyed. "unpacking vmlinux.xz"
using ProgressMaker = std::function<ProgressStep(std::string_view what)>;

// A step that can be called whether or not anybody wants to know.
inline ProgressStep start_progress(const ProgressMaker& maker, std::string_view what) {
    if (maker) return maker(what);
    return [](uint64_t, uint64_t) { check_interrupt(); };
}

} // namespace kcrash
