// SPDX-License-Identifier: GPL-3.0-or-later
// diskdump: what Red Hat's 2.4 and 2.6.9 kernels wrote to a partition of their own, and the model of kdump-compressed.
//
//     block 0           main header, as kdump's, signed DISKDUMP
//     block 1 ...       sub header: the registers of the CPU that died, as elf_gregset_t of the architecture
//     1 + sub           bitmap: memory exists
//                       second bitmap, in partial dumps: the page is in the dump
//     1 + sub + bitmaps descriptors and page data, as in kdump
//
// What is odd: a dump has the second bitmap only if the kernel was told to leave pages out (dump_level), which shows in the
// number of bitmap blocks and nowhere else. The status says 1 for a dump that was not finished and 8 for one with compressed
// pages, where kdump has one bit per method. There is no VMCOREINFO and there are no notes: the registers become one. The name of the partition's own
// signature is "diskdump", small: that is what the file looked like before the kernel wrote to it, and is no dump. Specified by
// nothing but the patches; the reading here follows the layout that diskdumputils and kdump share (include/linux/diskdump.h of
// those kernels), and the reader is kdump's.
#include "core/dump/kdump.hpp"
#include "core/dump/kdump_header.hpp"
#include <algorithm>
#include <cstring>
#include <elf.h>

namespace kcrash {
namespace {

// Where an NT_PRSTATUS has the registers (struct elf_prstatus: pr_reg), in bytes.
struct RegisterPlace {
    uint16_t machine;
    size_t at, size, whole;
};
constexpr RegisterPlace places[] = {{EM_X86_64, 112, 27 * 8, 336}, {EM_386, 72, 17 * 4, 144}};

Probe probe(std::span<const std::byte> head) {
    return head.size() >= 8 && std::memcmp(head.data(), "DISKDUMP", 8) == 0 ? Probe::mine : Probe::not_mine;
}

} // namespace

std::optional<Note> diskdump_registers(const ByteSource& file, const KdumpHeader& header) {
    for (const RegisterPlace& place : places) {
        if (place.machine != header.elf_machine) continue;
        Note note{"CORE", note_prstatus, std::vector<std::byte>(place.whole), header.block_size};
        const auto registers = std::span(note.description).subspan(place.at, place.size);
        if (file.try_read(FileOffset(header.block_size), registers) != Fault::none) return std::nullopt;
        if (std::all_of(registers.begin(), registers.end(), [](std::byte b) { return b == std::byte{0}; })) return std::nullopt;
        return note;
    }
    return std::nullopt;
}

extern const DumpFormat diskdump_format;
const DumpFormat diskdump_format{"diskdump", probe, open_kdump, true, true};

} // namespace kcrash
