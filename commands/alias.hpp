// SPDX-License-Identifier: GPL-3.0-or-later
// Aliases: other words for commands.
#pragma once
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace kcrash {

class Session;

struct BuiltinAlias {
    std::string_view name, text;
};
std::span<const BuiltinAlias> builtin_aliases();
// What the word stands for; nothing when it is no alias. A user's alias goes before a built-in one; an empty one deletes it.
std::optional<std::string> alias_text(const Session& session, std::string_view word);
// The line with its first word replaced, once. A line that begins with a backslash loses it and is otherwise left alone.
std::string expand_alias(const Session& session, std::string_view line);

} // namespace kcrash
