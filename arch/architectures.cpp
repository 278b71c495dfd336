// SPDX-License-Identifier: GPL-3.0-or-later
// The list of architectures: one line each.
#include "arch/architecture.hpp"
#include <iterator>

namespace kcrash {

extern const Architecture arch_arm;
extern const Architecture arch_i386;
extern const Architecture arch_loongarch64;
extern const Architecture arch_ppc64le;
extern const Architecture arch_riscv64;
extern const Architecture arch_arm64;
extern const Architecture arch_s390x;
extern const Architecture arch_x86_64;

static const Architecture* const all[] = {
    &arch_arm64,
    &arch_x86_64,
    &arch_s390x,
    &arch_riscv64,
    &arch_i386,
    &arch_arm,
    &arch_loongarch64,
    &arch_ppc64le,
};

std::span<const Architecture* const> architectures() { return all; }

const Architecture* find_architecture(uint16_t elf_machine, ByteOrder order, unsigned word_size) {
    for (const Architecture* arch : all)
        if (arch->elf_machine == elf_machine && arch->order == order && arch->word_size == word_size) return arch;
    return nullptr;
}

} // namespace kcrash
