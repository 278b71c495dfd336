// SPDX-License-Identifier: GPL-3.0-or-later
// Precedence climbing over C's operators, gdb's `@` among them:
//
//     ||  &&  |  ^  &  == !=  < > <= >=  << >>  @  + -  * / %    unary * & - + ! ~ sizeof (cast)    postfix [] . ->
#include "commands/c_expression.hpp"
#include "commands/c_arithmetic.hpp"
#include "core/error.hpp"
#include "core/interrupt.hpp"
#include "kernel/target.hpp"
#include <array>
#include <cctype>
#include <charconv>
#include <fmt/format.h>
#include <utility>

namespace kcrash {

namespace {

constexpr unsigned deepest = 200; // parentheses and unary operators inside each other

struct Operator {
    std::string_view text;
    int precedence;
};
constexpr std::array operators{Operator{"||", 1}, Operator{"&&", 2}, Operator{"==", 6}, Operator{"!=", 6}, Operator{"<<", 8},
                               Operator{">>", 8}, Operator{"<=", 7}, Operator{">=", 7}, Operator{"|", 3},  Operator{"^", 4},
                               Operator{"&", 5},  Operator{"<", 7},  Operator{">", 7},  Operator{"@", 9},  Operator{"+", 10},
                               Operator{"-", 10}, Operator{"*", 11}, Operator{"/", 11}, Operator{"%", 11}};

bool is_word(char c) { return std::isalnum(static_cast<unsigned char>(c)) || c == '_'; }

class Parser {
public:
    Parser(std::string_view text, const ExpressionContext& context)
        : text_(text), target_(*context.target), types_(target_.types()), context_(context) {}

    Object whole() {
        const Object value = ternary();
        blanks();
        if (at_ != text_.size()) fail(fmt::format("unexpected \"{}\"", text_.substr(at_)));
        return value;
    }

private:
    [[noreturn]] void fail(std::string_view why) const { throw UsageError(fmt::format("invalid expression: {}: {}", text_, why)); }

    void blanks() {
        while (at_ < text_.size() && std::isspace(static_cast<unsigned char>(text_[at_]))) ++at_;
    }
    char peek() {
        blanks();
        return at_ < text_.size() ? text_[at_] : '\0';
    }
    bool take(std::string_view token) {
        blanks();
        if (!text_.substr(at_).starts_with(token)) return false;
        at_ += token.size();
        return true;
    }
    void expect(std::string_view token) {
        if (!take(token)) fail(fmt::format("\"{}\" is missing{}", token, at_ < text_.size() ? fmt::format(" before \"{}\"", text_.substr(at_)) : ""));
    }
    std::string_view word() {
        blanks();
        const size_t begin = at_;
        while (at_ < text_.size() && is_word(text_[at_])) ++at_;
        return text_.substr(begin, at_ - begin);
    }

    const Operator* next_operator() {
        blanks();
        const std::string_view rest = text_.substr(at_);
        for (const Operator& op : operators) {
            if (!rest.starts_with(op.text)) continue;
            if (rest.size() > op.text.size() && rest[op.text.size()] == '=' && op.text.size() <= 2 && op.text != "<" && op.text != ">")
                fail("a dump is not written to");
            return &op;
        }
        if (rest.starts_with('=')) fail("a dump is not written to");
        return nullptr;
    }

    Object ternary() {
        const Object condition = binary(1);
        if (!take("?")) return condition;
        const bool chosen = is_true(condition);
        const Object yes = ternary();
        expect(":");
        const Object no = ternary();
        return chosen ? yes : no;
    }

    Object binary(int least) {
        Object left = unary();
        for (const Operator* op = next_operator(); op && op->precedence >= least; op = next_operator()) {
            at_ += op->text.size();
            const Object right = binary(op->precedence + 1);
            left = op->text == "@" ? repeat(left, right) : binary_operation(op->text, left, right);
        }
        return left;
    }

    // gdb's own operator: an array of that many elements that begins at the left side.
    Object repeat(const Object& first, const Object& count) {
        if (!first.has_address()) fail("only what is in memory can be extended with \"@\"");
        const uint64_t n = count.u64();
        if (n == 0 || n > UINT32_MAX) fail(fmt::format("\"@\" with a count of {}", static_cast<int64_t>(n)));
        return Object(target_, types_.array_of(first.type(), n), first.address(), &first.space());
    }

    Object unary() {
        check_interrupt();
        if (++depth_ > deepest) fail("nested too deeply");
        const Object value = prefixed();
        --depth_;
        return value;
    }

    Object prefixed() {
        const bool untyped_is_fine = std::exchange(untyped_is_fine_, false);
        switch (const char c = peek()) {
        case '*': ++at_; return dereference(unary());
        case '&':
            ++at_;
            if (peek() == '&') fail("unexpected \"&&\"");
            untyped_is_fine_ = true;
            return address_of(unary());
        case '-': case '+': case '~': case '!':
            ++at_;
            if ((c == '-' || c == '+') && peek() == c) fail("a dump is not written to");
            return unary_operation(c, unary());
        case '(':
            if (const Type* type = cast_type()) {
                untyped_is_fine_ = true;
                return converted(unary(), type);
            }
            break;
        default: break;
        }
        untyped_is_fine_ = untyped_is_fine;
        const Object value = postfix(primary());
        untyped_is_fine_ = false;
        return value;
    }

    Object dereference(const Object& object) {
        const Object pointer = decay(object);
        if (strip(pointer.type())->kind == TypeKind::pointer) {
            const Type* to = strip(pointer.type())->target;
            if (!to || strip(to)->kind == TypeKind::void_type) fail("a void pointer cannot be dereferenced: cast it first");
            return pointer.dereference();
        }
        if (strip(pointer.type())->kind == TypeKind::integer) // gdb reads a number as the address of a long
            return Object(target_, &types_.require("long"), pointer.u64(), context_.space);
        throw UsageError(fmt::format("\"*\" is not defined for {}", type_name(object.type())));
    }

    Object converted(const Object& object, const Type* type) {
        if (is_compound(type) && strip(type) != strip(object.type()) && !object.has_address())
            fail(fmt::format("a value cannot be cast to {}", type_name(type)));
        if (strip(type)->kind == TypeKind::floating) fail_full_c("floating point");
        if (strip(object.type())->kind == TypeKind::void_type && object.has_address()) return Object(target_, type, object.address());
        return (is_compound(type) || strip(type)->kind == TypeKind::array ? object : decay(object)).cast(type);
    }

    [[noreturn]] void fail_full_c(std::string_view what) const {
        throw UsageError(fmt::format("{} in \"{}\": the native expressions know variables, members, casts, arithmetic and arrays; "
                                     "this needs a full C evaluator", what, text_));
    }

    // "(struct page *)": the type, with the parentheses consumed; null and nothing consumed when this is no cast.
    const Type* cast_type() {
        const size_t end = text_.find(')', at_);
        if (end == std::string_view::npos) return nullptr;
        const std::string_view inside = text_.substr(at_ + 1, end - at_ - 1);
        if (inside.empty() || inside.find('(') != std::string_view::npos) return nullptr;
        const Type* type = named_type(inside);
        if (type) at_ = end + 1;
        return type;
    }

    // A name alone is a variable before it is a struct's tag; then it may be a type without its keyword.
    const Type* named_type(std::string_view text) {
        const Type* type = types_.parse(text);
        if (!type) return nullptr;
        const size_t first = text.find_first_not_of(' ');
        const std::string_view name = text.substr(first, text.find_last_not_of(' ') + 1 - first);
        const bool lone = name.find_first_of(" *[") == std::string_view::npos;
        return lone && is_compound(type) && target_.symbol_address(name) ? nullptr : type;
    }

    Object postfix(Object value) {
        for (;;) {
            if (take("[")) {
                const Object index = ternary();
                expect("]");
                value = dereference(binary_operation("+", value, index));
            } else if (take("->") || (peek() == '.' && take("."))) {
                const std::string_view name = word();
                if (name.empty()) fail("a member's name is missing");
                value = value[name];
            } else if (peek() == '(') {
                throw UsageError("a function of a dead kernel cannot be called");
            } else return value;
        }
    }

    Object primary() {
        const char c = peek();
        if (c == '(') {
            ++at_;
            untyped_is_fine_ = false;
            const Object value = ternary();
            expect(")");
            return value;
        }
        if (c == '\'') return character();
        if (c == '"') return string();
        if (c == '$') return history();
        if (std::isdigit(static_cast<unsigned char>(c))) return number();
        if (c == '\0') fail("a value is missing at its end");
        const std::string_view name = word();
        if (name.empty()) fail(fmt::format("unexpected \"{}\"", text_.substr(at_)));
        if (name == "sizeof") return size();
        return named(name);
    }

    Object integer(std::string_view type, uint64_t value) {
        return Object::of_integer(target_, &types_.require(type), value).in_space(context_.space);
    }

    Object number() {
        const std::string_view digits = word();
        if (peek() == '.') fail_full_c("floating point");
        const bool hex = digits.starts_with("0x") || digits.starts_with("0X");
        const bool octal = !hex && digits.size() > 1 && digits[0] == '0';
        const std::string_view body = hex ? digits.substr(2) : digits;
        uint64_t value = 0;
        const auto [end, error] = std::from_chars(body.data(), body.data() + body.size(), value, hex ? 16 : octal ? 8 : 10);
        const std::string_view suffix = body.substr(static_cast<size_t>(end - body.data()));
        if (error != std::errc() || suffix.find_first_not_of("uUlL") != std::string_view::npos || suffix.size() > 3)
            fail(fmt::format("\"{}\" is not a number", digits));
        const bool is_unsigned = suffix.find_first_of("uU") != std::string_view::npos;
        const bool is_long = suffix.find_first_of("lL") != std::string_view::npos || value > (hex || octal || is_unsigned ? UINT32_MAX : INT32_MAX);
        if (is_long) return integer(is_unsigned || value > INT64_MAX ? "unsigned long" : "long", value);
        return integer(is_unsigned || value > INT32_MAX ? "unsigned int" : "int", value);
    }

    char escaped() {
        if (at_ >= text_.size()) fail("a quote is not closed");
        const char c = text_[at_++];
        if (c != '\\') return c;
        if (at_ >= text_.size()) fail("a quote is not closed");
        const char e = text_[at_++];
        constexpr std::string_view letters = "abtnvfre", codes = "\a\b\t\n\v\f\r\033";
        if (const size_t known = letters.find(e); known != std::string_view::npos) return codes[known];
        if (e < '0' || e > '7') return e;
        unsigned value = static_cast<unsigned>(e - '0');
        for (int i = 0; i < 2 && at_ < text_.size() && text_[at_] >= '0' && text_[at_] <= '7'; ++i) value = value * 8 + static_cast<unsigned>(text_[at_++] - '0');
        return static_cast<char>(value);
    }
    Object character() {
        ++at_;
        const char c = escaped();
        if (at_ >= text_.size() || text_[at_] != '\'') fail("a character is one between single quotes");
        ++at_;
        return integer("char", static_cast<uint64_t>(static_cast<int64_t>(c)));
    }
    Object string() {
        ++at_;
        std::vector<std::byte> bytes;
        while (at_ < text_.size() && text_[at_] != '"') bytes.push_back(static_cast<std::byte>(escaped()));
        if (at_ >= text_.size()) fail("a quote is not closed");
        ++at_;
        bytes.push_back(std::byte{0});
        const Type* type = types_.array_of(&types_.require("char"), bytes.size());
        return Object::of_value(target_, type, std::move(bytes));
    }

    Object history() {
        const size_t begin = at_;
        while (at_ < text_.size() && text_[at_] == '$') ++at_;
        while (at_ < text_.size() && is_word(text_[at_])) ++at_;
        const std::string_view name = text_.substr(begin, at_ - begin);
        if (name.find_first_not_of("$0123456789") != std::string_view::npos || name.find_last_of('$') > 1)
            throw UsageError(fmt::format("\"{}\" is not a value of the history: those are $, $$, $3, $$2", name));
        if (!context_.history) throw UsageError("there is no history of values here");
        return context_.history(name);
    }

    Object size() {
        if (peek() == '(')
            if (const Type* type = cast_type()) return integer("unsigned long", type->size);
        const Object object = unary();
        if (object.bit_size()) fail("a bit-field has no size");
        return integer("unsigned long", object.type()->size);
    }

    Object named(std::string_view name) {
        if (const auto variable = target_.try_variable(name)) return *variable;
        const auto address = target_.symbol_address(name);
        if (address) {
            if (const Type* function = types_.of_function(name)) return Object(target_, function, *address);
            if (const auto value = types_.enumerator(name); !value) return untyped(name, *address);
        }
        if (const Type* enumeration = types_.enumeration_of(name))
            return Object::of_integer(target_, enumeration, static_cast<uint64_t>(*types_.enumerator(name)));
        if (const auto value = types_.enumerator(name)) return integer("long", static_cast<uint64_t>(*value));
        if (peek() == '(') throw UsageError(fmt::format("\"{}\": a function of a dead kernel cannot be called", name));
        throw LookupError(fmt::format("no symbol \"{}\" in this kernel", name));
    }

    // A symbol that no debug information describes: code has a type all the same, data has one only in "(type)name"; "&name" is a
    // pointer to void.
    Object untyped(std::string_view name, uint64_t address) {
        static const Type unknown_function = [] {
            Type type;
            type.kind = TypeKind::function;
            type.size = 1;
            return type;
        }();
        if (target_.symbols().is_text(address)) return Object(target_, &unknown_function, address);
        static const Type unknown_data{};
        if (untyped_is_fine_) return Object(target_, &unknown_data, address);
        throw LookupError(fmt::format("the type of \"{}\" is not known; its address is 0x{:x}: cast it, as in (unsigned long){}", name,
                                      address, name));
    }

    std::string_view text_;
    const Target& target_;
    const Types& types_;
    const ExpressionContext& context_;
    size_t at_ = 0;
    unsigned depth_ = 0;
    bool untyped_is_fine_ = false; // the next name stands under "&" or a cast
};

} // namespace

Object evaluate_c(std::string_view expression, const ExpressionContext& context) { return Parser(expression, context).whole(); }

} // namespace kcrash
