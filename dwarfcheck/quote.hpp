// SPDX-License-Identifier: GPL-3.0-or-later
// Names from a file on their way to a terminal or into JSON: what is not printable ASCII becomes visible.
#pragma once
#include <string>
#include <string_view>

namespace kcrash::dwarfcheck {

std::string visible(std::string_view bytes); // "\x1b" for a control character or a byte beyond ASCII
std::string quoted(std::string_view bytes);  // a JSON string of visible()

} // namespace kcrash::dwarfcheck
