// SPDX-License-Identifier: GPL-3.0-or-later
#include "commands/pattern.hpp"
#include "core/error.hpp"
#include <fmt/format.h>

namespace kcrash {

Pattern::Pattern(const std::string& text) {
    const int error = regcomp(&compiled_, text.c_str(), REG_EXTENDED | REG_NOSUB);
    if (error == 0) return;
    char why[128];
    regerror(error, &compiled_, why, sizeof why);
    throw UsageError(fmt::format("invalid regular expression: {}: {}", text, why));
}

bool Pattern::matches(const std::string& text) const { return regexec(&compiled_, text.c_str(), 0, nullptr, 0) == 0; }

} // namespace kcrash
