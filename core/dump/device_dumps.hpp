// SPDX-License-Identifier: GPL-3.0-or-later
// What drivers left in the dump of their devices: NT_VMCOREDD notes, since Linux 4.18 (7efe48df8a3d, "vmcore: append device dumps
// to vmcore as elf notes").
#pragma once
#include "core/dump/dump.hpp"

namespace kcrash {

// Looks into the notes of the dump, which must outlive it.
struct DeviceDump {
    std::string name; // as the driver gave it, such as "cxgb4_0000:01:00.4"; not to be trusted in a file name
    std::span<const std::byte> data;
    uint64_t offset; // of the data in the file
};

// In the order of the notes. A note too short for its own name is left out.
std::vector<DeviceDump> device_dumps(const Dump& dump);

} // namespace kcrash
