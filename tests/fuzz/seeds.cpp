// SPDX-License-Identifier: GPL-3.0-or-later
// fuzz_seeds FOLDER: writes a sample of every form of every format into FOLDER/<driver>/, for the drivers to start from; of page
// tables the fixtures' own, and of what lies inside a dump a few of each.
#include "tests/fixtures/every_format.hpp"
#include "tests/fixtures/kdump_writer.hpp"
#include "tests/fixtures/lkcd_writer.hpp"
#include "tests/fixtures/memory_files.hpp"
#include "tests/fixtures/notes_writer.hpp"
#include "tests/fixtures/packed_writer.hpp"
#include "tests/fixtures/qcow2_writer.hpp"
#include "tests/fixtures/s390_writer.hpp"
#include "tests/fixtures/xen_writer.hpp"
#include "tests/fuzz/drivers.hpp"
#include "tests/fuzz/walks.hpp"
#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>

using namespace kcrash;
using namespace kcrash::fixtures;
namespace fs = std::filesystem;

namespace {

using Bytes = std::vector<std::byte>;

Bytes bytes_of(std::string_view text) {
    const auto bytes = std::as_bytes(std::span(text));
    return {bytes.begin(), bytes.end()};
}

Bytes with_first(uint8_t first, const Bytes& rest) {
    Bytes all{std::byte{first}};
    all.insert(all.end(), rest.begin(), rest.end());
    return all;
}

class Seeds {
public:
    explicit Seeds(fs::path top) : top_(std::move(top)) {}
    void add(const std::string& driver, std::string name, const Bytes& bytes) const {
        if (!fuzz::find_driver(driver)) throw std::runtime_error(driver + ": is no driver");
        std::replace_if(name.begin(), name.end(), [](char c) { return c == ' ' || c == ','; }, '-');
        fs::create_directories(top_ / driver);
        std::ofstream(top_ / driver / name, std::ios::binary)
            .write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
    }

private:
    fs::path top_;
};

void add_formats(const Seeds& seeds) {
    // By the first word of a sample's name: the driver that reads it.
    const std::map<std::string, std::string> drivers{
        {"kdump", "kdump"}, {"diskdump", "diskdump"}, {"flattened", "flattened"}, {"ELF", "elf"},      {"LKCD", "lkcd"},
        {"s390", "s390"},   {"VMDUMP", "vmdump"},     {"sadump", "sadump"},       {"Xen", "xen_core"}, {"LiME", "lime"},
        {"AVML", "avml"},   {"QEMU", "qemu_stream"},  {"libvirt", "libvirt"}, {"qcow2", "qcow2"},     {"VMware", "vmware"}};
    for (const auto& sample : samples_of_every_format())
        seeds.add(drivers.at(sample.name.substr(0, sample.name.find_first_of(", "))), sample.name, sample.bytes);
    FixtureMemory memory = parse_memory("0-3 number\n 8 zero\n 9 number");
    memory.pages[2].bytes = note_page();
    seeds.add("lkcd", "registers", write_lkcd(memory, {.version = 8, .word_size = 8, .machine = "x86_64", .rips = {0xffffffff80100000, 1}}));
    for (const bool old : {false, true}) seeds.add("xen_core", old ? "paravirtual old" : "paravirtual", write_xen(memory, {.paravirtual = true, .old_word = old ? 8u : 0u}));
    for (const uint64_t block : {512u, 2048u})
        seeds.add("s390", "zlib in blocks of " + std::to_string(block),
                  write_s390(parse_memory("0-9 number\n 12-15 noise\n 300 number"),
                             {.extended = true, .zlib = true, .plain_pages = 4, .entry_bytes = 16384, .block_bytes = block})[0]);
    for (const uint32_t version : {1u, 3u, 4u, 5u, 6u, 7u})
        seeds.add("vmware_guest", "guest" + std::to_string(version), write_guest(memory, version));
    for (const uint32_t id : {0xbed0bed0u, 0xbed3bed3u, 0xbad1bad1u}) seeds.add("vmware", "vmss" + std::to_string(id), write_vmss(memory, true, 2, id));
    for (const std::string_view magic : {"LinuxGuestRecord", "PAGEDU64", "PAGEDUMP", "\x14\x20\x28\x01"})
        seeds.add("unread", magic[0] == 'P' || magic[0] == 'L' ? std::string(magic) : "vmrs", bytes_of(magic));
}

void add_split(const Seeds& seeds) {
    const FixtureMemory memory = parse_memory("0-5 number\n 6 excluded\n 7-9 number as zstd");
    for (const bool turned : {false, true}) {
        const Bytes parts[] = {write_kdump_part(memory, 0, 5), write_kdump_part(memory, 5, 10)};
        const Bytes &first = parts[turned], &second = parts[!turned];
        Bytes all(4);
        for (unsigned i = 0; i < 4; ++i) all[i] = static_cast<std::byte>(first.size() >> 8 * i);
        all.insert(all.end(), first.begin(), first.end());
        all.insert(all.end(), second.begin(), second.end());
        seeds.add("split", turned ? "second first" : "first first", all);
    }
}

void add_packed(const Seeds& seeds) {
    const Bytes plain = number_page(5, 8192);
    seeds.add("gzip", "gzip", write_gzip(plain));
    Bytes large; // enough for several points of the index
    for (uint64_t n = 0; n < 800; ++n) {
        const Bytes page = number_page(n % 7);
        large.insert(large.end(), page.begin(), page.end());
    }
    seeds.add("gzip", "large", write_gzip(large));
    for (const size_t part : {300'000u, 1'200'000u}) seeds.add("gzip", "points of " + std::to_string(part), write_gzip(large, part));
    Bytes members = write_gzip(plain);
    for (const size_t size : {0u, 100u, 8192u}) {
        const Bytes member = write_gzip(std::span(plain).first(size));
        members.insert(members.end(), member.begin(), member.end());
    }
    seeds.add("gzip", "members", members);
    for (const uint64_t block : {1000u, 100000u}) seeds.add("xz", "blocks of " + std::to_string(block), write_xz(plain, block));
    const Bytes stream = write_qemu_stream(parse_memory("0-3 number\n 8 zero"));
    for (const uint32_t flags : {3u, 0x300u, 0x40u, 0u}) seeds.add("lzop", "flags " + std::to_string(flags), write_lzop(plain, 3000, flags));
    seeds.add("libvirt", "gzip", write_libvirt(write_gzip(stream), 1));
    seeds.add("libvirt", "lzop", write_libvirt(write_lzop(stream, 5000), 4));
    seeds.add("libvirt", "xz", write_libvirt(write_xz(stream, 5000), 3));
}

// A stream of every machine, what the others lack, and what is refused.
void add_streams(const Seeds& seeds) {
    const FixtureMemory memory = parse_memory("0-3 number\n 8 zero\n 9 fill 5");
    constexpr uint64_t gib = uint64_t{1} << 30;
    const std::pair<const char*, const char*> machines[] = {
        {"pc-i440fx-7.2", "/objects/ram-node0"}, {"microvm", "mem0"}, {"rhel6.6.0", "pc.ram"}, {"virt-7.2", "mach-virt.ram"},
        {"virt", "riscv_virt_board.ram"}, {"virt", "loongarch.lowram"}, {"pseries-7.2", "ppc_spapr.ram"}, {"s390-ccw-virtio-7.2", "s390.ram"},
        {"pc-q35-7.2", "something"}, {"unknown", "dimm0"}};
    for (const auto& [machine, block] : machines) seeds.add("qemu_stream", std::string(machine) + "-" + (block + (block[0] == '/')), write_qemu_stream(memory, {.machine = machine, .block = block}));
    for (const char* machine : {"pc-q35-7.2", "virt"})
        seeds.add("qemu_stream", std::string("large ") + machine,
                  write_qemu_stream(memory, {.machine = machine, .block = machine[0] == 'v' ? "loongarch.ram" : "pc.ram", .memory = 5 * gib}));
    seeds.add("qemu_stream", "mapped", write_qemu_stream(parse_memory("0-3 number"), {.mapped = true}));
    seeds.add("qemu_stream", "others", write_qemu_stream(memory, {.other = "other things"}));
    seeds.add("qemu_stream", "cpus", write_qemu_stream(memory, {.cpus = {write_qemu_cpu(1), write_qemu_cpu(2, 4)}, .again = {1, 2}}));
    const FixtureMemory page = parse_memory("0 fill 1"); // small, so that what follows it is changed more often
    for (const uint64_t cpsr : {0x3c5, 0x1d3}) // of 64 bits and of 32
        seeds.add("qemu_stream", "described arm " + std::to_string(cpsr),
                  write_qemu_stream(page, describe_cpu({.machine = "virt-7.2", .block = "mach-virt.ram"}, qemu_arm_fields, cpsr)));
    seeds.add("qemu_stream", "described riscv",
              write_qemu_stream(page, describe_cpu({.machine = "virt", .block = "riscv_virt_board.ram"}, {{"env.gpr", 32, 8}, {"env.pc", 1, 8}})));
    seeds.add("qemu_stream", "described s390",
              write_qemu_stream(page, describe_cpu({.machine = "s390-ccw-virtio-7.2", .block = "s390.ram"},
                                                   {{"env.regs", 16, 8}, {"env.psw.mask", 1, 8}, {"env.psw.addr", 1, 8}, {"env.aregs", 16, 4}})));
    seeds.add("qemu_stream", "described ppc",
              write_qemu_stream(page, describe_cpu({.machine = "pseries-7.2", .block = "ppc_spapr.ram"},
                                                   {{"env.gpr", 32, 8}, {"env.crf", 8, 4}, {"env.nip", 1, 8}, {"env.spr", 16, 8}, {"env.msr", 1, 8}})));
    seeds.add("qemu_stream", "described loongarch",
              write_qemu_stream(page, describe_cpu({.machine = "virt", .block = "loongarch.ram", .commands = {11}},
                                                   {{"env.gpr", 32, 8}, {"env.pc", 1, 8}, {"env.CSR_ERA", 1, 8}, {"env.CSR_BADV", 1, 8}})));
    seeds.add("qemu_stream", "cut", write_qemu_stream(memory, {.whole = false}));
    const Bytes plain = write_qemu_stream(memory);
    seeds.add("qcow2", "several", write_qcow2(plain, {.version = 2, .cluster_bits = 9, .disk = 1, .snapshots = {{"1", "a", true, 0}, {"2", "b", false}, {"3", "c", true, 8}}}).file.bytes);
    seeds.add("qcow2", "none", write_qcow2({}, {.cluster_bits = 9, .disk = 1, .snapshots = {{"1", "a", false}}}).file.bytes);
    const auto with = [&](const char* name, std::string_view data) { // a subsection of the configuration
        ByteImage part(ByteOrder::big);
        part.put<uint8_t>(0, 5);
        part.put<uint8_t>(1, static_cast<uint8_t>(std::string_view(name).size()));
        part.put_text(2, name);
        part.put<uint32_t>(part.size(), 1);
        part.put_text(part.size(), data);
        Bytes all = plain;
        all.insert(all.begin() + 13 + 10, part.bytes.begin(), part.bytes.end()); // behind "pc-q35-7.2"
        std::string file = std::string("part ") + name;
        std::replace(file.begin(), file.end(), '/', '-');
        seeds.add("qemu_stream", file + std::to_string(data.size()), all);
    };
    with("configuration/uuid", std::string_view("0123456789abcdef"));
    with("configuration/target-page-bits", std::string_view("\0\0\0\x0c", 4));
    with("configuration/capabilities", std::string_view("\0\0\0\1\6xbzrle", 11));
    with("configuration/capabilities", std::string_view("\0\0\0\0", 4));
    with("configuration/other", {});
}

// What lies inside a dump.
void add_inside(const Seeds& seeds) {
    Note device{"LINUX", 0x700, Bytes(44 + 16)};
    std::copy_n(bytes_of("device").begin(), 6, device.description.begin());
    const std::vector<Note> notes{prstatus_note(1), device, text_note("VMCOREINFO", fixture_vmcoreinfo), text_note("ERASEINFO", "erase x size 1\n"),
                                  {"Xen", 0x1000001, Bytes(80)}};
    seeds.add("notes", "little", with_first(0, write_notes(notes, ByteOrder::little)));
    seeds.add("notes", "big", with_first(1, write_notes(notes, ByteOrder::big)));
    seeds.add("vmcoreinfo", "x86", bytes_of(fixture_vmcoreinfo + "NUMBER(phys_base)=-79691776\nKERNELOFFSET=1f000000\nSIZE(list_head)=16\n"
                                            "OFFSET(page.flags)=0\nLENGTH(mem_section)=2048\nNUMBER(pgtable_l5_enabled)=0\n"));
    seeds.add("vmcoreinfo", "arm64", bytes_of("OSRELEASE=6.1\nPAGESIZE=65536\nNUMBER(VA_BITS)=48\nNUMBER(kimage_voffset)=0xffff80000a000000\n"
                                              "NUMBER(PHYS_OFFSET)=0x40000000\nNUMBER(KERNELPACMASK)=0x0\nSYMBOL(swapper_pg_dir)=ffff80000a000000\n"));
    for (const ByteOrder order : {ByteOrder::little, ByteOrder::big})
        seeds.add("memory_note", order == ByteOrder::little ? "little" : "big", note_page(fixture_vmcoreinfo, 64, order));
    const Bytes page = number_page(5);
    for (const Compression method : {Compression::none, Compression::zlib, Compression::lzo, Compression::snappy, Compression::zstd})
        seeds.add("page", "method " + std::to_string(static_cast<int>(method)),
                  with_first(static_cast<uint8_t>(method), method == Compression::none ? page : *compress(method, page)));
}

void add_walks(const Seeds& seeds) {
    for (const auto& entry : fs::directory_iterator(KCRASH_FIXTURES "/page_tables")) {
        std::ifstream file(entry.path());
        const std::string text{std::istreambuf_iterator<char>(file), {}};
        seeds.add("walk-" + fuzz::walk_machine(text), entry.path().stem(), fuzz::walk_input(text));
        seeds.add("walk-" + fuzz::walk_machine(text), entry.path().stem().native() + " in a domain", fuzz::walk_input(text + "\nmachine_frames 0\n"));
    }
}

// The words of the command line, and what the file holds that they name.
void add_raw(const Seeds& seeds) {
    for (const char* words : {"F@0", "F@0x80000000,F@c0000000", "F@1000 F@fffffffffffff000", "F@0,F@800 F@8000000000000000", "G@0", "F@0,G", "F@", "F@0 G"})
        for (const size_t size : {0u, 100u, 9000u}) {
            Bytes input = bytes_of(words), content = number_page(3, std::max<size_t>(size, 1));
            input.push_back(std::byte{0});
            input.insert(input.end(), content.begin(), content.begin() + static_cast<ptrdiff_t>(size));
            seeds.add("raw", words + std::string(" of ") + std::to_string(size), input);
        }
}

} // namespace

int main(int argc, char** argv) {
    if (argc != 2) {
        std::fputs("usage: fuzz_seeds FOLDER\n", stderr);
        return 2;
    }
    const Seeds seeds(argv[1]);
    for (const auto add : {add_formats, add_split, add_packed, add_streams, add_inside, add_walks, add_raw}) add(seeds);
}
