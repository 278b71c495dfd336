// SPDX-License-Identifier: GPL-3.0-or-later
// What the bits of task_struct.__state mean in this kernel.
#pragma once
#include "kernel/target.hpp"

namespace kcrash {

// Has the kernel the bits of before 8ef9925b02c2 ("sched/debug: Add explicit TASK_PARKED printing"), v4.14?
bool has_old_state_bits(const Target& target);

} // namespace kcrash
