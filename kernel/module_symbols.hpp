// SPDX-License-Identifier: GPL-3.0-or-later
// The symbols that the kernel keeps of a module: kernel/module/kallsyms.c.
#pragma once
#include "kernel/target.hpp"
#include <memory>

namespace kcrash {

// A table that is read from the dump when somebody first looks into it; empty when it cannot be read.
// kallsyms: the address of its struct mod_kallsyms. Looks at the target, which must outlive it.
std::shared_ptr<const SymbolTable> read_module_kallsyms(const Target& target, uint64_t kallsyms);

std::shared_ptr<const SymbolTable> no_module_symbols();

} // namespace kcrash
