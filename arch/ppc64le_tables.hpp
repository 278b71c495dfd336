// SPDX-License-Identifier: GPL-3.0-or-later
// The page tables of ppc64le, for its record: see struct Architecture for what each does.
#pragma once
#include "arch/architecture.hpp"

namespace kcrash {

constexpr uint64_t ppc64le_linear = uint64_t{0xc} << 60; // where the linear map of memory begins

std::unique_ptr<Translator> ppc64le_kernel_translator(const PhysicalMemory& memory, const KernelFacts& facts);
std::unique_ptr<Translator> ppc64le_user_translator(const PhysicalMemory& memory, const KernelFacts& facts, PhysicalAddress root);
std::string ppc64le_describe_entry(const KernelFacts& facts, uint64_t entry);
SwapEntry ppc64le_swap_entry(const KernelFacts& facts, uint64_t entry);

} // namespace kcrash
