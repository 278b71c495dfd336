// SPDX-License-Identifier: GPL-3.0-or-later
// Each format, written as a dump of each machine that it can hold: it opens, tells its machine, and gives the pages.
#include "core/dump/machines.hpp"
#include "core/dump/raw.hpp"
#include "tests/fixtures/elf_writer.hpp"
#include "tests/fixtures/flattened_writer.hpp"
#include "tests/fixtures/kdump_writer.hpp"
#include "tests/fixtures/lkcd_writer.hpp"
#include "tests/fixtures/memory_files.hpp"
#include "tests/fixtures/open_fixture.hpp"
#include "tests/fixtures/qcow2_writer.hpp"
#include "tests/fixtures/s390_writer.hpp"
#include "tests/fixtures/sadump_writer.hpp"
#include "tests/fixtures/seen.hpp"
#include "tests/fixtures/xen_writer.hpp"
#include <doctest/doctest.h>
#include <elf.h>
#include <utility>

using namespace kcrash;
using namespace kcrash::fixtures;

namespace {

struct TestMachine {
    const char* arch; // as arch/ calls it
    const char* uname;
    uint16_t elf;
    ByteOrder order;
    unsigned word;
    const char* vmcoreinfo;      // a key that only this architecture's kernel writes; null: none tells it apart
    const char *qemu, *block;    // machine type and main memory; null: none
    uint64_t memory_begin;       // of QEMU's machine
};

constexpr uint64_t gib = uint64_t{1} << 30;

const TestMachine machines[] = {
    {"x86_64", "x86_64", EM_X86_64, ByteOrder::little, 8, "SYMBOL(init_top_pgt)=ffffffff82000000", "pc-q35-7.2", "pc.ram", 0},
    {"i386", "i686", EM_386, ByteOrder::little, 4, "CONFIG_X86_PAE=y", "pc-i440fx-7.2", "pc.ram", 0},
    {"arm64", "aarch64", EM_AARCH64, ByteOrder::little, 8, "NUMBER(kimage_voffset)=0xffff800010000000", "virt-7.2", "mach-virt.ram", gib},
    {"arm", "armv7l", EM_ARM, ByteOrder::little, 4, "CONFIG_ARM_LPAE=y", "virt-7.2", "mach-virt.ram", gib},
    {"riscv64", "riscv64", EM_RISCV, ByteOrder::little, 8, "NUMBER(phys_ram_base)=0x80000000", "virt", "riscv_virt_board.ram", 2 * gib},
    {"s390x", "s390x", EM_S390, ByteOrder::big, 8, "SYMBOL(lowcore_ptr)=100000", "s390-ccw-virtio-7.2", "s390.ram", 0},
    {"ppc64le", "ppc64le", EM_PPC64, ByteOrder::little, 8, "SYMBOL(vmemmap_list)=c000000001000000", "pseries-7.2", "ppc_spapr.ram", 0},
    {"loongarch64", "loongarch64", 258, ByteOrder::little, 8, nullptr, "virt", "loongarch.ram", 0},
};

std::string vmcoreinfo_of(const TestMachine& machine) {
    return std::string("OSRELEASE=6.1.0-fixture\nPAGESIZE=4096\n") + (machine.vmcoreinfo ? machine.vmcoreinfo : "X=1") + "\n";
}

// Frames 0 to 3 hold numbers, frame 8 the kernel's note, 9 zeroes.
FixtureMemory memory_of(const TestMachine& machine) {
    FixtureMemory memory = parse_memory("0-3 number\n 8-9 zero\n 20-2f noise");
    memory.pages[8].bytes = note_page(vmcoreinfo_of(machine), 0x40, machine.order);
    return memory;
}

// Opens it and checks all that it says. begin: where its first page lies. told: the file says of which machine it is; else vmlinux will.
void check(const TestMachine& machine, const std::vector<std::string>& paths, uint64_t begin = 0, bool told = true) {
    static bool fresh = true;
    CAPTURE(machine.arch);
    const auto dump = open_dump(paths);
    const DumpInfo& info = dump->info();
    CAPTURE(info.format);
    CHECK((info.elf_machine != 0) == told);
    const Architecture* arch = find_architecture(told ? info.elf_machine : machine.elf, info.order, info.word_size);
    REQUIRE(arch);
    CHECK(std::string_view(arch->name) == machine.arch);
    const FixtureMemory memory = memory_of(machine);
    std::vector<std::byte> page(4096);
    unsigned right = 0;
    for (const auto& [frame, expected] : memory.pages)
        right += dump->try_read_page(PageFrame(begin / 4096 + frame), page) == Fault::none && page == expected.bytes;
    CHECK(right == memory.pages.size());
    CHECK(dump->try_read_page(PageFrame(begin / 4096 + memory.end()), page) != Fault::none); // behind its end
    if (right == memory.pages.size() && std::string_view(arch->name) == machine.arch) record_seen(info, *arch, std::exchange(fresh, false));
}

void check(const TestMachine& machine, const std::vector<std::byte>& bytes, uint64_t begin = 0, bool told = true) {
    const TemporaryFile file(bytes);
    check(machine, std::vector{file.path()}, begin, told);
}

ElfOptions elf_options(const TestMachine& machine) {
    ElfOptions options;
    options.order = machine.order;
    options.elf64 = machine.word == 8;
    options.machine = machine.elf;
    options.vmcoreinfo = vmcoreinfo_of(machine);
    return options;
}

KdumpOptions kdump_options(const TestMachine& machine) {
    KdumpOptions options;
    options.order = machine.order;
    options.word_size = machine.word;
    options.padded = std::string_view(machine.arch) == "arm";
    options.machine = machine.uname;
    options.vmcoreinfo = vmcoreinfo_of(machine);
    return options;
}

// Those that x86's firmware, hypervisors and dump tools write.
void check_x86(const TestMachine& machine) {
    const FixtureMemory memory = memory_of(machine);
    KdumpOptions old = kdump_options(machine);
    old.diskdump = true;
    old.version = 1;
    check(machine, write_kdump(memory, old));
    const bool wide = machine.word == 8;
    for (const bool media : {false, true}) check(machine, write_sadump(memory, {.media = media, .long_mode = wide})[0]);
    if (wide)
        for (const unsigned old_word : {0u, 8u}) check(machine, write_xen(memory, {.old_word = old_word}));
    check(machine, write_vmss(memory, true));
}

} // namespace

TEST_CASE("formats and machines: the dump tools' own formats") {
    for (const TestMachine& machine : machines) {
        const FixtureMemory memory = memory_of(machine);
        check(machine, write_elf(memory, elf_options(machine)));
        const auto kdump = write_kdump(memory, kdump_options(machine));
        check(machine, kdump);
        check(machine, write_flattened(kdump, {3000, true, true}));
        const TemporaryFile first(write_kdump_part(memory, 0, 9, kdump_options(machine))),
            second(write_kdump_part(memory, 9, memory.end(), kdump_options(machine)));
        check(machine, std::vector{second.path(), first.path()});
        LkcdOptions lkcd;
        lkcd.order = machine.order;
        lkcd.word_size = machine.word;
        lkcd.machine = machine.uname;
        if (machine.elf != 258 && machine.elf != EM_RISCV && machine.elf != EM_AARCH64) // LKCD had ended before they were
            check(machine, write_lkcd(memory, lkcd));
        if (machine.elf == EM_X86_64 || machine.elf == EM_386) check_x86(machine);
    }
}

TEST_CASE("formats and machines: QEMU calls an arm64 machine Unknown, and the kernel's own note tells it") {
    const TestMachine& machine = machines[2];
    KdumpOptions options = kdump_options(machine);
    options.machine = "Unknown";
    check(machine, write_kdump(memory_of(machine), options));
    options.vmcoreinfo = "OSRELEASE=6.1\nPAGESIZE=4096\n";
    CHECK(OpenFixture(write_kdump(memory_of(machine), options)).info().elf_machine == 0);
}

TEST_CASE("formats and machines: files of memory, where the kernel's own note tells the machine, or nothing but vmlinux does") {
    for (const TestMachine& machine : machines) {
        const bool told = machine.vmcoreinfo != nullptr;
        const FixtureMemory memory = memory_of(machine);
        check(machine, write_lime(memory), 0, told);
        check(machine, write_avml(memory), 0, told);
        // Raw memory has no holes: two files that leave one.
        FixtureMemory low = memory, high = memory;
        std::erase_if(low.pages, [](const auto& page) { return page.first >= 0x10; });
        std::erase_if(high.pages, [](const auto& page) { return page.first < 0x10; });
        const TemporaryFile first(write_raw(low)), second(std::span<const std::byte>(write_raw(high)).subspan(0x20000));
        check(machine, std::vector{first.path() + "@0," + second.path() + "@20000"}, 0, told);
    }
}

TEST_CASE("formats and machines: QEMU's stream, where the machine type tells") {
    for (const TestMachine& machine : machines) {
        if (!machine.qemu) continue;
        const auto stream = write_qemu_stream(memory_of(machine), {.machine = machine.qemu, .block = machine.block});
        check(machine, stream, machine.memory_begin);
        check(machine, write_qcow2(stream).file.bytes, machine.memory_begin);
        check(machine, write_libvirt(stream), machine.memory_begin);
    }
}

TEST_CASE("formats and machines: a kernel of 32 bits in a machine of 64, without a key of its own, is told by its addresses") {
    FixtureMemory memory = parse_memory("0-3 number\n 8 zero");
    const auto with = [&](std::string_view address) {
        memory.pages[8].bytes = note_page("OSRELEASE=6.1.0-fixture\nPAGESIZE=4096\nSYMBOL(swapper_pg_dir)=" + std::string(address) + "\n");
    };
    const auto machine_of = [&](std::vector<std::byte> bytes) {
        const OpenFixture dump(bytes);
        return machine_name(dump.info().elf_machine, dump.info().order, dump.info().word_size);
    };
    with("c1a00000");
    CHECK(machine_of(write_qemu_stream(memory)) == "i386");
    CHECK(machine_of(write_qemu_stream(memory, {.machine = "virt-7.2", .block = "mach-virt.ram"})) == "arm");
    CHECK(machine_of(write_vmss(memory, true)) == "i386");
    CHECK(machine_of(write_lime(memory)) == ""); // LiME does not name a machine
    with("ffffffff82a00000");
    CHECK(machine_of(write_qemu_stream(memory)) == "x86_64");
}

TEST_CASE("formats and machines: z/Series") {
    const TestMachine& machine = machines[5];
    FixtureMemory memory = memory_of(machine);
    for (const bool extended : {false, true}) check(machine, write_s390(memory, {.extended = extended})[0]);
    check(machine, write_vmdump(memory));
}
