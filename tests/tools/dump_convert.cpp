// SPDX-License-Identifier: GPL-3.0-or-later
// dump_convert FORMAT IN OUT: writes the pages of a real dump as another format, of which no real specimen can be made here, and
// prints how kcrash is to be given what it wrote.
//
//     any machine    lkcd, lkcd-rle, lime, avml, kdump, split (a second file: OUT.2), raw
//     QEMU has it    stream, libvirt
//     x86            diskdump, sadump, sadump-media, vmss, xen, xen-old, and those with their pages in order, xen-sorted and xen-old-sorted
//     s390x          s390, s390-extended, s390-zlib, vmdump
//
// raw and s390 have zeroes where the dump has nothing. Registers are kept by what has room for notes; those of x86 that keep
// control registers have them from QEMU's notes, where the dump has those.
#include "core/bytes.hpp"
#include "core/error.hpp"
#include "tests/fixtures/kdump_writer.hpp"
#include "tests/fixtures/lkcd_writer.hpp"
#include "tests/fixtures/memory_files.hpp"
#include "tests/fixtures/s390_writer.hpp"
#include "tests/fixtures/sadump_writer.hpp"
#include "tests/fixtures/xen_writer.hpp"
#include <elf.h>
#include <fmt/format.h>
#include <fstream>

using namespace kcrash;
using namespace kcrash::fixtures;

namespace {

constexpr uint64_t fixture_page = 4096; // of the writers

// What the files say of the machine, and where QEMU's has its memory.
struct Machine {
    uint16_t elf;
    const char* uname;
    const char *type, *block; // QEMU's; null: this reader has none of it
    uint64_t memory_begin;    // physical address
};

constexpr Machine machines[] = {
    {EM_X86_64, "x86_64", "pc-q35-7.2", "pc.ram", 0},
    {EM_386, "i686", "pc-i440fx-7.2", "pc.ram", 0},
    {EM_AARCH64, "aarch64", "virt-7.2", "mach-virt.ram", 0x40000000},
    {EM_ARM, "armv7l", "virt-7.2", "mach-virt.ram", 0x40000000},
    {EM_RISCV, "riscv64", "virt", "riscv_virt_board.ram", 0x80000000},
    {EM_S390, "s390x", "s390-ccw-virtio-7.2", "s390.ram", 0},
    {EM_PPC64, "ppc64le", "pseries-7.2", "ppc_spapr.ram", 0},
    {258 /* EM_LOONGARCH */, "loongarch64", "virt", "loongarch.ram", 0},
};

const Machine& machine_of(const Dump& dump) {
    for (const Machine& machine : machines)
        if (machine.elf == dump.info().elf_machine) return machine;
    throw UsageError("the dump does not tell its machine");
}

// In pages of the kernel, or in the parts of them that most writers know.
FixtureMemory memory_of(const Dump& dump, bool whole_pages) {
    FixtureMemory memory;
    const uint64_t page_size = dump.info().page_size, parts = whole_pages ? 1 : page_size / fixture_page;
    memory.page_size = page_size / parts;
    std::vector<std::byte> page(page_size);
    for (const PhysicalRange& range : dump.memory())
        for (uint64_t frame = range.begin.value / page_size; frame < range.end.value / page_size; ++frame) {
            const bool there = dump.try_read_page(PageFrame(frame), page) == Fault::none;
            for (uint64_t part = 0; part < parts; ++part) {
                FixturePage& into = memory.pages[frame * parts + part];
                const auto bytes = std::span<const std::byte>(page).subspan(part * memory.page_size, memory.page_size);
                if (there) into.bytes.assign(bytes.begin(), bytes.end());
                else into.kind = FixturePage::Kind::excluded;
            }
        }
    return memory;
}

// A format without a bitmap has no page that was left out.
FixtureMemory stored_only(FixtureMemory memory) {
    std::erase_if(memory.pages, [](const auto& page) { return page.second.kind != FixturePage::Kind::stored; });
    return memory;
}

std::vector<CpuWords> cpus_of(const Dump& dump) {
    std::vector<CpuWords> cpus;
    const auto word = [](const Note& note, size_t at) { return load<uint64_t>(note.description.data() + at, ByteOrder::little); };
    for (const Note& note : dump.notes()) {
        if (note.name != "QEMU" || note.description.size() < 432) continue;
        CpuWords cpu;
        constexpr size_t general = 8, control = general + 18 * 8 + 10 * 24;
        constexpr int order[] = {0, 3, 1, 2, 6, 7, 4, 5, 8, 9, 10, 11, 12, 13, 14, 15}; // rax rbx rcx rdx rsi rdi rsp rbp r8 ...
        for (size_t i = 0; i < 16; ++i) cpu.general[order[i]] = word(note, general + i * 8);
        cpu.rip = word(note, general + 16 * 8);
        cpu.flags = word(note, general + 17 * 8);
        cpu.idt = word(note, general + 18 * 8 + 9 * 24 + 16);
        cpu.cr0 = word(note, control);
        cpu.cr3 = word(note, control + 3 * 8);
        cpu.cr4 = word(note, control + 4 * 8);
        cpus.push_back(cpu);
    }
    return cpus;
}

// The pages as QEMU counts them: from the begin of its memory on.
FixtureMemory from(uint64_t begin, FixtureMemory memory) {
    FixtureMemory moved;
    for (auto& [frame, page] : memory.pages) moved.pages[frame - begin / fixture_page] = std::move(page);
    return moved;
}

KdumpOptions kdump_options(const Dump& dump, const Machine& machine) {
    KdumpOptions options;
    options.order = dump.info().order;
    options.word_size = dump.info().word_size;
    options.padded = machine.elf == EM_ARM;
    options.machine = machine.uname;
    options.release = dump.info().release;
    options.vmcoreinfo = dump.vmcoreinfo();
    for (const Note& note : dump.notes())
        if (note.name != "VMCOREINFO") options.notes.push_back(note);
    return options;
}

// What they say of the machine is x86_64's, whatever its kernel.
std::vector<std::byte> convert_x86(std::string_view format, const Dump& dump, const FixtureMemory& memory) {
    if (format == "diskdump") {
        KdumpOptions options;
        options.diskdump = true;
        options.version = 1;
        options.release = dump.info().release;
        return write_kdump(memory, options);
    }
    if (format == "sadump" || format == "sadump-media")
        return write_sadump(memory, {.media = format == "sadump-media", .states = cpus_of(dump)})[0];
    if (format.starts_with("xen"))
        return write_xen(stored_only(memory),
                         {.shuffled = !format.ends_with("-sorted"), .old_word = format.starts_with("xen-old") ? 8u : 0u, .states = cpus_of(dump)});
    if (format == "vmss") return write_vmss(stored_only(memory), true);
    throw UsageError(fmt::format("unknown format \"{}\"", format));
}

std::vector<std::byte> convert_s390x(std::string_view format, const FixtureMemory& memory) {
    if (format.starts_with("s390"))
        return write_s390(stored_only(memory), {.extended = format != "s390", .zlib = format == "s390-zlib"})[0];
    if (format == "vmdump") return write_vmdump(stored_only(memory));
    throw UsageError(fmt::format("unknown format \"{}\"", format));
}

void save(const std::string& path, std::span<const std::byte> bytes) {
    std::ofstream out(path, std::ios::binary);
    out.write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
    if (!out.flush()) throw FileError(fmt::format("{}: cannot be written", path));
}

// Gives the words for kcrash.
std::string convert(std::string_view format, const Dump& dump, const std::string& path) {
    const Machine& machine = machine_of(dump);
    const FixtureMemory memory = memory_of(dump, format == "split" || format == "kdump" || format.starts_with("lkcd"));
    if (format == "split") {
        const uint64_t middle = std::next(memory.pages.begin(), static_cast<ptrdiff_t>(memory.pages.size() / 2))->first;
        save(path, write_kdump_part(memory, 0, middle, kdump_options(dump, machine)));
        save(path + ".2", write_kdump_part(memory, middle, memory.end(), kdump_options(dump, machine)));
        return path + " " + path + ".2";
    }
    if (format == "raw") {
        save(path, write_raw(from(machine.memory_begin, stored_only(memory))));
        return fmt::format("{}@{:x}", path, machine.memory_begin);
    }
    if (format == "kdump") save(path, write_kdump(memory, kdump_options(dump, machine)));
    else if (format == "lkcd" || format == "lkcd-rle")
        save(path, write_lkcd(stored_only(memory), {.order = dump.info().order, .word_size = dump.info().word_size, .machine = machine.uname,
                                                    .zlib = format == "lkcd"}));
    else if (format == "lime") save(path, write_lime(stored_only(memory)));
    else if (format == "avml") save(path, write_avml(stored_only(memory)));
    else if (machine.type && (format == "stream" || format == "libvirt")) {
        const auto stream = write_qemu_stream(from(machine.memory_begin, stored_only(memory)), {.machine = machine.type, .block = machine.block});
        save(path, format == "stream" ? stream : write_libvirt(stream));
    } else if (machine.elf == EM_S390) save(path, convert_s390x(format, memory));
    else if (machine.elf == EM_X86_64 || machine.elf == EM_386) save(path, convert_x86(format, dump, memory));
    else throw UsageError(fmt::format("unknown format \"{}\" of {}", format, machine.uname));
    return path;
}

} // namespace

int main(int argc, char** argv) {
    if (argc != 4) {
        fmt::print(stderr, "usage: dump_convert FORMAT IN OUT\n");
        return 2;
    }
    try {
        fmt::print("{}\n", convert(argv[1], *open_dump({argv[2]}), argv[3]));
        return 0;
    } catch (const Error& error) {
        fmt::print(stderr, "{}\n", error.what());
        return 1;
    }
}
