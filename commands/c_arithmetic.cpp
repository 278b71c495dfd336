// SPDX-License-Identifier: GPL-3.0-or-later
#include "commands/c_arithmetic.hpp"
#include "core/error.hpp"
#include "kernel/target.hpp"
#include <algorithm>
#include <fmt/format.h>

namespace kcrash {

namespace {

bool is_pointer(const Object& object) { return strip(object.type())->kind == TypeKind::pointer; }

bool is_number(const Object& object) {
    const TypeKind kind = strip(object.type())->kind;
    return kind == TypeKind::integer || kind == TypeKind::boolean || kind == TypeKind::enumeration;
}

const Type* integer(const Object& like, uint64_t size, bool is_signed) {
    const Types& types = like.target().types();
    return &types.require(size > 4 ? (is_signed ? "long" : "unsigned long") : (is_signed ? "int" : "unsigned int"));
}

Object truth(const Object& like, bool value) { return Object::of_integer(like.target(), integer(like, 4, true), value); }

// What both operands become: at least int; long when one is wider; unsigned when the wider one is.
const Type* common_type(const Object& left, const Object& right) {
    const Type* a = strip(left.type());
    const Type* b = strip(right.type());
    const uint64_t size = std::max<uint64_t>({a->size, b->size, 4});
    const auto makes_unsigned = [&](const Type* t, const Object& object) {
        return t->kind != TypeKind::boolean && !t->is_signed && t->size == size && object.bit_size() == 0;
    };
    return integer(left, size, !makes_unsigned(a, left) && !makes_unsigned(b, right));
}

uint64_t element_size(const Object& pointer) {
    const Type* to = strip(pointer.type())->target;
    const uint64_t size = to ? to->size : 1;
    return size ? size : 1;
}

[[noreturn]] void refuse(std::string_view op, const Object& left, const Object& right) {
    throw UsageError(fmt::format("\"{}\" is not defined for {} and {}", op, type_name(left.type()), type_name(right.type())));
}

Object pointer_operation(std::string_view op, const Object& left, const Object& right) {
    if (is_pointer(left) && is_pointer(right)) {
        if (op != "-") refuse(op, left, right);
        const auto bytes = static_cast<int64_t>(left.u64() - right.u64());
        return Object::of_integer(left.target(), integer(left, 8, true), static_cast<uint64_t>(bytes / static_cast<int64_t>(element_size(left))));
    }
    const Object& pointer = is_pointer(left) ? left : right;
    const Object& number = is_pointer(left) ? right : left;
    if (!is_number(number) || (op != "+" && op != "-") || (op == "-" && &pointer == &right)) refuse(op, left, right);
    const uint64_t bytes = number.u64() * element_size(pointer);
    return Object::of_integer(pointer.target(), pointer.type(), op == "+" ? pointer.u64() + bytes : pointer.u64() - bytes)
        .in_space(&pointer.space());
}

bool compare(std::string_view op, uint64_t a, uint64_t b, bool is_signed) {
    const auto order = is_signed ? static_cast<int64_t>(a) <=> static_cast<int64_t>(b) : a <=> b;
    if (op == "==") return order == 0;
    if (op == "!=") return order != 0;
    if (op == "<") return order < 0;
    if (op == ">") return order > 0;
    return op == "<=" ? order <= 0 : order >= 0;
}

uint64_t divide(std::string_view op, uint64_t a, uint64_t b, bool is_signed) {
    if (b == 0) throw UsageError("division by zero");
    if (!is_signed) return op == "/" ? a / b : a % b;
    if (static_cast<int64_t>(b) == -1) return op == "/" ? 0 - a : 0;
    const auto x = static_cast<int64_t>(a), y = static_cast<int64_t>(b);
    return static_cast<uint64_t>(op == "/" ? x / y : x % y);
}

uint64_t shift(std::string_view op, const Object& left, const Type* type, uint64_t value, uint64_t count) {
    if (count >= type->size * 8)
        throw UsageError(fmt::format("a shift by {} is wider than {}; cast the left side to (unsigned long)", static_cast<int64_t>(count),
                                     type_name(left.type())));
    if (op == "<<") return value << count;
    return type->is_signed ? static_cast<uint64_t>(static_cast<int64_t>(value) >> count) : value >> count;
}

bool is_comparison(std::string_view op) {
    return op == "==" || op == "!=" || op == "<" || op == ">" || op == "<=" || op == ">=";
}

} // namespace

Object decay(const Object& object) {
    const Type* bare = strip(object.type());
    const Types& types = object.target().types();
    if (bare->kind == TypeKind::array && object.has_address())
        return Object::of_integer(object.target(), types.pointer_to(bare->target), object.address()).in_space(&object.space());
    if (bare->kind == TypeKind::function)
        return Object::of_integer(object.target(), types.pointer_to(object.type()), object.address()).in_space(&object.space());
    return object;
}

Object address_of(const Object& object) {
    if (!object.has_address()) throw UsageError("a value that is not in memory has no address");
    if (object.bit_size()) throw UsageError("a bit-field has no address");
    return Object::of_integer(object.target(), object.target().types().pointer_to(object.type()), object.address()).in_space(&object.space());
}

bool is_true(const Object& object) {
    const Object value = decay(object);
    if (!is_number(value) && !is_pointer(value)) throw UsageError(fmt::format("a {} is neither true nor false", type_name(value.type())));
    return value.u64() != 0;
}

Object unary_operation(char op, const Object& operand) {
    if (op == '!') return truth(operand, !is_true(operand));
    if (!is_number(operand)) throw UsageError(fmt::format("\"{}\" is not defined for {}", op, type_name(operand.type())));
    const Type* type = common_type(operand, truth(operand, false));
    const uint64_t value = operand.u64();
    return Object::of_integer(operand.target(), type, op == '-' ? 0 - value : op == '~' ? ~value : value);
}

Object binary_operation(std::string_view op, const Object& l, const Object& r) {
    if (op == "&&") return truth(l, is_true(l) && is_true(r));
    if (op == "||") return truth(l, is_true(l) || is_true(r));
    const Object left = decay(l), right = decay(r);
    const bool pointers = is_pointer(left) || is_pointer(right);
    if (!(is_number(left) || is_pointer(left)) || !(is_number(right) || is_pointer(right))) refuse(op, left, right);
    if (pointers && is_comparison(op)) return truth(left, compare(op, left.u64(), right.u64(), false));
    if (pointers) return pointer_operation(op, left, right);

    const bool shifts = op == "<<" || op == ">>";
    const Type* type = shifts ? common_type(left, truth(left, false)) : common_type(left, right);
    const uint64_t a = Object::of_integer(left.target(), type, left.u64()).u64();
    const uint64_t b = shifts ? right.u64() : Object::of_integer(left.target(), type, right.u64()).u64();
    if (is_comparison(op)) return truth(left, compare(op, a, b, type->is_signed));
    uint64_t value = 0;
    if (shifts) value = shift(op, left, type, a, b);
    else switch (op[0]) {
        case '+': value = a + b; break;
        case '-': value = a - b; break;
        case '*': value = a * b; break;
        case '&': value = a & b; break;
        case '|': value = a | b; break;
        case '^': value = a ^ b; break;
        default: value = divide(op, a, b, type->is_signed); break;
    }
    return Object::of_integer(left.target(), type, value);
}

} // namespace kcrash
