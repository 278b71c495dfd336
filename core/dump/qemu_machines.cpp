// SPDX-License-Identifier: GPL-3.0-or-later
// Where QEMU's machines have their memory: a stream names blocks of RAM and says nothing of addresses.
//
// Main memory is one block, or with NUMA several, one behind the other. From QEMU's sources, hw/<arch>/<machine>.c:
//
//     i440fx   below 4 GiB: all of it when it is under 3.5 GiB, else 3 GiB; the rest from 4 GiB on (pc_init1)
//     q35      all of it when it is under 2.75 GiB, else 2 GiB; the rest from 4 GiB on (pc_q35_init)
//     virt     arm64 from 1 GiB, riscv64 from 2 GiB: told by the name of the block
//     loongarch virt   256 MiB from 0, the rest from 0x80000000 (before QEMU 9.0: from 0x90000000, which nothing tells)
//     pseries, s390-ccw   from 0
//
// A user may move a PC's split with -machine max-ram-below-4g; then the addresses are wrong, and no VMCOREINFO fits to them. On
// AMD hosts a PC of a terabyte has another hole, which is not known here.
#include "core/dump/qemu_machines.hpp"
#include <algorithm>
#include <elf.h>

#ifndef EM_LOONGARCH
#define EM_LOONGARCH 258
#endif

namespace kcrash {
namespace {

constexpr uint64_t gib = uint64_t{1} << 30, mib = uint64_t{1} << 20;

struct Place {
    std::string_view machine; // how the machine type begins
    std::string_view block;   // how the name of the block begins; empty: any
    uint16_t elf_machine;
    uint64_t base;  // where main memory begins
    uint64_t limit; // memory that does not end below this is split ...
    uint64_t low;   // ... and so much stays at the base; the rest is from `high` on
    uint64_t high;
};

constexpr Place places[] = {
    {"pc-q35-", "", EM_X86_64, 0, 0xb0000000, 2 * gib, 4 * gib},
    {"pc-", "", EM_X86_64, 0, 0xe0000000, 3 * gib, 4 * gib},
    {"microvm", "", EM_X86_64, 0, 3 * gib, 3 * gib, 4 * gib}, // since QEMU 5.2; before, 0xe0000000
    {"rhel", "", EM_X86_64, 0, 0xe0000000, 3 * gib, 4 * gib}, // rhel6.x: i440fx
    {"virt", "mach-virt.ram", EM_AARCH64, gib, UINT64_MAX, 0, 0},
    {"virt", "riscv_virt_board.ram", EM_RISCV, 2 * gib, UINT64_MAX, 0, 0},
    {"virt", "loongarch", EM_LOONGARCH, 0, 256 * mib, 256 * mib, 0x80000000},
    {"pseries", "", EM_PPC64, 0, UINT64_MAX, 0, 0},
    {"s390-ccw-virtio", "", EM_S390, 0, UINT64_MAX, 0, 0},
};

// The names that QEMU itself gives.
bool is_default_name(std::string_view block) {
    static constexpr std::string_view names[] = {"pc.ram",        "mach-virt.ram",    "riscv_virt_board.ram",
                                                 "ppc_spapr.ram", "s390.ram",         "microvm.ram",
                                                 "loongarch.ram", "loongarch.lowram", "loongarch.highram"};
    return std::find(std::begin(names), std::end(names), block) != std::end(names);
}

// A memory backend of the user's: libvirt says "ram-node0" to a NUMA node and "memdimm0" to what can be unplugged.
bool is_backend(std::string_view block) {
    if (block.starts_with("/objects/")) block.remove_prefix(9);
    for (const std::string_view plugged : {"memdimm", "memnvdimm", "memvirtio", "dimm", "nvdimm"})
        if (block.starts_with(plugged)) return false;
    return block.starts_with("ram") || block.starts_with("mem");
}

} // namespace

std::vector<size_t> main_memory(const std::vector<RamBlock>& blocks) {
    for (const auto is_main : {is_default_name, is_backend}) {
        std::vector<size_t> found;
        for (size_t i = 0; i < blocks.size(); ++i)
            if (is_main(blocks[i].name)) found.push_back(i);
        if (!found.empty()) return found;
    }
    const auto largest =
        std::max_element(blocks.begin(), blocks.end(), [](const RamBlock& a, const RamBlock& b) { return a.size < b.size; });
    if (largest == blocks.end()) return {};
    return {static_cast<size_t>(largest - blocks.begin())};
}

QemuMemory qemu_memory(std::string_view machine, std::string_view block, uint64_t bytes) {
    for (const Place& place : places) {
        if (!machine.starts_with(place.machine) || !block.starts_with(place.block)) continue;
        const uint64_t low = bytes < place.limit ? bytes : place.low;
        QemuMemory memory{place.elf_machine, {}};
        memory.pieces.push_back({place.base, place.base + low, 0, 0});
        if (bytes > low) memory.pieces.push_back({place.high, place.high + (bytes - low), low, 0});
        return memory;
    }
    return {};
}

} // namespace kcrash
