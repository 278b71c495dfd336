// SPDX-License-Identifier: GPL-3.0-or-later
// The kernel's message buffer: kernel/printk/.
#pragma once
#include "core/dump/vmcoreinfo.hpp"
#include "core/memory/address_space.hpp"
#include <optional>
#include <string>
#include <vector>

namespace kcrash {

class Target;

// One message. What the kernel did not keep, or what could not be read, is absent.
struct LogRecord {
    std::optional<uint64_t> sequence;
    std::optional<uint64_t> nanoseconds;    // of the kernel's own clock since boot
    std::optional<unsigned> level;          // 0 emergency .. 7 debug
    std::optional<unsigned> facility;
    std::optional<uint32_t> caller;         // a thread's id, or a CPU's with the top bit set
    std::string text;                       // bytes as they are; may have several lines
    std::vector<std::string> dictionary;    // "SUBSYSTEM=pci", "DEVICE=+pci:0000:00:01.0"
    std::string lost;                       // not empty: the text could not be read, and why
};

struct KernelLog {
    std::vector<LogRecord> records;     // oldest first
    bool has_records = true;            // false: the old buffer of characters, whose lines carry level and time in their text
    std::vector<std::string> warnings;
};

// The whole buffer, whichever of the three kinds this kernel has. LookupError when nothing says where it is; MemoryError when
// its head cannot be read. A record that cannot be read is there with `lost`.
KernelLog read_log(const Target& target);
// The same without symbols and types, from VMCOREINFO alone (kcrash --log).
KernelLog read_log(const AddressSpace& space, const VmcoreInfo& info, unsigned word_size = 8);

} // namespace kcrash
