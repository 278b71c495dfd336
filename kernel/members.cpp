// SPDX-License-Identifier: GPL-3.0-or-later
// Target's typed access: objects, variables, members that are looked up once.
#include "core/error.hpp"
#include "kernel/target_open.hpp"
#include "kernel/word.hpp"
#include <fmt/format.h>

namespace kcrash {

uint64_t Member::load(std::span<const std::byte> structure, ByteOrder order) const {
    const auto own = structure.subspan(offset, size);
    if (bit_size) {
        const uint64_t value = load_bits(own, order, bit_offset, bit_size);
        return is_signed ? static_cast<uint64_t>(sign_extend(value, bit_size)) : value;
    }
    const uint64_t value = load_unsigned(own, order);
    return is_signed && size < 8 ? static_cast<uint64_t>(sign_extend(value, size * 8)) : value;
}

Fault Member::load(const AddressSpace& space, uint64_t base, uint64_t& value) const {
    std::byte bytes[16];
    const std::span<std::byte> into(bytes, size < sizeof bytes ? size : 8);
    const Fault fault = space.try_read(VirtualAddress{base + offset}, into);
    if (fault != Fault::none) return fault;
    Member here = *this;
    here.offset = 0, here.size = static_cast<uint32_t>(into.size());
    value = here.load(into, space.order());
    return Fault::none;
}

Object Target::object(std::string_view type, uint64_t address) const { return {*this, &types().require(type), address}; }

namespace {

// A function and a variable may share a name (sysrq_handler): the variable is meant here.
std::optional<uint64_t> data_address(const Symbols& symbols, std::string_view name) {
    for (const SymbolMatch& match : symbols.find_all(name))
        if (std::string_view("tTwW").find(match.symbol.type) == std::string_view::npos) return match.symbol.address;
    return symbols.address(name);
}

} // namespace

// BTF first: it is there at once. DWARF is opened only for a variable of which nobody says the type.
std::optional<Object> Target::try_variable(std::string_view name, std::string_view type) const {
    const auto address = data_address(symbols(), name);
    if (!address) return std::nullopt;
    const Type* found = nullptr;
    if (!type.empty()) {
        if (lazy_->btf_types) found = lazy_->btf_types->of_variable(name);
        if (!found) found = types().parse(type);
    }
    if (!found) found = types().of_variable(name);
    if (!found) return std::nullopt;
    return Object(*this, found, *address);
}

Object Target::variable(std::string_view name, std::string_view type) const {
    if (auto found = try_variable(name, type)) return *found;
    require_symbol(name);
    throw LookupError(fmt::format("the type of \"{}\" is not known: neither BTF nor DWARF describes it; give a type", name));
}

uint64_t Target::require_symbol(std::string_view name) const {
    if (const auto address = symbol_address(name)) return *address;
    throw LookupError(fmt::format("symbol not found: {}", name));
}

std::optional<Member> Target::try_member(std::string_view type, std::initializer_list<std::string_view> names) const {
    const Type* outer = types().parse(type);
    if (!outer) return std::nullopt;
    for (const std::string_view name : names) {
        const auto found = find_member(outer, name);
        if (!found || !found->type) continue;
        Member member;
        member.offset = found->bit_offset / 8;
        member.size = static_cast<uint32_t>(found->type->size);
        member.is_signed = strip(found->type)->is_signed;
        if (found->bit_size) {
            member.bit_offset = static_cast<uint32_t>(found->bit_offset % 8);
            member.bit_size = found->bit_size;
            member.size = (member.bit_offset + member.bit_size + 7) / 8;
        }
        return member;
    }
    return std::nullopt;
}

Member Target::member(std::string_view type, std::initializer_list<std::string_view> names) const {
    if (const auto found = try_member(type, names)) return *found;
    types().require(type);
    std::string all;
    for (const std::string_view name : names) all += fmt::format("{}\"{}\"", all.empty() ? "" : " or ", name);
    throw LookupError(fmt::format("{} has no member {}", type, all));
}

uint64_t Target::size_of(std::string_view type) const { return types().require(type).size; }

Object Target::per_cpu(const Object& variable, unsigned cpu) const {
    return Object(*this, variable.type(), truncate_to_word(*this, variable.address() + per_cpu_offset(cpu)));
}

} // namespace kcrash
