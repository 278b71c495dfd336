// SPDX-License-Identifier: GPL-3.0-or-later
// A recursive-descent reader of the v0 grammar (RFC 2603, "Rust Symbol Name Mangling v0"):
//
//   symbol = "_R" path [instantiating-crate]
//   path   = C ident | M impl-path type | X impl-path type path | Y type path | N ns path ident | I path {arg} E | B backref
//   type   = basic letter | path | A type const | S type | T {type} E | R/Q [lifetime] type | P/O type | F fn | D dyn | B backref
//
// A back-reference names an earlier offset, so it can only go down; depth and output are bounded against names that were
// made to explode.
#include "symbols/rust_name.hpp"
#include <cctype>
#include <cstdint>
#include <fmt/format.h>

namespace kcrash {
namespace {

struct NotRust {}; // never leaves this file

class V0 {
public:
    explicit V0(std::string_view text) : text_(text) {}

    std::string run() {
        path(true);
        if (at_ < text_.size() && text_[at_] != '.' && text_[at_] != '$') { // the crate that instantiated it: not shown
            const std::string shown = out_;
            path(false);
            out_ = shown;
        }
        if (at_ < text_.size() && text_[at_] != '.' && text_[at_] != '$') throw NotRust();
        return out_;
    }

private:
    struct Deeper {
        explicit Deeper(unsigned& depth) : depth_(depth) {
            if (++depth_ > 100) throw NotRust();
        }
        ~Deeper() { --depth_; }
        unsigned& depth_;
    };

    char peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }
    char take() {
        if (at_ >= text_.size()) throw NotRust();
        return text_[at_++];
    }
    bool eat(char c) {
        if (peek() != c) return false;
        ++at_;
        return true;
    }
    void say(std::string_view text) {
        out_ += text;
        if (out_.size() > 4096) throw NotRust();
    }

    uint64_t base62() {
        if (eat('_')) return 0;
        uint64_t value = 0;
        for (;;) {
            const char c = take();
            if (c == '_') return value + 1;
            unsigned digit;
            if (c >= '0' && c <= '9') digit = static_cast<unsigned>(c - '0');
            else if (c >= 'a' && c <= 'z') digit = 10u + static_cast<unsigned>(c - 'a');
            else if (c >= 'A' && c <= 'Z') digit = 36u + static_cast<unsigned>(c - 'A');
            else throw NotRust();
            if (value > (UINT64_MAX - digit) / 62) throw NotRust();
            value = value * 62 + digit;
        }
    }
    uint64_t disambiguator() { return eat('s') ? base62() + 1 : 0; }

    std::string_view identifier() {
        eat('u'); // punycode: shown as it stands
        if (!std::isdigit(static_cast<unsigned char>(peek()))) throw NotRust();
        size_t length = 0;
        if (!eat('0'))
            while (std::isdigit(static_cast<unsigned char>(peek()))) {
                length = length * 10 + static_cast<size_t>(take() - '0');
                if (length > text_.size()) throw NotRust();
            }
        eat('_');
        if (length > text_.size() - at_) throw NotRust();
        const std::string_view name = text_.substr(at_, length);
        at_ += length;
        return name;
    }

    template <typename Read> void backref(Read read) {
        const size_t from = at_ - 1;
        const uint64_t to = base62();
        if (to >= from) throw NotRust();
        const size_t back = at_;
        at_ = to;
        read();
        at_ = back;
    }

    void path(bool in_value) {
        const Deeper deeper(depth_);
        switch (const char tag = take()) {
        case 'C': disambiguator(); say(identifier()); return;
        case 'M': impl_path(); say("<"); type(); say(">"); return;
        case 'X': impl_path(); [[fallthrough]];
        case 'Y': say("<"); type(); say(" as "); path(false); say(">"); return;
        case 'N': nested(in_value); return;
        case 'I':
            path(in_value);
            if (in_value) say("::");
            say("<");
            list([&] { argument(); });
            say(">");
            return;
        case 'B': backref([&] { path(in_value); }); return;
        default: (void)tag; throw NotRust();
        }
    }

    void impl_path() {
        disambiguator();
        const std::string shown = out_;
        path(false);
        out_ = shown;
    }

    void nested(bool in_value) {
        const char space = take();
        path(in_value);
        const uint64_t number = disambiguator();
        const std::string_view name = identifier();
        if (std::isupper(static_cast<unsigned char>(space))) {
            say(space == 'C' ? "::{closure" : space == 'S' ? "::{shim" : fmt::format("::{{{}", space));
            if (!name.empty()) say(fmt::format(":{}", name));
            say(fmt::format("#{}}}", number));
        } else if (!name.empty()) {
            say("::");
            say(name);
        }
    }

    template <typename Read> size_t list(Read read) {
        size_t count = 0;
        for (; !eat('E'); ++count) {
            if (count) say(", ");
            read();
        }
        return count;
    }

    void argument() {
        if (eat('L')) lifetime();
        else if (eat('K')) constant();
        else type();
    }

    void lifetime() {
        const uint64_t index = base62();
        say(index == 0 ? "'_" : fmt::format("'{}", static_cast<char>('a' + (index - 1) % 26)));
    }

    static std::string_view basic(char tag) {
        switch (tag) {
        case 'a': return "i8";   case 'b': return "bool"; case 'c': return "char"; case 'd': return "f64";  case 'e': return "str";
        case 'f': return "f32";  case 'h': return "u8";   case 'i': return "isize"; case 'j': return "usize"; case 'l': return "i32";
        case 'm': return "u32";  case 'n': return "i128"; case 'o': return "u128"; case 's': return "i16";  case 't': return "u16";
        case 'u': return "()";   case 'v': return "...";  case 'x': return "i64";  case 'y': return "u64";  case 'z': return "!";
        case 'p': return "_";
        default: return {};
        }
    }

    void type() {
        const Deeper deeper(depth_);
        const char tag = take();
        if (const auto name = basic(tag); !name.empty()) return say(name);
        switch (tag) {
        case 'R': case 'Q':
            say("&");
            if (eat('L')) {
                const std::string shown = out_;
                lifetime();
                if (out_.ends_with("'_")) out_ = shown;
                else say(" ");
            }
            if (tag == 'Q') say("mut ");
            return type();
        case 'P': say("*const "); return type();
        case 'O': say("*mut "); return type();
        case 'A': say("["); type(); say("; "); constant(); return say("]");
        case 'S': say("["); type(); return say("]");
        case 'T':
            say("(");
            if (list([&] { type(); }) == 1) say(",");
            return say(")");
        case 'F': return function();
        case 'D': return dynamic();
        case 'B': return backref([&] { type(); });
        default: --at_; return path(false);
        }
    }

    void function() {
        if (eat('G')) base62();
        if (eat('U')) say("unsafe ");
        if (eat('K')) say(eat('C') ? std::string("extern \"C\" ") : fmt::format("extern \"{}\" ", identifier()));
        say("fn(");
        list([&] { type(); });
        say(")");
        if (eat('u')) return;
        say(" -> ");
        type();
    }

    void dynamic() {
        say("dyn ");
        if (eat('G')) base62();
        for (bool first = true; !eat('E'); first = false) {
            if (!first) say(" + ");
            path(false);
            while (eat('p')) {
                say(fmt::format("<{} = ", identifier()));
                type();
                say(">");
            }
        }
        if (!eat('L')) throw NotRust();
        const std::string shown = out_;
        say(" + ");
        lifetime();
        if (out_.ends_with("'_")) out_ = shown;
    }

    void constant() {
        const Deeper deeper(depth_);
        if (eat('B')) return backref([&] { constant(); });
        const char tag = take();
        if (tag == 'p') return say("_");
        if (basic(tag).empty()) throw NotRust();
        const bool negative = eat('n');
        std::string digits;
        while (!eat('_')) {
            const char c = take();
            if (!std::isxdigit(static_cast<unsigned char>(c)) || digits.size() > 16) throw NotRust();
            digits += c;
        }
        const uint64_t value = digits.empty() ? 0 : std::stoull(digits, nullptr, 16);
        if (tag == 'b') return say(value ? "true" : "false");
        say(fmt::format("{}{}", negative ? "-" : "", value));
    }

    std::string_view text_;
    size_t at_ = 0;
    unsigned depth_ = 0;
    std::string out_;
};

// "_ZN" { length name } "17h" 16 hexadecimal digits "E"; punctuation in names is $LT$, $u20$, "..".
std::optional<std::string> legacy(std::string_view symbol) {
    if (!symbol.starts_with("_ZN")) return std::nullopt;
    static constexpr std::pair<std::string_view, std::string_view> escapes[] = {
        {"$SP$", "@"}, {"$BP$", "*"}, {"$RF$", "&"}, {"$LT$", "<"}, {"$GT$", ">"}, {"$LP$", "("}, {"$RP$", ")"}, {"$C$", ","},
        {"$u20$", " "}, {"$u27$", "'"}, {"$u5b$", "["}, {"$u5d$", "]"}, {"$u7b$", "{"}, {"$u7d$", "}"}, {"$u7e$", "~"}, {"..", "::"}};
    std::string out;
    std::string_view last;
    size_t at = 3;
    while (at < symbol.size() && std::isdigit(static_cast<unsigned char>(symbol[at]))) {
        size_t length = 0;
        while (at < symbol.size() && std::isdigit(static_cast<unsigned char>(symbol[at])) && length <= symbol.size())
            length = length * 10 + static_cast<size_t>(symbol[at++] - '0');
        if (length == 0 || length > symbol.size() - at) return std::nullopt;
        if (!last.empty()) {
            if (last.starts_with("_$")) last.remove_prefix(1);
            out += out.empty() ? "" : "::";
            while (!last.empty()) {
                const size_t before = last.size();
                for (const auto& [from, to] : escapes)
                    if (last.starts_with(from)) {
                        out += to;
                        last.remove_prefix(from.size());
                        break;
                    }
                if (last.size() != before) continue;
                out += last.front();
                last.remove_prefix(1);
            }
        }
        last = symbol.substr(at, length);
        at += length;
    }
    const bool hash = last.size() == 17 && last[0] == 'h' && last.find_first_not_of("0123456789abcdef", 1) == std::string_view::npos;
    if (!hash || out.empty() || at >= symbol.size() || symbol[at] != 'E') return std::nullopt; // without the hash it is C++
    return out;
}

} // namespace

std::optional<std::string> demangle_rust(std::string_view symbol) {
    if (!symbol.starts_with("_R") || symbol.size() < 4) return legacy(symbol);
    try {
        return V0(symbol.substr(2)).run();
    } catch (const NotRust&) {
        return std::nullopt;
    }
}

std::string demangle_rust_in(std::string_view text) {
    std::string out;
    const auto is_name = [](char c) { return std::isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '$' || c == '.'; };
    for (size_t at = 0; at < text.size();) {
        size_t end = at;
        while (end < text.size() && is_name(text[end])) ++end;
        if (end == at) {
            out += text[at++];
            continue;
        }
        const std::string_view word = text.substr(at, end - at);
        out += demangle_rust(word).value_or(std::string(word));
        at = end;
    }
    return out;
}

} // namespace kcrash
