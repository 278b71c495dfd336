// SPDX-License-Identifier: GPL-3.0-or-later
// Integer expressions by precedence climbing.
#include "commands/expression.hpp"
#include "core/error.hpp"
#include <cctype>
#include <charconv>
#include <fmt/format.h>

namespace kcrash {
namespace {

std::optional<uint64_t> parse_digits(std::string_view digits, int base) {
    uint64_t value = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value, base);
    if (error != std::errc() || end != digits.data() + digits.size() || digits.empty()) return std::nullopt;
    return value;
}

struct Operator {
    std::string_view text;
    int precedence;
};
constexpr Operator operators[] = {{"<<", 4}, {">>", 4}, {"|", 1}, {"^", 2}, {"&", 3},
                                  {"+", 5},  {"-", 5},  {"*", 6}, {"/", 6}, {"%", 6}};
constexpr unsigned deepest = 100; // parentheses and signs inside each other

class Evaluation {
public:
    Evaluation(std::string_view text, const std::function<std::optional<uint64_t>(std::string_view)>& resolve)
        : text_(text), resolve_(resolve) {}

    uint64_t whole() {
        const uint64_t value = binary(1);
        blanks();
        if (at_ != text_.size()) fail(fmt::format("unexpected \"{}\"", text_.substr(at_)));
        return value;
    }

private:
    [[noreturn]] void fail(std::string_view why) const {
        throw UsageError(fmt::format("invalid expression: {}: {}", text_, why));
    }
    void blanks() {
        while (at_ < text_.size() && std::isspace(static_cast<unsigned char>(text_[at_]))) ++at_;
    }
    const Operator* peek() {
        blanks();
        for (const Operator& op : operators)
            if (text_.substr(at_).starts_with(op.text)) return &op;
        return nullptr;
    }
    uint64_t binary(int least) {
        uint64_t left = unary();
        for (const Operator* op = peek(); op && op->precedence >= least; op = peek()) {
            at_ += op->text.size();
            left = apply(op->text, left, binary(op->precedence + 1));
        }
        return left;
    }
    uint64_t apply(std::string_view op, uint64_t a, uint64_t b) const {
        if (op == "<<") return b < 64 ? a << b : 0;
        if (op == ">>") return b < 64 ? a >> b : 0;
        switch (op[0]) {
        case '|': return a | b;
        case '^': return a ^ b;
        case '&': return a & b;
        case '+': return a + b;
        case '-': return a - b;
        case '*': return a * b;
        default: break;
        }
        if (b == 0) fail("division by zero");
        return op[0] == '/' ? a / b : a % b;
    }
    uint64_t unary() {
        if (++depth_ > deepest) fail("nested too deeply");
        blanks();
        if (at_ == text_.size()) fail("a value is missing at its end");
        uint64_t value = 0;
        const char c = text_[at_];
        if (c == '-' || c == '~') {
            ++at_;
            value = c == '-' ? 0 - unary() : ~unary();
        } else if (c == '(') {
            ++at_;
            value = binary(1);
            blanks();
            if (at_ == text_.size() || text_[at_] != ')') fail("a parenthesis is not closed");
            ++at_;
        } else value = word();
        --depth_;
        return value;
    }
    uint64_t word() {
        const size_t begin = at_;
        while (at_ < text_.size() &&
               (std::isalnum(static_cast<unsigned char>(text_[at_])) || text_[at_] == '_' || text_[at_] == '.'))
            ++at_;
        const std::string_view name = text_.substr(begin, at_ - begin);
        if (name.empty()) fail(fmt::format("unexpected \"{}\"", text_.substr(begin)));
        const auto value = resolve_(name);
        if (!value) fail(fmt::format("\"{}\" is neither a number nor a symbol", name));
        return *value;
    }

    std::string_view text_;
    const std::function<std::optional<uint64_t>(std::string_view)>& resolve_;
    size_t at_ = 0;
    unsigned depth_ = 0;
};

} // namespace

uint64_t evaluate(std::string_view expression, const std::function<std::optional<uint64_t>(std::string_view)>& resolve) {
    return Evaluation(expression, resolve).whole();
}

std::optional<uint64_t> parse_hex(std::string_view word) {
    if (word.starts_with("0x") || word.starts_with("0X")) word.remove_prefix(2);
    return parse_digits(word, 16);
}

std::optional<uint64_t> parse_number(std::string_view word) {
    if (word.starts_with("0x") || word.starts_with("0X")) return parse_hex(word);
    if (const auto decimal = parse_digits(word, 10)) return decimal;
    std::string_view digits = word;
    if (digits.size() > 2 && std::tolower(static_cast<unsigned char>(digits.back())) == 'b') digits.remove_suffix(1); // 4KB
    const char last = digits.empty() ? '\0' : static_cast<char>(std::tolower(static_cast<unsigned char>(digits.back())));
    if (last == 'k' || last == 'm' || last == 'g') {
        digits.remove_suffix(1);
        const auto value = digits.starts_with("0x") ? parse_hex(digits) : parse_digits(digits, 10);
        const unsigned shift = last == 'k' ? 10 : last == 'm' ? 20 : 30;
        if (!value || *value > UINT64_MAX >> shift) return std::nullopt;
        return *value << shift;
    }
    return parse_hex(word);
}

} // namespace kcrash
