// SPDX-License-Identifier: GPL-3.0-or-later
// Where QEMU's machines have their memory.
#pragma once
#include "core/dump/extents.hpp"
#include <string>
#include <string_view>
#include <vector>

namespace kcrash {

// One block of RAM of a stream.
struct RamBlock {
    std::string name;
    uint64_t size = 0; // bytes
};

struct QemuMemory {
    uint16_t elf_machine = 0;
    std::vector<Extent> pieces; // physical begin and end; source: bytes from the start of all main memory; rank unused
};

// Of the machine type of the stream ("pc-q35-7.2") whose first block of main memory is named `block`, with `bytes` of main memory
// in all. No pieces: the machine type is not known.
QemuMemory qemu_memory(std::string_view machine, std::string_view block, uint64_t bytes);
// Which of the blocks are main memory, and not a video card's, firmware or memory that was plugged in later: their indexes, in
// order.
std::vector<size_t> main_memory(const std::vector<RamBlock>& blocks);

} // namespace kcrash
