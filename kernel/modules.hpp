// SPDX-License-Identifier: GPL-3.0-or-later
// The loaded modules: include/linux/module.h.
#pragma once
#include "kernel/target.hpp"
#include <string>
#include <vector>

namespace kcrash {

// In the order of the kernel's list. A module of which pages are missing is still listed with what could be read.
// What went wrong is appended to `warnings`. Never throws for damaged memory.
std::vector<LoadedModule> read_modules(const Target& target, std::vector<std::string>& warnings);

} // namespace kcrash
