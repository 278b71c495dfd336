// SPDX-License-Identifier: GPL-3.0-or-later
// The table of machines.
#include "core/dump/machines.hpp"
#include <elf.h>
#include <fmt/format.h>
#include <iterator>

namespace kcrash {
namespace {

#ifndef EM_LOONGARCH
#define EM_LOONGARCH 258
#endif

// Longer names before those that they begin with.
const Machine machines[] = {
    {"x86_64", EM_X86_64, 8, ByteOrder::little},
    {"i386", EM_386, 4, ByteOrder::little},
    {"i486", EM_386, 4, ByteOrder::little},
    {"i586", EM_386, 4, ByteOrder::little},
    {"i686", EM_386, 4, ByteOrder::little},
    {"aarch64_be", EM_AARCH64, 8, ByteOrder::big},
    {"aarch64", EM_AARCH64, 8, ByteOrder::little},
    {"arm", EM_ARM, 4, std::nullopt},
    {"ppc64le", EM_PPC64, 8, ByteOrder::little},
    {"ppc64", EM_PPC64, 8, std::nullopt},
    {"ppc", EM_PPC, 4, ByteOrder::big},
    {"s390x", EM_S390, 8, ByteOrder::big},
    {"s390", EM_S390, 4, ByteOrder::big},
    {"riscv64", EM_RISCV, 8, ByteOrder::little},
    {"riscv32", EM_RISCV, 4, ByteOrder::little},
    {"loongarch64", EM_LOONGARCH, 8, ByteOrder::little},
    {"mips64", EM_MIPS, 8, std::nullopt},
    {"mips", EM_MIPS, 4, std::nullopt},
    {"ia64", EM_IA_64, 8, ByteOrder::little},
};

} // namespace

std::optional<Machine> machine_by_name(std::string_view name) {
    for (const Machine& machine : machines)
        if (name.starts_with(machine.name)) return machine;
    return std::nullopt;
}

std::string machine_name(uint16_t elf_machine, ByteOrder order, unsigned word_size) {
    if (elf_machine == 0) return {};
    for (const Machine& machine : machines)
        if (machine.elf_machine == elf_machine && machine.word_size == word_size && (!machine.order || *machine.order == order))
            return machine.name;
    return fmt::format("ELF machine {}", elf_machine);
}

bool has_one_page_size(uint16_t elf_machine) {
    return elf_machine == EM_X86_64 || elf_machine == EM_386 || elf_machine == EM_ARM || elf_machine == EM_S390 || elf_machine == EM_RISCV;
}

std::optional<Machine> kernel_of_32_bits(uint16_t processor) {
    switch (processor) {
    case EM_X86_64: return machine_by_name("i386");
    case EM_AARCH64: return Machine{"arm", EM_ARM, 4, ByteOrder::little};
    default: return std::nullopt;
    }
}

unsigned word_size_of(uint16_t elf_machine, bool elf64) {
    switch (elf_machine) {
    case EM_386:
    case EM_ARM:
    case EM_PPC: return 4;
    case EM_X86_64:
    case EM_AARCH64:
    case EM_PPC64:
    case EM_IA_64: return 8;
    default: return elf64 ? 8 : 4;
    }
}

} // namespace kcrash
