// SPDX-License-Identifier: GPL-3.0-or-later
// A dump that is nothing but ranges of physical memory in a file: what raw memory, LiME, AVML, VMware and QEMU streams come to.
#pragma once
#include "core/dump/dump.hpp"
#include "core/dump/extents.hpp"

namespace kcrash {

struct MappedParts {
    std::string format;                      // DumpInfo::format
    std::shared_ptr<const ByteSource> bytes; // the extents' sources are offsets of it
    std::vector<Extent> extents;             // physical bytes; may overlap: the lowest rank wins
    bool offsets_are_of_the_file = true;     // false: `bytes` is not the file as it lies on the disk
    std::vector<Note> notes = {};            // registers, where the format has them
    bool notes_have_pc = false;              // DumpInfo::notes_have_pc
    uint16_t elf_machine = 0;                // 0: VMCOREINFO may tell
    ByteOrder order = ByteOrder::little;     // of the notes, and of the memory unless VMCOREINFO tells another
    std::string machine = {};                // DumpInfo::machine
    std::string compression = "none";
    bool truncated = false, incomplete = false;
    std::vector<std::string> warnings = {};
};

// Such formats carry no VMCOREINFO: it is searched in memory, which takes a second for each gigabyte before it. Throws FileError
// when there is no memory in it.
std::unique_ptr<Dump> make_mapped_dump(MappedParts parts);

} // namespace kcrash
