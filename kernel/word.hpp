// SPDX-License-Identifier: GPL-3.0-or-later
// A long or a pointer of the kernel, which has 4 or 8 bytes: the architecture's word.
#pragma once
#include "kernel/target.hpp"

namespace kcrash {

// The word at a kernel address, without a sign. `value` is left as it was on a fault.
Fault try_word(const Target& target, uint64_t address, uint64_t& value);
uint64_t word_at(const Target& target, uint64_t address, std::string_view what); // MemoryError
// An address or a long as wide as the target's: sums of addresses wrap there.
uint64_t truncate_to_word(const Target& target, uint64_t value);

} // namespace kcrash
