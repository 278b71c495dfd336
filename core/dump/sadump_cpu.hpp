// SPDX-License-Identifier: GPL-3.0-or-later
// The CPU states of a sadump: save maps of System Management Mode.
#pragma once
#include "core/dump/dump.hpp"

namespace kcrash {

constexpr uint64_t sadump_cpu_bytes = 1024;

// As the notes of a QEMU dump: NT_PRSTATUS and "QEMU". `state` has sadump_cpu_bytes.
std::vector<Note> sadump_cpu_notes(std::span<const std::byte> state, uint32_t cpu);

// Did the CPU run 64-bit code (EFER.LMA)?
bool sadump_cpu_in_long_mode(std::span<const std::byte> state);

} // namespace kcrash
