// SPDX-License-Identifier: GPL-3.0-or-later
// Reading typed places and values.
#include "kernel/object.hpp"
#include "core/error.hpp"
#include "kernel/target.hpp"
#include <algorithm>
#include <fmt/format.h>

namespace kcrash {

namespace {

constexpr uint64_t max_value_bytes = uint64_t{64} << 20; // of one object that is read whole

bool is_scalar(const Type* type) {
    switch (strip(type)->kind) {
    case TypeKind::integer: case TypeKind::boolean: case TypeKind::pointer: case TypeKind::enumeration: return true;
    default: return false;
    }
}

bool is_signed(const Type* type) {
    const Type* bare = strip(type);
    return bare && bare->is_signed;
}

std::string short_name(const Type* type) {
    std::string name = type_name(type);
    for (const std::string_view keyword : {"struct ", "union ", "enum "})
        if (name.starts_with(keyword)) name.erase(0, keyword.size());
    return name;
}

} // namespace

uint64_t load_bits(std::span<const std::byte> bytes, ByteOrder order, unsigned bit, unsigned size) {
    unsigned __int128 whole = 0;
    const size_t n = std::min<size_t>(bytes.size(), 9);
    for (size_t i = 0; i < n; ++i)
        whole = whole << 8 | static_cast<uint64_t>(bytes[order == ByteOrder::little ? n - 1 - i : i]);
    const unsigned total = static_cast<unsigned>(n) * 8;
    whole >>= order == ByteOrder::little ? bit : total - std::min(total, bit + size);
    return static_cast<uint64_t>(whole) & (size >= 64 ? ~uint64_t{0} : (uint64_t{1} << size) - 1);
}

Object::Object(const Target& target, const Type* type, uint64_t address, const AddressSpace* space)
    : target_(&target), type_(type), space_(space), address_(address), path_(short_name(type)) {}

Object Object::of_value(const Target& target, const Type* type, std::vector<std::byte> bytes) {
    Object made(target, type, 0);
    made.bytes_ = std::make_shared<const std::vector<std::byte>>(std::move(bytes));
    return made;
}

Object Object::of_integer(const Target& target, const Type* type, uint64_t value) {
    const uint64_t size = std::min<uint64_t>(strip(type)->size, 16);
    std::vector<std::byte> bytes(size);
    const bool negative = is_signed(type) && static_cast<int64_t>(value) < 0;
    for (uint64_t i = 0; i < size; ++i) {
        const auto byte = i < 8 ? static_cast<std::byte>(value >> 8 * i) : negative ? std::byte{0xff} : std::byte{0};
        bytes[target.arch().order == ByteOrder::little ? i : size - 1 - i] = byte;
    }
    return of_value(target, type, std::move(bytes));
}

const AddressSpace& Object::space() const { return space_ ? *space_ : target_->kernel(); }

Object Object::in_space(const AddressSpace* space) const {
    Object made = *this;
    made.space_ = space;
    return made;
}

Object Object::operator[](std::string_view member) const {
    const Type* bare = strip(type_);
    if (bare->kind == TypeKind::pointer) return dereference()[member];
    const auto found = find_member(bare, member);
    if (!found) throw LookupError(fmt::format("{} has no member \"{}\"", type_name(type_), member));
    Object made = *this;
    made.type_ = found->type;
    made.path_ = member.starts_with('[') ? path_ + std::string(member) : path_ + "." + std::string(member);
    made.bit_offset_ = found->bit_size ? static_cast<uint32_t>(found->bit_offset % 8) : 0;
    made.bit_size_ = found->bit_size;
    const uint64_t offset = found->bit_offset / 8;
    if (!bytes_) {
        made.address_ = address_ + offset;
        return made;
    }
    const uint64_t size = found->bit_size ? (made.bit_offset_ + found->bit_size + 7) / 8 : found->type->size;
    if (offset > bytes_->size() || size > bytes_->size() - offset)
        throw LookupError(fmt::format("{}: lies outside of the value", made.path_));
    const auto first = bytes_->begin() + static_cast<ptrdiff_t>(offset);
    made.bytes_ = std::make_shared<const std::vector<std::byte>>(first, first + static_cast<ptrdiff_t>(size));
    return made;
}

Object Object::element(uint64_t index) const {
    const Type* bare = strip(type_);
    if (bare->kind != TypeKind::array && bare->kind != TypeKind::pointer)
        throw LookupError(fmt::format("{} is neither an array nor a pointer", type_name(type_)));
    const Type* element = bare->target;
    const uint64_t size = element && element->size ? element->size : 1;
    Object made = *this;
    made.type_ = element;
    made.path_ = fmt::format("{}[{}]", path_, index);
    if (bare->kind == TypeKind::pointer) {
        made.address_ = u64() + index * size;
        made.bytes_.reset();
        made.bit_offset_ = made.bit_size_ = 0;
    } else if (!bytes_) {
        made.address_ = address_ + index * size;
    } else {
        if (index >= bytes_->size() / size) throw LookupError(fmt::format("{}: lies outside of the value", made.path_));
        const auto first = bytes_->begin() + static_cast<ptrdiff_t>(index * size);
        made.bytes_ = std::make_shared<const std::vector<std::byte>>(first, first + static_cast<ptrdiff_t>(size));
    }
    return made;
}

bool Object::has(std::string_view member) const {
    const Type* bare = strip(type_);
    if (bare->kind == TypeKind::pointer) bare = bare->target;
    return bare && find_member(bare, member).has_value();
}

Object Object::any(std::initializer_list<std::string_view> members) const {
    std::string names;
    for (const std::string_view member : members) {
        if (has(member)) return (*this)[member];
        names += fmt::format("{}\"{}\"", names.empty() ? "" : " or ", member);
    }
    throw LookupError(fmt::format("{} has no member {}", type_name(type_), names));
}

Object Object::dereference() const {
    const Type* bare = strip(type_);
    if (bare->kind == TypeKind::array) return element(0);
    if (bare->kind != TypeKind::pointer) throw LookupError(fmt::format("{} is not a pointer", type_name(type_)));
    const uint64_t to = u64();
    Object made = *this;
    made.type_ = bare->target ? bare->target : strip(nullptr);
    made.address_ = to;
    made.bytes_.reset();
    made.bit_offset_ = made.bit_size_ = 0;
    return made;
}

Object Object::cast(const Type* type) const {
    const Type* from = strip(type_);
    const Type* to = strip(type);
    Object made = *this;
    if (is_scalar(to) && from->kind == TypeKind::array && has_address()) {
        made = of_integer(*target_, type, address_); // an array decays to its address
    } else if (is_scalar(to) && is_scalar(from) && (from->size != to->size || bit_size_ || to->kind == TypeKind::boolean)) {
        made = of_integer(*target_, type, to->kind == TypeKind::boolean ? u64() != 0 : u64());
    } else if (bytes_ && to->size > bytes_->size()) {
        throw LookupError(fmt::format("{}: a value of {} bytes cannot become a {}", path_, bytes_->size(), type_name(type)));
    } else {
        made.type_ = type;
    }
    made.space_ = space_;
    made.path_ = path_;
    return made;
}

Object Object::cast(std::string_view type) const { return cast(&target_->types().require(type)); }

Object Object::container(std::string_view type, std::string_view member) const {
    const Type& outer = target_->types().require(type);
    const auto found = find_member(&outer, member);
    if (!found) throw LookupError(fmt::format("{} has no member \"{}\"", type_name(&outer), member));
    const uint64_t inner = strip(type_)->kind == TypeKind::pointer ? u64() : address_;
    return Object(*target_, &outer, inner - found->bit_offset / 8, space_);
}

std::vector<std::byte> Object::bytes() const {
    if (bytes_) return *bytes_;
    const uint64_t size = bit_size_ ? (bit_offset_ + bit_size_ + 7) / 8 : type_->size;
    if (size > max_value_bytes) throw LookupError(fmt::format("{}: {} bytes are too many to read at once", path_, size));
    std::vector<std::byte> into(size);
    space().read(VirtualAddress{address_}, into, path_);
    return into;
}

Fault Object::try_bytes(std::span<std::byte> into) const {
    if (!bytes_) return space().try_read(VirtualAddress{address_}, into);
    if (into.size() > bytes_->size()) return Fault::truncated;
    std::copy_n(bytes_->begin(), into.size(), into.begin());
    return Fault::none;
}

uint64_t Object::u64() const {
    if (!is_scalar(type_)) throw LookupError(fmt::format("{}: a {} is not a number", path_, type_name(type_)));
    const std::vector<std::byte> all = bytes();
    const ByteOrder order = target_->arch().order;
    if (bit_size_) {
        const uint64_t value = load_bits(all, order, bit_offset_, bit_size_);
        return is_signed(type_) ? static_cast<uint64_t>(sign_extend(value, bit_size_)) : value;
    }
    const uint64_t value = load_unsigned(order == ByteOrder::little || all.size() <= 8 ? all : std::span(all).last(8), order);
    return is_signed(type_) ? static_cast<uint64_t>(sign_extend(value, static_cast<unsigned>(std::min<size_t>(all.size(), 8)) * 8)) : value;
}

std::optional<uint64_t> Object::try_u64() const {
    try {
        return u64();
    } catch (const MemoryError&) {
        return std::nullopt;
    }
}

std::string Object::string(size_t max) const {
    const Type* bare = strip(type_);
    if (bare->kind == TypeKind::pointer) return space().string(VirtualAddress{u64()}, max, path_);
    if (bare->kind != TypeKind::array) throw LookupError(fmt::format("{}: a {} is not a string", path_, type_name(type_)));
    if (has_address() && bare->flexible) return space().string(VirtualAddress{address_}, max, path_);
    const std::vector<std::byte> all = bytes();
    std::string text(reinterpret_cast<const char*>(all.data()), std::min(all.size(), max));
    return text.substr(0, text.find('\0'));
}

} // namespace kcrash
