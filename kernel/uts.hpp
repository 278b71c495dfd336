// SPDX-License-Identifier: GPL-3.0-or-later
// The kernel's names of itself: include/linux/utsname.h.
#pragma once
#include "kernel/target.hpp"

namespace kcrash {

// Each is absent when it cannot be read. Bytes as they are.
struct KernelNames {
    std::optional<std::string> node, release, version, machine;
};
KernelNames read_uts(const Target& target);

// The processor's clock in kHz (x86: cpu_khz); nothing where the kernel does not keep it.
std::optional<uint64_t> cpu_kilohertz(const Target& target);

// The strings that the firmware told (include/linux/dmi.h), by the kernel's own name of the field: "DMI_BIOS_VENDOR".
// A field that the firmware left out is not listed. LookupError when the kernel has none.
struct FirmwareString {
    std::string_view field;
    std::optional<std::string> value; // absent: unreadable
};
std::vector<FirmwareString> read_dmi(const Target& target);

// The text of the kernel's configuration (CONFIG_IKCONFIG), unpacked. LookupError, CorruptError, MemoryError.
std::string read_kernel_config(const Target& target);

} // namespace kcrash
