// SPDX-License-Identifier: GPL-3.0-or-later
// The file or device behind a swap area: include/linux/swap.h.
#pragma once
#include "kernel/target.hpp"
#include <string>

namespace kcrash {

// Path of the swap area with this number; empty when there is none. MemoryError, LookupError.
std::string swap_file_name(const Target& target, unsigned type);

} // namespace kcrash
