// SPDX-License-Identifier: GPL-3.0-or-later
// Saved registers, and the line between two stacks.
#include "kernel/stack/unwinder.hpp"
#include <fmt/format.h>

namespace kcrash {

std::string stack_separator(std::string_view stack_name) {
    for (const std::string_view plain : {"IRQ", "ENTRY_TRAMPOLINE", "Overflow", "SDEI"})
        if (stack_name == plain) return fmt::format("--- <{} stack> ---", plain);
    return fmt::format("--- <{} exception stack> ---", stack_name);
}

std::optional<ExceptionFrame> read_pt_regs(const StackWorld& world, const Architecture& arch, uint64_t address, bool partial) {
    ExceptionFrame frame;
    frame.address = address;
    frame.partial = partial;
    unsigned first = 0;
    for (const SavedRegister& saved : arch.pt_regs)
        if (partial && saved.number == arch.pc) first = saved.offset;
    std::vector<std::byte> bytes(arch.pt_regs_size);
    if (world.read(address + first, std::span(bytes).subspan(first)) != Fault::none) return std::nullopt;
    for (const SavedRegister& saved : arch.pt_regs) {
        const unsigned size = saved.size ? saved.size : arch.word_size;
        if (saved.offset < first || saved.offset + size > bytes.size()) continue;
        frame.registers.set(saved.number, load_unsigned(std::span(bytes).subspan(saved.offset, size), arch.order));
    }
    frame.user_mode = arch.user_mode(frame.registers);
    return frame;
}

} // namespace kcrash
