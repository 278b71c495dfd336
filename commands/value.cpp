// SPDX-License-Identifier: GPL-3.0-or-later
// Typed bytes as value trees. The text of each leaf follows what gdb prints ("set print pretty on", no limit on repeats).
//
// A struct is read at once; when a page of it is missing, its members are read one by one and only those on that page
// are Missing. Three of gdb's ways are odd enough to name:
// - An array of no known length, or of no size, prints as a pointer to where it would begin.
// - A char array drops one last NUL, no more: char c[4] = "a" is "a\000\000".
// - An enum whose values are single bits is a set of flags, even one of 0, 1, 2: 3 prints as (B | C).
#include "commands/value.hpp"
#include "commands/session.hpp"
#include "core/interrupt.hpp"
#include <algorithm>
#include <bit>
#include <cstring>
#include <fmt/format.h>

namespace kcrash {

namespace {

constexpr unsigned max_depth = 20;               // gdb's: deeper braces print as {...}
constexpr uint64_t max_whole = uint64_t{1} << 20; // bytes that are read at once

// Bytes of one part of a value, or why there are none.
struct Part {
    const std::byte* bytes = nullptr; // null: read them at `address`
    uint64_t available = 0;           // bytes behind `bytes`
    uint64_t address = 0;             // of the part; 0 with has_address false: a value of its own
    bool has_address = false;
};

class Builder {
public:
    Builder(const Object& object, const ValueFormat& format)
        : target_(object.target()), space_(object.space()), format_(format), order_(target_.arch().order) {}

    ValueTree build(const Type* type, Part place, unsigned bit, unsigned bits, unsigned depth) {
        check_interrupt();
        ValueTree tree;
        tree.type = type_name(type);
        const Type* bare = strip(type);
        std::vector<std::byte> own;
        if (!place.bytes && place.has_address && load_whole(bare, bit, bits, place.address, own, tree)) {
            place.bytes = own.data();
            place.available = own.size();
        }
        switch (bare->kind) {
        case TypeKind::structure: case TypeKind::union_type: compound(tree, *bare, place, depth); break;
        case TypeKind::array: array(tree, *bare, place, depth); break;
        case TypeKind::function:
            tree.value = AddressValue{place.address};
            tree.text = fmt::format("{{{}}} {}", type_name(bare), pointer_text(target_, place.address));
            break;
        case TypeKind::void_type: tree.text = "void"; break;
        case TypeKind::declaration: tree.text = "<incomplete type>"; break;
        default: scalar(tree, *bare, place, bit, bits); break;
        }
        return tree;
    }

private:
    // Reads what one leaf or a small enough struct or array needs. Sets tree.value to Missing for a leaf that cannot be read.
    bool load_whole(const Type* bare, unsigned bit, unsigned bits, uint64_t address, std::vector<std::byte>& into, ValueTree& tree) {
        const bool parts = bare->kind == TypeKind::structure || bare->kind == TypeKind::union_type || bare->kind == TypeKind::array;
        const uint64_t size = bits ? (bit + bits + 7) / 8 : bare->size;
        if (size == 0 || bare->kind == TypeKind::function || (parts && size > max_whole)) return false;
        into.resize(std::min(size, max_whole));
        const Fault fault = space_.try_read(VirtualAddress{address}, into);
        if (fault != Fault::none && !parts) tree.value = Missing{std::string(describe(fault))};
        return fault == Fault::none;
    }

    static Part part(const Part& whole, uint64_t offset, uint64_t size) {
        Part place = whole;
        place.address += offset;
        place.bytes = nullptr;
        place.available = 0;
        if (whole.bytes && offset <= whole.available && size <= whole.available - offset) {
            place.bytes = whole.bytes + offset;
            place.available = size;
        }
        return place;
    }

    void compound(ValueTree& tree, const Type& type, const Part& place, unsigned depth) {
        tree.is_union = type.kind == TypeKind::union_type;
        if (depth >= max_depth) {
            tree.text = "{...}";
            return;
        }
        for (const TypeMember& m : type.members) {
            const unsigned bit = m.bit_size ? m.bit_offset % 8 : 0;
            const uint64_t size = m.bit_size ? (bit + m.bit_size + 7) / 8 : m.type->size;
            ValueTree child = build(m.type, part(place, m.offset(), size), bit, m.bit_size, depth + 1);
            child.name = m.name;
            tree.children.push_back(std::move(child));
        }
        if (tree.children.empty()) tree.text = "{<No data fields>}";
    }

    void array(ValueTree& tree, const Type& type, const Part& place, unsigned depth) {
        const Type* element = type.target;
        const uint64_t size = element->size;
        if (type.count == 0 || size == 0) {
            tree.value = AddressValue{place.address};
            tree.text = pointer_text(target_, place.address) + string_at(element, place.address);
            return;
        }
        if (strip(element)->is_char) return characters(tree, type, place);
        if (depth >= max_depth) {
            tree.text = "{...}";
            return;
        }
        tree.is_array = true;
        tree.is_tall = format_.print_array;
        const uint64_t shown = std::min<uint64_t>(type.count, format_.print_max);
        for (uint64_t i = 0; i < shown; ++i)
            tree.children.push_back(build(element, part(place, i * size, size), 0, 0, depth + 1));
        if (shown < type.count) {
            ValueTree dots;
            dots.text = "...";
            tree.children.push_back(std::move(dots));
        }
    }

    void characters(ValueTree& tree, const Type& type, const Part& place) {
        const uint64_t shown = std::min<uint64_t>(type.count, format_.print_max);
        std::string text(shown, '\0');
        const auto into = std::as_writable_bytes(std::span(text));
        if (place.bytes && place.available >= shown) std::copy_n(place.bytes, shown, into.begin());
        else if (const Fault fault = space_.try_read(VirtualAddress{place.address}, into); fault != Fault::none) {
            tree.value = Missing{std::string(describe(fault))};
            return;
        }
        const size_t end = text.find_last_not_of('\0') + 1;
        tree.value = text.substr(0, end);
        const char* dots = "";
        if (format_.null_stop) text.resize(std::min(text.find('\0'), text.size()));
        else if (shown < type.count) dots = "...";
        else if (text.back() == '\0') text.pop_back();
        tree.text = quote_c(text, '"') + dots;
    }

    void scalar(ValueTree& tree, const Type& bare, const Part& place, unsigned bit, unsigned bits) {
        if (!place.bytes) {
            if (!std::holds_alternative<Missing>(tree.value)) tree.value = Missing{"lies outside of the value"};
            return;
        }
        const std::span<const std::byte> bytes(place.bytes, place.available);
        if (bare.size > 8 && !bits) return wide(tree, bare, bytes);
        uint64_t value = bits ? load_bits(bytes, order_, bit, bits) : load_unsigned(bytes, order_);
        if (bare.is_signed) value = static_cast<uint64_t>(sign_extend(value, bits ? bits : static_cast<unsigned>(bare.size) * 8));
        switch (bare.kind) {
        case TypeKind::pointer: return pointer(tree, bare, value);
        case TypeKind::boolean:
            tree.value = value != 0;
            tree.text = format_.radix == 16 ? fmt::format("{:#x}", value) : value > 1 ? std::to_string(value) : value ? "true" : "false";
            return;
        case TypeKind::enumeration: tree.text = enumerator_text(bare, value); return;
        case TypeKind::floating: return floating(tree, bare, value);
        default: integer(tree, bare, value); return;
        }
    }

    void integer(ValueTree& tree, const Type& bare, uint64_t value) const {
        if (bare.is_signed) tree.value = static_cast<int64_t>(value);
        else tree.value = value;
        if (format_.radix == 16) {
            tree.text = fmt::format("{:#x}", bare.size < 8 ? value & ((uint64_t{1} << bare.size * 8) - 1) : value);
            return;
        }
        tree.text = bare.is_signed ? std::to_string(static_cast<int64_t>(value)) : std::to_string(value);
        if (bare.is_char) tree.text += " " + quote_c(std::string(1, static_cast<char>(value)), '\'');
    }

    // __int128 and long double: more than our integers hold.
    void wide(ValueTree& tree, const Type& bare, std::span<const std::byte> bytes) const {
        unsigned __int128 value = 0;
        const size_t n = std::min<size_t>(bytes.size(), 16);
        for (size_t i = 0; i < n; ++i)
            value = value << 8 | static_cast<unsigned>(bytes[order_ == ByteOrder::little ? n - 1 - i : i]);
        if (format_.radix == 16 || bare.kind != TypeKind::integer) {
            const auto high = static_cast<uint64_t>(value >> 64), low = static_cast<uint64_t>(value);
            tree.text = high ? fmt::format("{:#x}{:016x}", high, low) : fmt::format("{:#x}", low);
            return;
        }
        const bool negative = bare.is_signed && value >> 127;
        if (negative) value = ~value + 1;
        for (; value || tree.text.empty(); value /= 10) tree.text.insert(0, 1, static_cast<char>('0' + static_cast<unsigned>(value % 10)));
        if (negative) tree.text.insert(0, 1, '-');
    }

    static void floating(ValueTree& tree, const Type& bare, uint64_t bits) {
        const double value = bare.size == 4 ? static_cast<double>(std::bit_cast<float>(static_cast<uint32_t>(bits))) : std::bit_cast<double>(bits);
        tree.value = value;
        tree.text = bare.size == 4 ? fmt::format("{:.9g}", value) : fmt::format("{:.17g}", value);
    }

    void pointer(ValueTree& tree, const Type& bare, uint64_t value) const {
        const Type* to = bare.target ? bare.target : strip(nullptr);
        tree.text = format_.symbols ? pointer_text(target_, value) : fmt::format("{:#x}", value);
        if (const std::string symbol = pointer_symbol(target_, value); !symbol.empty()) tree.value = SymbolValue{value, symbol};
        else tree.value = AddressValue{value};
        if (value) tree.text += string_at(to, value);
    }

    // ' "text"' when the address is one of characters.
    std::string string_at(const Type* element, uint64_t address) const {
        if (!element || !strip(element)->is_char) return {};
        std::string text(format_.print_max + 1, '\0');
        size_t length = 0;
        const Fault fault = read_string(address, text, length);
        if (fault != Fault::none && length == 0) return fmt::format(" <error: {}>", describe(fault));
        const bool cut = length > format_.print_max || fault != Fault::none;
        return " " + quote_c(std::string_view(text).substr(0, std::min<size_t>(length, format_.print_max)), '"') + (cut ? "..." : "");
    }

    // Characters up to the NUL, the end of `text`, or the first page that cannot be read.
    Fault read_string(uint64_t address, std::string& text, size_t& length) const {
        constexpr uint64_t step = 64;
        while (length < text.size()) {
            const uint64_t n = std::min<uint64_t>(text.size() - length, step - (address + length) % step);
            const auto into = std::as_writable_bytes(std::span(text)).subspan(length, n);
            if (const Fault fault = space_.try_read(VirtualAddress{address + length}, into); fault != Fault::none) return fault;
            const auto* end = std::memchr(into.data(), 0, n);
            if (end) {
                length += static_cast<size_t>(static_cast<const std::byte*>(end) - into.data());
                return Fault::none;
            }
            length += n;
        }
        return Fault::none;
    }

    const Target& target_;
    const AddressSpace& space_;
    const ValueFormat& format_;
    ByteOrder order_;
};

} // namespace

ValueFormat value_format(const Session& session) {
    return {session.settings.radix, session.settings.print_max, session.settings.null_stop, true, session.settings.print_array};
}

ValueTree value_tree(const Object& object, const ValueFormat& format) {
    Builder builder(object, format);
    Part place;
    std::vector<std::byte> bytes;
    place.has_address = object.has_address();
    if (place.has_address) place.address = object.address();
    else {
        bytes = object.bytes();
        place.bytes = bytes.data();
        place.available = bytes.size();
    }
    return builder.build(object.type(), place, object.bit_offset(), object.bit_size(), 0);
}

std::string value_prefix(const Object& object) {
    const Type* type = strip_qualifiers(object.type());
    const Type* bare = strip(type);
    if (bare->kind != TypeKind::pointer) return {};
    const Type* to = bare->target ? strip_qualifiers(bare->target) : nullptr;
    if (type->kind == TypeKind::pointer && to && to->name == "char") return {};
    return fmt::format("({}) ", type_name(object.type()));
}

std::string pointer_symbol(const Target& target, uint64_t address) {
    const auto match = address ? target.symbols().containing(address) : std::nullopt;
    if (!match) return {};
    const bool sizes_known = match->module || target.symbols().kernel().source() != "kallsyms";
    if (match->offset && match->symbol.size == 0 && sizes_known && !target.symbols().is_text(address)) return {};
    return match->offset ? fmt::format("{}+{}", match->symbol.name, match->offset) : std::string(match->symbol.name);
}

std::string pointer_text(const Target& target, uint64_t address) {
    const std::string symbol = pointer_symbol(target, address);
    return symbol.empty() ? fmt::format("{:#x}", address) : fmt::format("{:#x} <{}>", address, symbol);
}

std::string quote_c(std::string_view bytes, char quote) {
    constexpr std::string_view named = "\a\b\t\n\v\f\r\033", letters = "abtnvfr";
    std::string out(1, quote);
    for (const char c : bytes) {
        const size_t known = named.find(c);
        if (c == quote || c == '\\') out += '\\', out += c;
        else if (known < letters.size()) out += '\\', out += letters[known];
        else if (c >= ' ' && c < 127) out += c;
        else out += fmt::format("\\{:03o}", static_cast<unsigned char>(c));
    }
    return out + quote;
}

std::string enumerator_text(const Type& type, uint64_t value) {
    bool flags = true;
    for (const Enumerator& e : type.enumerators) {
        if (static_cast<uint64_t>(e.value) == value) return std::string(e.name);
        flags = flags && e.value >= 0 && std::popcount(static_cast<uint64_t>(e.value)) <= 1;
    }
    if (!flags || type.enumerators.empty())
        return type.is_signed ? std::to_string(static_cast<int64_t>(value)) : std::to_string(value);
    std::string text;
    uint64_t left = value;
    for (const Enumerator& e : type.enumerators) {
        if (!(left & static_cast<uint64_t>(e.value))) continue;
        left &= ~static_cast<uint64_t>(e.value);
        text += fmt::format("{}{}", text.empty() ? "(" : " | ", e.name);
    }
    if (left) text += fmt::format("{}unknown: {:#x}", text.empty() ? "(" : " | ", left);
    return text.empty() ? "0" : text + ")";
}

} // namespace kcrash
