// SPDX-License-Identifier: GPL-3.0-or-later
// dump_convert FORMAT IN OUT: writes the pages and registers of a real x86_64 dump as another format, of which no real specimen
// can be made here: diskdump, lkcd, lkcd-rle, sadump, sadump-media, xen, xen-old, and those with their pages in order, xen-sorted
// and xen-old-sorted; lime, avml, stream (QEMU's), libvirt, vmss. raw has zeroes where the dump has nothing.
//
// Registers come from the dump's notes; a format that keeps control registers has them from QEMU's notes, where the dump has
// those.
#include "core/bytes.hpp"
#include "core/error.hpp"
#include "tests/fixtures/kdump_writer.hpp"
#include "tests/fixtures/lkcd_writer.hpp"
#include "tests/fixtures/memory_files.hpp"
#include "tests/fixtures/sadump_writer.hpp"
#include "tests/fixtures/xen_writer.hpp"
#include <fmt/format.h>
#include <fstream>

using namespace kcrash;
using namespace kcrash::fixtures;

namespace {

FixtureMemory memory_of(const Dump& dump) {
    FixtureMemory memory;
    memory.page_size = dump.info().page_size;
    std::vector<std::byte> page(memory.page_size);
    for (const PhysicalRange& range : dump.memory())
        for (uint64_t frame = range.begin.value / memory.page_size; frame < range.end.value / memory.page_size; ++frame) {
            FixturePage& into = memory.pages[frame];
            if (dump.try_read_page(PageFrame(frame), page) == Fault::none) into.bytes = page;
            else into.kind = FixturePage::Kind::excluded;
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

std::vector<std::byte> convert(std::string_view format, const Dump& dump) {
    const FixtureMemory memory = memory_of(dump);
    if (format == "diskdump") {
        KdumpOptions options;
        options.diskdump = true;
        options.version = 1;
        options.release = dump.info().release;
        return write_kdump(memory, options);
    }
    if (format == "lkcd" || format == "lkcd-rle")
        return write_lkcd(stored_only(memory), {.word_size = 8, .machine = "x86_64", .zlib = format == "lkcd"});
    if (format == "sadump" || format == "sadump-media")
        return write_sadump(memory, {.media = format == "sadump-media", .states = cpus_of(dump)})[0];
    if (format.starts_with("xen"))
        return write_xen(stored_only(memory),
                         {.shuffled = !format.ends_with("-sorted"), .old_word = format.starts_with("xen-old") ? 8u : 0u, .states = cpus_of(dump)});
    if (format == "raw") return write_raw(stored_only(memory));
    if (format == "lime") return write_lime(stored_only(memory));
    if (format == "avml") return write_avml(stored_only(memory));
    if (format == "stream") return write_qemu_stream(stored_only(memory));
    if (format == "libvirt") return write_libvirt(write_qemu_stream(stored_only(memory)));
    if (format == "vmss") return write_vmss(stored_only(memory), true);
    throw UsageError(fmt::format("unknown format \"{}\"", format));
}

} // namespace

int main(int argc, char** argv) {
    if (argc != 4) {
        fmt::print(stderr, "usage: dump_convert FORMAT IN OUT\n");
        return 2;
    }
    try {
        const auto bytes = convert(argv[1], *open_dump({argv[2]}));
        std::ofstream out(argv[3], std::ios::binary);
        out.write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
        return out.flush() ? 0 : 1;
    } catch (const Error& error) {
        fmt::print(stderr, "{}\n", error.what());
        return 1;
    }
}
