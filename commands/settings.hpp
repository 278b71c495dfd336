// SPDX-License-Identifier: GPL-3.0-or-later
// The variables of `set`: what each may be, and how it is shown.
#pragma once
#include "commands/session.hpp"

namespace kcrash {

struct Variable {
    std::string_view name;
    std::string_view values; // for the help: "on|off"
    std::string (*show)(const Session& session);
    void (*assign)(Session& session, const std::string& value); // UsageError for what it cannot be
};
std::span<const Variable> variables();
const Variable* find_variable(std::string_view name); // null: none

} // namespace kcrash
