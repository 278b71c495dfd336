// SPDX-License-Identifier: GPL-3.0-or-later
// VMware's guest dumps: debug.guest and debug.vmem, written when a guest panicked under "monitor.mini-suspend_on_panic".
//
//     0     version u32, number of CPUs u32                              little-endian, nothing is aligned
//     21    version 1:       last address u64, pages u32, u32, holes u32, holes[2] {first page u32, pages u32}
//     22    versions 3 to 5: last address u64, pages u64, u32, holes u32, holes[2] {first page u64, pages u64}
//     23    versions 6, 7:   the same
//     57 + 8 * holes + 4, 78, 79     for each CPU: cr0 u32, cr2, cr3, cr4, 10 unused, idt base    u64 each, 116 bytes
//                                    45 (versions 1 and 3) or 42 unused bytes
//                                    pt_regs, 65 unused bytes, 4,096 unused bytes
//
// There is no magic number: the file is known by its counts, which must agree (last address + 1 is all pages and all holes). The
// memory is in the .vmem beside it, holes left out. Specified by crash's reader, which VMware wrote.
#include "core/cursor.hpp"
#include "core/dump/mapped.hpp"
#include "core/dump/vmware.hpp"
#include "core/dump/x86_notes.hpp"
#include <array>
#include <elf.h>
#include <fmt/format.h>

namespace kcrash {
namespace {

constexpr uint32_t most_cpus = 4096;
constexpr uint64_t control_bytes = 116, register_count = 21, behind_registers = 65 + vmware_page;

struct Header {
    uint32_t version = 0, cpus = 0, holes = 0;
    uint64_t pages = 0;
    std::array<std::pair<uint64_t, uint64_t>, 2> hole{}; // first page, pages
    uint64_t cpus_at = 0, gap = 0;

    uint64_t cpu_bytes() const { return control_bytes + gap + 8 * register_count + behind_registers; }
};

// Nothing when the numbers do not agree: then it is another file.
std::optional<Header> parse(std::span<const std::byte> head) {
    if (head.size() < 79) return std::nullopt;
    Cursor cursor(head, ByteOrder::little, "debug.guest");
    Header header;
    header.version = cursor.u32();
    header.cpus = cursor.u32();
    if (header.version == 0 || header.version == 2 || header.version > 7 || header.cpus == 0 || header.cpus > most_cpus)
        return std::nullopt;
    const bool old = header.version == 1;
    const unsigned word = old ? 4 : 8;
    cursor.seek(old ? 21 : header.version < 6 ? 22 : 23);
    const uint64_t last = cursor.u64();
    header.pages = cursor.word(word);
    cursor.skip(4);
    header.holes = cursor.u32();
    if (header.holes > header.hole.size()) return std::nullopt;
    uint64_t all = header.pages;
    for (auto& [first, pages] : header.hole) {
        first = cursor.word(word);
        pages = cursor.word(word);
    }
    constexpr uint64_t most = uint64_t{1} << 50;
    uint64_t behind = 0;
    for (uint32_t i = 0; i < header.holes; ++i) {
        const auto [first, pages] = header.hole[i];
        if (first < behind || first > most || pages > most) return std::nullopt;
        behind = first + pages;
        all += pages;
    }
    if (header.pages == 0 || header.pages > most || behind > all || last + 1 != all * vmware_page) return std::nullopt;
    header.cpus_at = old ? 57 + 8 * uint64_t{header.holes} + 4 : header.version < 6 ? 78 : 79;
    header.gap = header.version < 4 ? 45 : 42;
    return header;
}

Probe probe(std::span<const std::byte> head) { return parse(head) ? Probe::mine : Probe::not_mine; }

std::vector<Extent> memory_of(const Header& header) {
    std::vector<Extent> extents;
    uint64_t page = 0, source = 0;
    for (uint32_t i = 0; i < header.holes; ++i) {
        const auto [first, pages] = header.hole[i];
        extents.push_back({page * vmware_page, first * vmware_page, source, i});
        source += (first - page) * vmware_page;
        page = first + pages;
    }
    const uint64_t left = header.pages * vmware_page - source;
    extents.push_back({page * vmware_page, page * vmware_page + left, source, header.holes});
    return extents;
}

X86Registers read_cpu(const ByteSource& file, const Header& header, unsigned cpu) {
    using R = X86Registers;
    const auto bytes =
        file.read(FileOffset(header.cpus_at + cpu * header.cpu_bytes()), control_bytes + header.gap + 8 * register_count);
    Cursor cursor(bytes, ByteOrder::little, file.path());
    R registers;
    registers.cr0 = cursor.u32();
    cursor.skip(8);
    registers.cr3 = cursor.u64();
    registers.cr4 = cursor.u64();
    cursor.skip(80);
    registers.idt = cursor.u64();
    cursor.skip(header.gap);
    // struct pt_regs (arch/x86/include/asm/ptrace.h)
    for (const int i : {15, 14, 13, 12, R::rbp, R::rbx, 11, 10, 9, 8, R::rax, R::rcx, R::rdx, R::rsi, R::rdi})
        registers.general[i] = cursor.u64();
    cursor.skip(8); // orig_rax
    registers.rip = cursor.u64();
    registers.segments[R::cs] = cursor.u64();
    registers.flags = cursor.u64();
    registers.general[R::rsp] = cursor.u64();
    registers.segments[R::ss] = cursor.u64();
    return registers;
}

void add_notes(const ByteSource& file, const Header& header, MappedParts& parts) {
    std::vector<Note> controls;
    for (unsigned cpu = 0; cpu < header.cpus; ++cpu) {
        const X86Registers registers = read_cpu(file, header, cpu);
        parts.notes.push_back(x86_prstatus(registers, cpu));
        controls.push_back(x86_control(registers));
    }
    parts.notes.insert(parts.notes.end(), controls.begin(), controls.end());
}

std::unique_ptr<Dump> open(std::vector<std::shared_ptr<const ByteSource>> files) {
    const auto& file = files.front();
    if (files.size() > 1)
        throw FileError(
            fmt::format("{}: a VMware guest dump is one file and its .vmem; {} is another dump", file->path(), files[1]->path()));
    const auto header = parse(file->read(FileOffset(0), std::min<uint64_t>(file->size(), 4096)));
    if (!header) throw FileError(fmt::format("{}: changed while it was opened", file->path()));
    MappedParts parts;
    parts.format = fmt::format("VMware guest dump v{}", header->version);
    parts.elf_machine = EM_X86_64;
    parts.offsets_are_of_the_file = false;
    const uint64_t needed = header->cpus_at + header->cpus * header->cpu_bytes();
    if (file->size() < needed)
        parts.warnings.push_back(fmt::format("{}: truncated: needs {} bytes, has {}; the registers of the CPUs are not read",
                                             file->path(), needed, file->size()));
    else add_notes(*file, *header, parts);
    parts.bytes = open_vmem(file->path());
    parts.extents = memory_of(*header);
    return make_mapped_dump(std::move(parts));
}

} // namespace

extern const DumpFormat vmware_guest_format;
const DumpFormat vmware_guest_format{"VMware guest dump", probe, open};

} // namespace kcrash
