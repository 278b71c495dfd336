// SPDX-License-Identifier: GPL-3.0-or-later
// The C expressions that need no debugger: variables, members, casts, dereferences, arithmetic, arrays, $N.
#pragma once
#include "kernel/object.hpp"
#include <functional>
#include <string_view>

namespace kcrash {

struct ExpressionContext {
    const Target* target = nullptr;
    const AddressSpace* space = nullptr;                          // where written addresses lead; null: the kernel's
    std::function<Object(std::string_view dollar)> history = {};  // "$", "$$", "$3", "$$2"; UsageError when there is none
};

// The object that a C expression names or makes. UsageError says what is wrong and where, or that it needs full C (calls,
// assignments, floating point); LookupError names an unknown symbol, type or member; MemoryError.
Object evaluate_c(std::string_view expression, const ExpressionContext& context);

} // namespace kcrash
