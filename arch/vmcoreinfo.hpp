// SPDX-License-Identifier: GPL-3.0-or-later
// The text of vmcoreinfo in a dump that has no note of it, as QEMU's of many machines have none.
#pragma once
#include "arch/architecture.hpp"

namespace kcrash {

// From where this architecture's kernel left it in memory; empty when it is not there or nobody knows where. Never throws.
std::string find_vmcoreinfo(const Architecture& arch, const PhysicalMemory& memory);

// For one architecture, in its own file. To add one: write it and name it in vmcoreinfo.cpp.
std::string s390x_vmcoreinfo(const PhysicalMemory& memory);

} // namespace kcrash
