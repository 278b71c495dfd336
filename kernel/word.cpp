// SPDX-License-Identifier: GPL-3.0-or-later
#include "kernel/word.hpp"

namespace kcrash {

Fault try_word(const Target& target, uint64_t address, uint64_t& value) {
    std::byte bytes[8];
    const std::span<std::byte> into(bytes, target.arch().word_size);
    const Fault fault = target.kernel().try_read(VirtualAddress{address}, into);
    if (fault == Fault::none) value = load_unsigned(into, target.arch().order);
    return fault;
}

uint64_t word_at(const Target& target, uint64_t address, std::string_view what) {
    std::byte bytes[8];
    const std::span<std::byte> into(bytes, target.arch().word_size);
    target.kernel().read(VirtualAddress{address}, into, what);
    return load_unsigned(into, target.arch().order);
}

uint64_t truncate_to_word(const Target& target, uint64_t value) {
    return target.arch().word_size == 8 ? value : value & ((uint64_t{1} << target.arch().word_size * 8) - 1);
}

} // namespace kcrash
