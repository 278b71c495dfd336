// SPDX-License-Identifier: GPL-3.0-or-later
// What the kernel says about its own condition: kernel/panic.c, include/linux/panic.h, kernel/livepatch/.
#pragma once
#include "kernel/printk.hpp"
#include "kernel/target.hpp"

namespace kcrash {

struct Taint {
    uint64_t mask = 0;
    std::string letters; // of the bits that are set; empty when this kernel does not tell them
};
// The letters of a mask's bits, as the kernel names them; empty when this kernel does not tell them.
std::string taint_letters(const Target& target, uint64_t mask);
// Nothing when it cannot be read.
std::optional<Taint> read_taint(const Target& target);

struct LivePatch {
    bool patched = false;    // some live patch is there
    bool transition = false; // tasks are still moving to it
};
LivePatch read_livepatch(const Target& target);

// The line of the log that says why the kernel died, as crash picks it; nothing when there is none.
std::optional<std::string> panic_message(const KernelLog& log);
// Was it the user who crashed the machine through sysrq?
bool sysrq_crash(const KernelLog& log);

} // namespace kcrash
