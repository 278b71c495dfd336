// SPDX-License-Identifier: GPL-3.0-or-later
// C's operators on objects: integer promotions, pointer arithmetic, comparisons.
#pragma once
#include "kernel/object.hpp"
#include <string_view>

namespace kcrash {

// "+", "-", "*", "/", "%", "<<", ">>", "&", "|", "^", "==", "!=", "<", ">", "<=", ">=", "&&", "||". UsageError for operands
// that C does not allow.
Object binary_operation(std::string_view op, const Object& left, const Object& right);
// "-", "+", "~", "!".
Object unary_operation(char op, const Object& operand);
// The value as a truth.
bool is_true(const Object& object);
// An array as a pointer to its first element, a function as a pointer to itself; others as they are.
Object decay(const Object& object);
// "&": where the object is. UsageError for a value or a bit-field.
Object address_of(const Object& object);

} // namespace kcrash
