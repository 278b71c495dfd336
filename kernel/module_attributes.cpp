// SPDX-License-Identifier: GPL-3.0-or-later
// A list of sections is read as one block: a kernel has thousands of them.
#include "kernel/module_attributes.hpp"
#include "core/error.hpp"
#include "kernel/word.hpp"
#include <fmt/format.h>

namespace kcrash {
namespace {

constexpr uint64_t most_attributes = 65536; // of one module; even -ffunction-sections stays below
constexpr size_t longest_name = 256;

} // namespace

ModuleAttributes::ModuleAttributes(const Target& target, std::string_view type, std::string_view count_member) : target_(target), type_(type) {
    const Type* outer = target.types().parse(type);
    const auto array = outer ? find_member(outer, "attrs") : std::nullopt;
    const Type* list = array ? strip(array->type) : nullptr;
    const Type* element = list && list->target ? strip(list->target) : nullptr;
    if (!element || element->size == 0) return;
    const std::string inner = type_name(element);
    array_ = array->bit_offset / 8;
    stride_ = element->size;
    count_ = target.try_member(type, {count_member});
    pointers_ = target.try_member(type, {"grp.bin_attrs", "grp.bin_attrs_new"});
    name_ = target.try_member(inner, {"battr.attr.name", "attr.name", "mattr.attr.name", "name"});
    address_ = target.try_member(inner, {"address", "private"});
    size_ = target.try_member(inner, {"size"});
}

uint64_t ModuleAttributes::count(uint64_t attributes) const {
    uint64_t found = 0;
    const AddressSpace& kernel = target_.kernel();
    if (count_) {
        const Fault fault = count_->load(kernel, attributes, found);
        if (fault != Fault::none) throw MemoryError(fault, attributes, kernel.name(), type_);
        if (found > most_attributes) throw CorruptError(fmt::format("{} at 0x{:x} has {} entries: impossible", type_, attributes, found));
        return found;
    }
    uint64_t list = 0;
    if (!pointers_ || pointers_->load(kernel, attributes, list) != Fault::none || list == 0) return 0;
    while (found < most_attributes && word_at(target_, list + target_.arch().word_size * found, type_) != 0) ++found;
    return found;
}

std::vector<ModuleAttribute> ModuleAttributes::read(uint64_t attributes) const {
    if (stride_ == 0 || !name_ || !address_) throw LookupError(fmt::format("{} is not known to this kernel's types", type_));
    const AddressSpace& kernel = target_.kernel();
    std::vector<std::byte> block(count(attributes) * stride_);
    kernel.read(VirtualAddress(attributes + array_), block, type_);
    std::vector<ModuleAttribute> found;
    for (size_t at = 0; at < block.size(); at += stride_) {
        const auto one = std::span<const std::byte>(block).subspan(at, stride_);
        ModuleAttribute& attribute = found.emplace_back();
        attribute.address = address_->load(one, kernel.order());
        if (size_) attribute.size = size_->load(one, kernel.order());
        attribute.name = kernel.string(VirtualAddress(name_->load(one, kernel.order())), longest_name, type_);
    }
    return found;
}

} // namespace kcrash
