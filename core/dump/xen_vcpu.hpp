// SPDX-License-Identifier: GPL-3.0-or-later
// A virtual CPU as Xen saves it: vcpu_guest_context of x86_64 (xen/include/public/arch-x86/xen.h).
#pragma once
#include "core/dump/dump.hpp"

namespace kcrash {

constexpr uint64_t xen_vcpu_bytes = 5168;
constexpr size_t xen_vcpu_cr3 = 4984 + 3 * 8; // where it lies in the context

// NT_PRSTATUS, and the control registers too where they are asked for: cr3 must be an address of the domain then. `context` has
// xen_vcpu_bytes.
std::vector<Note> xen_vcpu_notes(std::span<const std::byte> context, uint32_t cpu, bool control);

} // namespace kcrash
