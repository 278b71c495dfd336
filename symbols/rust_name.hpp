// SPDX-License-Identifier: GPL-3.0-or-later
// Rust symbol names as people write them: the v0 mangling (RFC 2603) and the legacy one.
#pragma once
#include <optional>
#include <string>
#include <string_view>

namespace kcrash {

// "_RNvCs1234_7mycrate3foo" gives "mycrate::foo"; crate hashes and disambiguators are left out. Nothing when the name is
// not a whole, well-formed Rust symbol. Bounded in depth and in the length of what it returns.
std::optional<std::string> demangle_rust(std::string_view symbol);

// A line of text with every Rust symbol in it demangled; all else as it was.
std::string demangle_rust_in(std::string_view text);

} // namespace kcrash
