// SPDX-License-Identifier: GPL-3.0-or-later
// One look-up over all sources of types, and the parser of C type names.
#include "symbols/types.hpp"
#include "core/error.hpp"
#include <algorithm>
#include <cctype>
#include <charconv>
#include <deque>
#include <fmt/format.h>
#include <map>
#include <mutex>

namespace kcrash {

// Pointer and array types that no source has, made on demand.
struct Types::Made {
    std::mutex mutex;
    std::deque<Type> types;
    std::map<const Type*, const Type*> pointers;
    std::map<std::pair<const Type*, uint64_t>, const Type*> arrays;
    uint64_t word_size = 8;
};

Types::Types(std::vector<std::shared_ptr<const TypeSource>> sources) : sources_(std::move(sources)), made_(std::make_shared<Made>()) {
    if (const Type* word = find(TypeKind::integer, "unsigned long"); word && word->size) made_->word_size = word->size;
}

const Type* Types::find(TypeKind kind, std::string_view name) const {
    for (const auto& source : sources_)
        if (const Type* found = source->find(kind, name)) return found;
    return nullptr;
}

const Type* Types::of_variable(std::string_view name) const {
    for (const auto& source : sources_)
        if (const Type* found = source->of_variable(name)) return found;
    return nullptr;
}

const Type* Types::of_function(std::string_view name) const {
    for (const auto& source : sources_)
        if (const Type* found = source->of_function(name)) return found;
    return nullptr;
}

std::optional<int64_t> Types::enumerator(std::string_view name) const {
    for (const auto& source : sources_)
        if (const auto found = source->enumerator(name)) return found;
    return std::nullopt;
}

const Type* Types::enumeration_of(std::string_view name) const {
    for (const auto& source : sources_)
        if (const Type* found = source->enumeration_of(name)) return found;
    return nullptr;
}

const Type* Types::pointer_to(const Type* target) const {
    const std::lock_guard lock(made_->mutex);
    auto& slot = made_->pointers[target];
    if (!slot) {
        Type& made = made_->types.emplace_back();
        made.kind = TypeKind::pointer, made.size = made_->word_size, made.target = target;
        slot = &made;
    }
    return slot;
}

const Type* Types::array_of(const Type* element, uint64_t count) const {
    if (element && element->size && count > UINT64_MAX / element->size)
        throw UsageError(fmt::format("an array of {} elements of {} bytes is too large", count, element->size));
    const std::lock_guard lock(made_->mutex);
    auto& slot = made_->arrays[{element, count}];
    if (!slot) {
        Type& made = made_->types.emplace_back();
        made.kind = TypeKind::array, made.target = element, made.count = count;
        made.size = element ? element->size * count : 0;
        slot = &made;
    }
    return slot;
}

const Type& Types::require(std::string_view text) const {
    if (const Type* found = parse(text)) return *found;
    throw LookupError(fmt::format("unknown type \"{}\"", text));
}

bool Types::has_member(std::string_view type, std::string_view path) const {
    const Type* found = parse(type);
    return found && find_member(found, path);
}

namespace {

// Words and punctuation of a type name: "const struct page *[4]" is const, struct, page, *, [, 4, ].
class Words {
public:
    explicit Words(std::string_view text) : text_(text) {}
    std::string_view peek() {
        while (!text_.empty() && std::isspace(static_cast<unsigned char>(text_.front()))) text_.remove_prefix(1);
        size_t n = 0;
        while (n < text_.size() && (std::isalnum(static_cast<unsigned char>(text_[n])) || text_[n] == '_')) ++n;
        return text_.substr(0, n == 0 && !text_.empty() ? 1 : n);
    }
    std::string_view next() {
        const std::string_view word = peek();
        text_.remove_prefix(word.size());
        return word;
    }
    bool take(std::string_view word) {
        if (peek() != word) return false;
        next();
        return true;
    }

private:
    std::string_view text_;
};

bool is_integer_word(std::string_view word) {
    constexpr std::string_view words[] = {"unsigned", "signed", "long", "short", "int", "char", "__int128"};
    return std::ranges::find(words, word) != std::end(words);
}

// "long unsigned int" in any order becomes "unsigned long".
std::string integer_name(Words& words) {
    bool is_unsigned = false, is_signed = false, is_short = false;
    unsigned longs = 0;
    std::string base;
    for (std::string_view word = words.peek(); is_integer_word(word); word = words.peek()) {
        words.next();
        if (word == "unsigned") is_unsigned = true;
        else if (word == "signed") is_signed = true;
        else if (word == "short") is_short = true;
        else if (word == "long") ++longs;
        else base = word;
    }
    std::string name;
    if (base == "char") name = is_signed ? "signed char" : "char";
    else if (base == "__int128") name = base;
    else if (is_short) name = "short";
    else if (longs) name = longs == 1 ? "long" : "long long";
    else name = "int";
    return is_unsigned ? "unsigned " + name : name;
}

bool take_qualifier(Words& words) { return words.take("const") || words.take("volatile") || words.take("restrict"); }

const Type* tagged(const Types& types, std::string_view keyword, std::string_view name) {
    const TypeKind kind = keyword == "struct" ? TypeKind::structure
                          : keyword == "union" ? TypeKind::union_type
                                               : TypeKind::enumeration;
    return types.find(kind, name);
}

const Type* plain(const Types& types, std::string_view name) {
    constexpr TypeKind order[] = {TypeKind::structure, TypeKind::union_type, TypeKind::typedef_type, TypeKind::enumeration,
                                  TypeKind::boolean, TypeKind::floating};
    for (const TypeKind kind : order)
        if (const Type* found = types.find(kind, name)) return found;
    return nullptr;
}

const Type* base_type(const Types& types, Words& words) {
    static const Type void_type{};
    while (take_qualifier(words)) {}
    const std::string_view word = words.peek();
    const Type* found = nullptr;
    if (word == "struct" || word == "union" || word == "enum") {
        words.next();
        found = tagged(types, word, words.next());
    } else if (is_integer_word(word)) {
        found = types.find(TypeKind::integer, integer_name(words));
    } else if (word == "void") {
        words.next();
        found = &void_type;
    } else if (!word.empty()) {
        found = plain(types, words.next());
    }
    while (take_qualifier(words)) {}
    return found;
}

// "[2][3]" is an array of 2 arrays of 3: the last brackets bind first.
const Type* arrays(const Types& types, Words& words, const Type* element) {
    std::vector<uint64_t> counts;
    while (words.take("[")) {
        const std::string_view digits = words.next();
        uint64_t count = 0;
        const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), count);
        if (error != std::errc() || end != digits.data() + digits.size() || !words.take("]")) return nullptr;
        counts.push_back(count);
    }
    for (auto count = counts.rbegin(); count != counts.rend(); ++count) element = types.array_of(element, *count);
    return element;
}

} // namespace

const Type* Types::parse(std::string_view text) const {
    Words words(text);
    const Type* type = base_type(*this, words);
    if (!type) return nullptr;
    while (words.take("*")) {
        type = pointer_to(type);
        while (take_qualifier(words)) {}
    }
    type = arrays(*this, words, type);
    return words.peek().empty() ? type : nullptr;
}

} // namespace kcrash
