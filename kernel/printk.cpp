// SPDX-License-Identifier: GPL-3.0-or-later
// Chooses among the kinds of message buffer by the symbols that exist.
#include "kernel/printk.hpp"
#include "kernel/printk_facts.hpp"
#include "kernel/target.hpp"
#include <fmt/format.h>

namespace kcrash {

std::optional<uint64_t> PrintkFacts::symbol(std::string_view name) const {
    if (target_)
        if (auto address = target_->symbol_address(name)) return address;
    return info_.symbol(name);
}

std::optional<uint64_t> PrintkFacts::offset(std::string_view type, std::string_view member) const {
    if (target_)
        if (auto found = target_->try_member(type, {member})) return found->offset;
    return info_.offset(fmt::format("{}.{}", type, member));
}

std::optional<uint64_t> PrintkFacts::size(std::string_view type) const {
    if (target_)
        if (const Type* found = target_->types().find(TypeKind::structure, type)) return found->size;
    return info_.size(type);
}

uint64_t PrintkFacts::need_symbol(std::string_view name) const {
    if (const auto found = symbol(name)) return *found;
    throw LookupError(fmt::format("the message buffer cannot be found: no symbol {}", name));
}

uint64_t PrintkFacts::need_offset(std::string_view type, std::string_view member) const {
    if (const auto found = offset(type, member)) return *found;
    throw LookupError(fmt::format("the message buffer cannot be read: the offset of {}.{} is unknown", type, member));
}

uint64_t PrintkFacts::need_size(std::string_view type) const {
    if (const auto found = size(type); found && *found > 0 && *found < 65536) return *found;
    throw LookupError(fmt::format("the message buffer cannot be read: the size of struct {} is unknown", type));
}

uint64_t PrintkFacts::pointer(uint64_t at, std::string_view what) const {
    std::byte bytes[8];
    const std::span<std::byte> into(bytes, word_);
    space_.read(VirtualAddress(at), into, what);
    return load_unsigned(into, space_.order());
}

static KernelLog read_any(const PrintkFacts& facts) {
    KernelLog log;
    if (facts.symbol("prb")) read_log_ring(facts, log);
    else if (facts.symbol("log_next_idx")) read_log_records(facts, log);
    else if (facts.symbol("log_end")) read_log_characters(facts, log);
    else throw LookupError("the message buffer cannot be found: none of the symbols prb, log_next_idx, log_end is known");
    return log;
}

KernelLog read_log(const Target& target) {
    return read_any(PrintkFacts(target.kernel(), target.vmcoreinfo(), &target, target.arch().word_size));
}

KernelLog read_log(const AddressSpace& space, const VmcoreInfo& info, unsigned word_size) {
    if (info.empty()) throw LookupError("the dump has no VMCOREINFO, which --log needs; give the kernel's vmlinux instead");
    return read_any(PrintkFacts(space, info, nullptr, word_size));
}

} // namespace kcrash
