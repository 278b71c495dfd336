// SPDX-License-Identifier: GPL-3.0-or-later
// Saved registers of kernels of 32 bits whose half begins where their builder chose.
#include "arch/architecture.hpp"
#include <doctest/doctest.h>
#include <elf.h>
#include <map>
#include <string>

using namespace kcrash;

namespace {

Registers of_pt_regs(const Architecture& arch, const std::map<std::string, uint64_t>& values) {
    Registers registers;
    for (const SavedRegister& saved : arch.pt_regs)
        if (const auto it = values.find(saved.name); it != values.end()) registers.set(saved.number, it->second);
    return registers;
}

} // namespace

TEST_CASE("i386: registers of a kernel at 2 GB are its own, and none of a process") {
    const Architecture& arch = *find_architecture(EM_386, ByteOrder::little, 4);
    const Registers kernel = of_pt_regs(arch, {{"EIP", 0x81234567}, {"CS", 0x60}, {"EFLAGS", 0x246}});
    CHECK_FALSE(arch.plausible(kernel, 0));
    CHECK(arch.plausible(kernel, 0x80000000));
    const Registers process = of_pt_regs(arch, {{"EIP", 0xb7f01234}, {"CS", 0x73}, {"EFLAGS", 0x246}, {"ESP", 0xbffff000}, {"SS", 0x7b}});
    CHECK(arch.plausible(process, 0));
    CHECK(arch.plausible(process, 0xc0000000));
    CHECK_FALSE(arch.plausible(process, 0x80000000));
}

TEST_CASE("arm: registers of a kernel at 2 GB are its own, and none of a process") {
    const Architecture& arch = *find_architecture(EM_ARM, ByteOrder::little, 4);
    const Registers kernel = of_pt_regs(arch, {{"PC", 0x80123456 & ~3u}, {"SP", 0x81001f00}, {"PSR", 0x60000013}});
    CHECK_FALSE(arch.plausible(kernel, 0));
    CHECK(arch.plausible(kernel, 0x7f000000));
    const Registers process = of_pt_regs(arch, {{"PC", 0xb6f01234}, {"SP", 0xbefff000}, {"PSR", 0x60000010}});
    CHECK(arch.plausible(process, 0));
    CHECK_FALSE(arch.plausible(process, 0x7f000000));
}
