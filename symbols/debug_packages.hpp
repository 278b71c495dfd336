// SPDX-License-Identifier: GPL-3.0-or-later
// Which package of a distribution has the debug files of a kernel.
#pragma once
#include <string>
#include <string_view>

namespace kcrash {

// "on Debian: apt install linux-image-6.1.0-44-amd64-dbg", told by how the release is written; where that tells nothing, a line
// for each distribution. Empty when the release is not one.
std::string debug_package_advice(std::string_view release);

} // namespace kcrash
