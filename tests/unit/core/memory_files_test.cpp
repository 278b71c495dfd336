// SPDX-License-Identifier: GPL-3.0-or-later
// Raw memory, LiME, AVML, VMware, QEMU's stream and libvirt's save file: each opens, and each is refused when it is broken.
#include "core/dump/machines.hpp"
#include "core/dump/memory_note.hpp"
#include "core/dump/qemu_machines.hpp"
#include "core/dump/raw.hpp"
#include "tests/fixtures/memory_files.hpp"
#include "tests/fixtures/open_fixture.hpp"
#include "tests/fixtures/packed_writer.hpp"
#include "tests/fixtures/qcow2_writer.hpp"
#include <doctest/doctest.h>
#include <elf.h>
#include <filesystem>
#include <fmt/format.h>
#include <fstream>
#include <random>

using namespace kcrash;
using namespace kcrash::fixtures;

namespace {

FixtureMemory some_memory() {
    FixtureMemory memory =
        parse_memory("0-3f number\n 40 zero\n 41 fill a5\n 42-60 noise\n 80-9f number\n a0 zero\n a1-a3 number");
    memory.pages[0x90].bytes = note_page();
    return memory;
}

bool has_all(const Dump& dump, const FixtureMemory& memory) {
    std::vector<std::byte> page(4096);
    for (const auto& [frame, expected] : memory.pages)
        if (dump.try_read_page(PageFrame(frame), page) != Fault::none || page != expected.bytes) return false;
    return dump.try_read_page(PageFrame(0x70), page) == Fault::not_in_dump &&
           dump.try_read_page(PageFrame(memory.end()), page) == Fault::not_in_dump;
}

void check_dump(const Dump& dump, std::string_view format) {
    CHECK(dump.info().format == format);
    CHECK(dump.info().warnings.empty());
    CHECK_FALSE(dump.info().truncated);
    CHECK(dump.info().elf_machine == EM_X86_64);
    CHECK(dump.info().max_frame == 0xa4);
    CHECK(dump.vmcoreinfo() == fixture_vmcoreinfo);
    CHECK(has_all(dump, some_memory()));
    REQUIRE(dump.memory().size() == 2);
    CHECK(dump.memory()[0].end.value == 0x61000);
    CHECK(dump.memory()[1].begin.value == 0x80000);
}

// A folder with a VMware file and what belongs beside it.
struct Folder {
    Folder() {
        path = std::filesystem::temp_directory_path() / fmt::format("kcrash-vmware-{}", std::random_device()());
        std::filesystem::create_directory(path);
    }
    ~Folder() { std::filesystem::remove_all(path); }
    std::string add(const std::string& name, std::span<const std::byte> bytes) const {
        const std::string file = path / name;
        std::ofstream(file, std::ios::binary)
            .write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
        return file;
    }
    std::filesystem::path path;
};

// The registers of a note, by their place in it.
uint64_t note_register(const Note& note, size_t n) {
    return load<uint64_t>(note.description.data() + 112 + 8 * n, ByteOrder::little);
}

} // namespace

TEST_CASE("lime: ranges are read at their addresses, and VMCOREINFO is found in memory") {
    const OpenFixture fixture(write_lime(some_memory()));
    check_dump(*fixture.dump, "LiME");
    CHECK(fixture.dump->file_offset(PageFrame(1))->value == 32 + 4096);
    CHECK(fixture.dump->notes().empty());
}

TEST_CASE("lime: a damaged header ends the walk and is told; the ranges before it are read") {
    auto bytes = write_lime(some_memory());
    const size_t second = 32 + 0x61 * 4096;
    bytes[second] = std::byte{0};
    const OpenFixture fixture(bytes);
    CHECK(warning_of(fixture, 0) ==
          fmt::format("FILE: damaged LiME header at offset 0x{:x}: no magic number; what follows it is not read", second));
    CHECK(fixture.info().truncated);
    CHECK(fixture.has_number(0x3f));
    CHECK(fixture.fault(0x80) == Fault::not_in_dump);
    CHECK(warning_of(fixture, 1) ==
          "FILE: no VMCOREINFO was found in memory; pages of 4096 bytes are assumed; give vmlinux, and --kaslr if it was on");
}

TEST_CASE("lime: other versions, impossible ranges and cut files") {
    auto bytes = write_lime(some_memory());
    auto version = bytes;
    version[4] = std::byte{2};
    CHECK(open_error(version) == "FILE: a LiME file of version 2; kcrash reads version 1");
    auto backwards = bytes;
    std::fill_n(backwards.begin() + 16, 8, std::byte{0});
    backwards[9] = std::byte{0x10};
    CHECK(open_error(backwards) == "FILE: holds no memory that can be read (LiME)");
    CHECK(open_error(std::span(bytes).first(20)) == "FILE: holds no memory that can be read (LiME)");
    const OpenFixture cut(std::span<const std::byte>(bytes).first(bytes.size() - 5000));
    CHECK(cut.info().truncated);
    CHECK(warning_of(cut, 0) == fmt::format("FILE: truncated: needs {} bytes, has {}", bytes.size(), bytes.size() - 5000));
    CHECK(cut.fault(0xa3) == Fault::truncated);
    CHECK(cut.fault(0xa2) == Fault::truncated);
    CHECK(cut.has_number(0xa1));
}

TEST_CASE("lime: a file that shrinks while it is open is truncated, not zero") {
    const OpenFixture fixture(write_lime(some_memory()));
    fixture.file.resize(0x10000);
    CHECK(fixture.fault(0x3f) == Fault::truncated);
    CHECK(fixture.has_number(2));
}

TEST_CASE("avml: the framed pages are read at their addresses") {
    const OpenFixture fixture(write_avml(some_memory()));
    check_dump(*fixture.dump, "AVML");
    CHECK(fixture.info().compression == "snappy");
    CHECK_FALSE(fixture.dump->file_offset(PageFrame(1)));
}

TEST_CASE("avml: a wrong checksum is damage, in its chunk only") {
    auto bytes = write_avml(some_memory());
    bytes[32 + 10 + 4] ^= std::byte{1}; // the checksum of the first chunk
    const OpenFixture fixture(bytes);
    CHECK(fixture.fault(0) == Fault::damaged);
    CHECK(fixture.fault(15) == Fault::damaged);
    CHECK(fixture.has_number(16));
}

TEST_CASE("avml: versions, wrong lengths and cut streams") {
    auto bytes = write_avml(some_memory());
    auto version = bytes;
    version[4] = std::byte{9};
    CHECK(open_error(version) == "FILE: an AVML file of version 9; kcrash reads version 2");
    auto chunk = bytes;
    chunk[32 + 10] = std::byte{0x33}; // a chunk that may not be passed over
    CHECK(open_error(chunk) == "FILE: holds no memory that can be read (AVML)");
    auto length = bytes;
    length[length.size() - 8] ^= std::byte{1};
    const OpenFixture wrong(length);
    CHECK(warning_of(wrong, 0).find("bytes, and says ") != std::string::npos);
    CHECK(has_all(*wrong.dump, some_memory()));
    const OpenFixture cut(std::span<const std::byte>(bytes).first(bytes.size() / 2));
    CHECK(cut.info().truncated);
    CHECK(warning_of(cut, 0).ends_with("; what follows is not read"));
    CHECK(cut.has_number(1));
}

TEST_CASE("qemu stream: pages of the last round are read, video memory is not") {
    StreamOptions options;
    options.again = {0, 0x41, 0x80};
    options.cpus = {write_qemu_cpu()};
    const OpenFixture fixture(write_qemu_stream(some_memory(), options));
    check_dump(*fixture.dump, "QEMU migration stream");
    CHECK(fixture.info().machine == "pc-q35-7.2");
}

TEST_CASE("qemu stream: what else is sent in rounds is passed over, to its footer") {
    StreamOptions options;
    options.cpus = {write_qemu_cpu()};
    // Its footer as data, with no section behind it; and more of it than is searched at once, the footer across two pieces.
    std::vector<size_t> sizes{1, 200'000};
    for (size_t size = 220; size < 260; ++size) sizes.push_back(size);
    for (const size_t size : sizes) {
        CAPTURE(size);
        options.other = std::string("\x7e\0\0\0\1\x40\x7e\0\0\0\1\0", 12) + std::string(size, 'x');
        check_dump(*OpenFixture(write_qemu_stream(some_memory(), options)).dump, "QEMU migration stream");
    }
    options.other = std::string(200'000, 'x');
    auto cut = write_qemu_stream(some_memory(), options);
    cut.resize(100'000);
    CHECK(open_error(cut) == "FILE: truncated: the stream ends before its memory");
}

TEST_CASE("qemu stream: a microvm of more than 3 GiB has the rest from 4 GiB on") {
    constexpr uint64_t gib = uint64_t{1} << 30;
    const FixtureMemory memory = parse_memory("0-3 number\n c0000 fill 5");
    const OpenFixture fixture(write_qemu_stream(memory, {.machine = "microvm", .block = "microvm.ram", .memory = 3 * gib + 0x100000}));
    CHECK(fixture.fault(0xc0000) == Fault::not_in_dump);
    CHECK(fixture.page(4 * gib / 4096) == memory.pages.at(0xc0000).bytes);
}

TEST_CASE("lime: bytes of a page that is there in part are read") {
    const FixtureMemory memory = parse_memory("0-3 number"); // one range
    auto bytes = write_lime(memory);
    bytes[17] = std::byte{0x3b}; // its last byte is 0x3bff
    bytes.resize(bytes.size() - 0x400);
    const OpenFixture fixture(bytes);
    std::vector<std::byte> part(16), page(4096);
    CHECK(fixture.dump->try_read_page(PageFrame(3), page) == Fault::not_in_dump);
    CHECK(fixture.dump->try_read_part(PageFrame(3), 0xbf0, part) == Fault::none);
    CHECK(std::equal(part.begin(), part.end(), memory.pages.at(3).bytes.begin() + 0xbf0));
    CHECK(fixture.dump->try_read_part(PageFrame(3), 0xbf1, part) == Fault::not_in_dump);
}

TEST_CASE("qemu stream: words to who receives it are passed over, those of a guest whose memory comes later are refused") {
    StreamOptions options;
    options.commands = {1, 2, 11}; // a way back, a ping with two bytes here, the last round; the fixture's commands have number % 8 bytes
    options.other = "rounds of a table";
    options.cpus = {write_qemu_cpu()};
    const OpenFixture fixture(write_qemu_stream(some_memory(), options));
    check_dump(*fixture.dump, "QEMU migration stream");
    options.commands = {3};
    CHECK(open_error(write_qemu_stream(some_memory(), options)).ends_with("command 3: not a stream that holds the whole memory"));
}

TEST_CASE("qemu stream: the registers of x86_64 CPUs become notes") {
    StreamOptions options;
    options.cpus = {write_qemu_cpu(0x100), write_qemu_cpu(0x100)};
    const OpenFixture fixture(write_qemu_stream(some_memory(), options));
    REQUIRE(fixture.dump->notes().size() == 4); // and a QEMU note for each
    const Note& note = fixture.dump->notes()[1];
    CHECK(note.name == "CORE");
    CHECK(note.type == note_prstatus);
    CHECK(load<uint32_t>(note.description.data() + 32, ByteOrder::little) == 2); // pr_pid
    CHECK(note_register(note, 10) == 0x100);                                     // rax is QEMU's first
    CHECK(note_register(note, 5) == 0x103);                                      // rbx
    CHECK(note_register(note, 19) == 0x104);                                     // rsp
    CHECK(note_register(note, 16) == 0x110);                                     // rip
    CHECK(note_register(note, 18) == 0x246);                                     // rflags
    CHECK(note_register(note, 17) == 0x11);                                      // cs
    CHECK(note_register(note, 22) == 0x1005);                                    // gs_base
}

TEST_CASE("qemu stream: the CPUs of qemu-system-i386 have words of 4 bytes") {
    StreamOptions options;
    options.machine = "pc-i440fx-7.2";
    options.cpus = {write_qemu_cpu(0xc1000000, 4)};
    const OpenFixture fixture(write_qemu_stream(some_memory(), options));
    REQUIRE(fixture.dump->notes().size() == 2);
    const Note& note = fixture.dump->notes()[0];
    CHECK(note_register(note, 10) == 0xc1000000); // eax
    CHECK(note_register(note, 5) == 0xc1000003);  // ebx
    CHECK(note_register(note, 19) == 0xc1000004); // esp
    CHECK(note_register(note, 16) == 0xc1000008); // eip
    CHECK(note_register(note, 18) == 0x246);
    CHECK(note_register(note, 17) == 0x11); // cs
    CHECK(note_register(note, 22) == 0x1005);
}

TEST_CASE("qemu stream: a CPU whose flags no processor has gives no registers, and that is said") {
    StreamOptions options;
    options.cpus = {write_qemu_cpu(0, 8, 0x246 | 1 << 15)};
    const OpenFixture fixture(write_qemu_stream(some_memory(), options));
    CHECK(fixture.dump->notes().empty());
    CHECK(warning_of(fixture, 0) == "FILE: the registers of the CPUs were not found in the stream");
}

TEST_CASE("qemu stream: mapped-ram has each block at its place, and zeroes where the bitmap has none") {
    StreamOptions options;
    options.mapped = true;
    options.cpus = {write_qemu_cpu()};
    const auto bytes = write_qemu_stream(some_memory(), options);
    const OpenFixture fixture(bytes);
    CHECK(fixture.info().format == "QEMU migration stream");
    CHECK(fixture.info().warnings.empty());
    CHECK(fixture.dump->vmcoreinfo() == fixture_vmcoreinfo);
    CHECK(fixture.dump->notes().size() == 2);
    std::vector<std::byte> page(4096);
    for (const auto& [frame, expected] : some_memory().pages) CHECK(fixture.page(frame) == expected.bytes);
    CHECK(fixture.page(0x70) == std::vector<std::byte>(4096)); // the format says so
    CHECK(fixture.fault(0xa4) == Fault::not_in_dump);
    const size_t header = 8 + 5 + 10 + 1 + 27 + 4 + 4 + 11 + 1 + 4 + 4 + 8 + 8 + 7 + 8;
    REQUIRE(load<uint32_t>(bytes.data() + header, ByteOrder::big) == 1);
    auto other = bytes;
    other[header + 3] = std::byte{2};
    CHECK(open_error(other).ends_with("mapped-ram of version 2 with pages of 4096 bytes"));
    auto wrong = bytes;
    wrong[header + 12] = std::byte{0xff}; // the bitmap's offset
    CHECK(open_error(wrong).find("a bitmap of 24 bytes at 0xff") != std::string::npos);
    CHECK(open_error(std::span(bytes).first(0x100000 + 0x90 * 4096)) == "FILE: truncated: the stream ends before its memory");
}

TEST_CASE("qemu stream: one that was cut is read as far as it goes") {
    const auto bytes = write_qemu_stream(some_memory());
    const OpenFixture fixture(std::span<const std::byte>(bytes).first(bytes.size() * 3 / 4));
    CHECK(fixture.info().truncated);
    CHECK(warning_of(fixture, 0) ==
          fmt::format("FILE: truncated: the stream ends in the middle, at {} bytes", bytes.size() * 3 / 4));
    CHECK(fixture.has_number(0x3f));
    CHECK(fixture.fault(0xa3) == Fault::not_in_dump);
    CHECK(open_error(std::span(bytes).first(40)) == "FILE: truncated: the stream ends before its memory");
}

TEST_CASE("qemu stream: what cannot be read is refused by name") {
    const auto good = write_qemu_stream(some_memory());
    const auto with = [&](size_t at, uint8_t value) {
        auto bytes = good;
        bytes[at] = static_cast<std::byte>(value);
        return open_error(bytes);
    };
    const size_t ram = 8 + 5 + 10, words = ram + 5 + 4 + 8; // the section, and its first word
    CHECK(with(7, 2) == "FILE: a QEMU stream of version 2; kcrash reads version 3");
    CHECK(with(ram, 9) == "FILE: damaged stream at offset 0x18: section type 0x9");
    CHECK(with(ram + 6, 'x').ends_with(": section \"timer\" before the memory")); // "xam" is passed over
    CHECK(with(words + 7, 0x40) ==
          "FILE: damaged stream at offset 0x30: pages are differences (xbzrle): write it again without that capability");
    CHECK(with(words + 7, 0x80) == "FILE: damaged stream at offset 0x30: flags 0x80");
    StreamOptions unknown;
    unknown.machine = "raspi3b";
    CHECK(open_error(write_qemu_stream(some_memory(), unknown))
              .starts_with("FILE: where the memory of machine type \"raspi3b\" lies is not known; take the dump with "));
    StreamOptions small;
    small.memory = 0x10 * 4096;
    CHECK(open_error(write_qemu_stream(some_memory(), small)).ends_with("a page at 0x10000, outside of its block"));
}

TEST_CASE("qemu machines: memory is split at the hole below 4 GiB as QEMU splits it") {
    const uint64_t gib = uint64_t{1} << 30;
    struct Case {
        const char *machine, *block;
        uint64_t bytes;
        std::vector<std::pair<uint64_t, uint64_t>> pieces;
    };
    const Case cases[] = {
        {"pc-i440fx-7.2", "pc.ram", gib, {{0, gib}}},
        {"pc-i440fx-7.2", "pc.ram", 0xdfff0000, {{0, 0xdfff0000}}},
        {"pc-i440fx-7.2", "pc.ram", 0xe0000000, {{0, 3 * gib}, {4 * gib, 0x120000000}}},
        {"pc-q35-7.2", "pc.ram", 2 * gib, {{0, 2 * gib}}},
        {"pc-q35-7.2", "pc.ram", 4 * gib, {{0, 2 * gib}, {4 * gib, 6 * gib}}},
        {"virt-7.2", "mach-virt.ram", gib, {{gib, 2 * gib}}},
        {"virt", "riscv_virt_board.ram", gib, {{2 * gib, 3 * gib}}},
        {"s390-ccw-virtio-7.2", "s390.ram", gib, {{0, gib}}},
        {"virt-7.2", "mem0", gib, {}},
    };
    for (const Case& c : cases) {
        CAPTURE(c.machine);
        CAPTURE(c.bytes);
        const QemuMemory memory = qemu_memory(c.machine, c.block, c.bytes);
        REQUIRE(memory.pieces.size() == c.pieces.size());
        uint64_t source = 0;
        for (size_t i = 0; i < c.pieces.size(); ++i) {
            CHECK(memory.pieces[i].begin == c.pieces[i].first);
            CHECK(memory.pieces[i].end == c.pieces[i].second);
            CHECK(memory.pieces[i].source == source);
            source += c.pieces[i].second - c.pieces[i].first;
        }
    }
    CHECK(main_memory({{"vga.vram", 5}, {"ram-node0", 1}, {"ram-node1", 1}, {"memdimm0", 9}}) == std::vector<size_t>{1, 2});
    CHECK(main_memory({{"pc.ram", 5}, {"ram-extra", 1}}) == std::vector<size_t>{0});
    CHECK(main_memory({{"odd", 5}, {"odder", 7}}) == std::vector<size_t>{1});
}

TEST_CASE("libvirt: the stream behind the header and the XML is read") {
    StreamOptions options;
    options.cpus = {write_qemu_cpu()};
    const auto stream = write_qemu_stream(some_memory(), options);
    const OpenFixture fixture(write_libvirt(stream));
    check_dump(*fixture.dump, "libvirt save file");
    CHECK(open_error(write_libvirt(stream, 5)) == "FILE: a libvirt save file whose stream is written with zstd; set "
                                                  "save_image_format = \"raw\" in qemu.conf and save again");
    CHECK(open_error(write_libvirt(stream, 1)) == "FILE: damaged libvirt header: nothing packed with gzip begins at offset 0xd4");
    CHECK(open_error(write_libvirt(stream, 99)).find("written with method 99;") != std::string::npos);
    CHECK(open_error(write_libvirt(stream, 0, "LibvirtQemudPart")) == "FILE: a libvirt save file that was not finished");
    auto wrong = write_libvirt(stream);
    wrong[20] = std::byte{7};
    CHECK(open_error(wrong).starts_with("FILE: damaged libvirt header: no QEMU stream begins at offset 0x"));
    CHECK(open_error(std::span(wrong).first(50)) == "FILE: needs 92 bytes at offset 0x0, the file ends at 0x32");
}

TEST_CASE("libvirt: a stream that was packed with gzip, xz or lzop is read") {
    StreamOptions options;
    options.cpus = {write_qemu_cpu()};
    const auto stream = write_qemu_stream(some_memory(), options);
    const OpenFixture zipped(write_libvirt(write_gzip(stream), 1));
    CHECK(zipped.info().format == "libvirt save file");
    CHECK(has_all(*zipped.dump, some_memory()));
    CHECK(warning_of(zipped, 0) == "FILE: gzip has no index: all of it was unpacked once to make one; unpack it if you open it often");
    CHECK_FALSE(zipped.dump->notes().empty());
    check_dump(*OpenFixture(write_libvirt(write_xz(stream, 65536), 3)).dump, "libvirt save file");
    check_dump(*OpenFixture(write_libvirt(write_lzop(stream, 256 << 10), 4)).dump, "libvirt save file");
    CHECK(open_error(write_libvirt(write_gzip(std::vector<std::byte>(100)), 1)).starts_with("FILE: damaged libvirt header: no QEMU stream begins at offset 0x"));
}

TEST_CASE("vmware: memory inside the file, and beside it") {
    const OpenFixture inside(write_vmss(some_memory(), true));
    check_dump(*inside.dump, "VMware suspended machine");
    REQUIRE(inside.dump->notes().size() == 4);
    CHECK(note_register(inside.dump->notes()[1], 16) == 0xffffffff81000001); // rip
    CHECK(note_register(inside.dump->notes()[1], 17) == 0x10);               // cs: the kernel's half
    CHECK(inside.dump->file_offset(PageFrame(0)));
    const Folder folder;
    const std::string path = folder.add("guest.vmss", write_vmss(some_memory(), false));
    CHECK(error_of([&] { open_dump({path}); }, path) ==
          "FILE: has no memory in it; its memory must lie beside it as " + path.substr(0, path.size() - 5) + ".vmem");
    folder.add("guest.vmem", write_vmem(some_memory()));
    check_dump(*open_dump({path}), "VMware suspended machine");
}

TEST_CASE("vmware: other layouts and damaged files are refused or told") {
    CHECK(open_error(write_vmss(some_memory(), true, 2, 0xbed0bed0)) ==
          "FILE: is a VMware file of a 32-bit product, which kcrash does not read; convert it with vmss2core");
    const OpenFixture partial(write_vmss(some_memory(), true, 2, 0xbed3bed3));
    CHECK(partial.info().incomplete);
    auto bytes = write_vmss(some_memory(), true);
    auto groups = bytes;
    std::fill_n(groups.begin() + 8, 4, std::byte{0xff});
    CHECK(open_error(groups) == "FILE: damaged VMware file at offset 0x0: 4294967295 groups");
    const OpenFixture cut(std::span<const std::byte>(bytes).first(bytes.size() - 5000));
    CHECK(cut.info().truncated);
    CHECK(cut.fault(0xa3) == Fault::truncated);
    CHECK(cut.has_number(0x81));
}

TEST_CASE("vmware guest dumps: each version has its own layout") {
    for (const uint32_t version : {1u, 3u, 4u, 5u, 6u, 7u}) {
        CAPTURE(version);
        const Folder folder;
        const std::string path = folder.add("debug.guest", write_guest(some_memory(), version));
        folder.add("debug.vmem", write_vmem(some_memory()));
        const auto dump = open_dump({path});
        check_dump(*dump, fmt::format("VMware guest dump v{}", version));
        REQUIRE(dump->notes().size() == 4);
        CHECK(note_register(dump->notes()[1], 0) == 0xffffffff81000100);
        CHECK(note_register(dump->notes()[1], 20) == 0xffffffff81000114);
    }
}

TEST_CASE("vmware guest dumps: numbers that do not agree are another file") {
    auto bytes = write_guest(some_memory(), 4);
    bytes[22] ^= std::byte{1};
    CHECK(open_error(bytes) == "FILE: is not a dump of a format that kcrash knows");
    CHECK(open_error(write_guest(some_memory(), 2)) == "FILE: is not a dump of a format that kcrash knows");
}

TEST_CASE("raw memory: files at the addresses that the user gives") {
    FixtureMemory low = parse_memory("0-f number"), high = parse_memory("0-f noise");
    high.pages[3].bytes = note_page("OSRELEASE=5.10.0\nPAGESIZE=65536\nNUMBER(kimage_voffset)=0xffff800010000000\n", 0x100);
    const TemporaryFile first(write_raw(low)), second(write_raw(high));
    const std::string list = first.path() + "@40000000," + second.path() + "@0x80000000";
    CHECK(is_raw_list(list));
    CHECK_FALSE(is_raw_list(first.path()));
    CHECK_FALSE(is_raw_list(first.path() + "@here"));
    const auto dump = open_dump({list});
    CHECK(dump->info().format == "raw memory");
    CHECK(dump->info().elf_machine == EM_AARCH64);
    CHECK(dump->info().page_size == 65536);
    std::vector<std::byte> page(65536);
    CHECK(dump->try_read_page(PageFrame(0x40000000 / 65536), page) == Fault::none);
    CHECK(std::equal(page.begin(), page.begin() + 4096, number_page(0).begin()));
    CHECK(dump->try_read_page(PageFrame(0x80000000 / 65536), page) == Fault::none);
    CHECK(std::equal(page.begin() + 4096, page.begin() + 8192, high.pages[1].bytes.begin()));
    CHECK(dump->try_read_page(PageFrame(0), page) == Fault::not_in_dump);
    CHECK(dump->try_read_page(PageFrame(0x50000000 / 65536), page) == Fault::not_in_dump);
}

TEST_CASE("raw memory: overlaps are told, and impossible places refused") {
    const TemporaryFile file(write_raw(parse_memory("0-f number")));
    const auto dump = open_dump({file.path() + "@0", file.path() + "@8000"});
    CHECK(dump->info().warnings[0] == file.path() + ": two files hold memory at 0x8000; the first that was named is used");
    CHECK(error_of([&] { open_dump({file.path() + "@ffffffffffffffff"}); }, file.path()) ==
          "FILE: memory of 65536 bytes cannot begin at 0xffffffffffffffff");
    CHECK(error_of(
              [&] {
                  open_dump({file.path() + "@0", file.path()});
              },
              file.path()) == "FILE: is not FILE@ADDRESS, as the others of this dump are");
    CHECK(error_of([] { open_dump({"/nowhere/memory@0"}); }) == "/nowhere/memory: No such file or directory");
}

TEST_CASE("memory notes: found across windows, at any alignment and in both byte orders; half a note is none") {
    struct Case {
        uint64_t frame;
        size_t offset;
        ByteOrder order;
    };
    for (const Case& c : {Case{0, 0, ByteOrder::little}, Case{0xff, 4000, ByteOrder::big}, Case{0x100, 4, ByteOrder::little},
                          Case{0x1ff, 3900, ByteOrder::little}}) {
        FixtureMemory memory = parse_memory("0-20f zero");
        auto bytes = write_raw(memory);
        ByteImage image(c.order);
        image.bytes = bytes;
        const uint64_t at = c.frame * 4096 + c.offset;
        image.put<uint32_t>(at, 11);
        image.put<uint32_t>(at + 4, static_cast<uint32_t>(fixture_vmcoreinfo.size()));
        image.put_text(at + 12, "VMCOREINFO");
        image.put_text(at + 24, fixture_vmcoreinfo);
        const TemporaryFile file(image.bytes);
        const auto dump = open_dump({file.path() + "@0"});
        CHECK(dump->vmcoreinfo() == fixture_vmcoreinfo);
        CHECK(dump->info().order == c.order);
        image.put_text(at + 24, "x\1");
        const TemporaryFile damaged(image.bytes);
        CHECK(open_dump({damaged.path() + "@0"})->vmcoreinfo().empty());
    }
}

TEST_CASE("memory notes: who has little time opens without what is not in the likely places, and the next one finds it") {
    constexpr uint64_t mib = uint64_t{1} << 20;
    FixtureMemory memory = parse_memory("0-7ff zero");
    memory.pages[0x500].bytes = note_page();
    const TemporaryFile file(write_raw(memory));
    {
        const ShortNoteSearch limit(2 * mib);
        CHECK(open_dump({file.path() + "@0"})->vmcoreinfo().empty());
        {
            const ShortNoteSearch more(8 * mib);
            CHECK_FALSE(open_dump({file.path() + "@0"})->vmcoreinfo().empty());
        }
        CHECK(ShortNoteSearch::most() == 2 * mib);
    }
    CHECK_FALSE(open_dump({file.path() + "@0"})->vmcoreinfo().empty());
}

TEST_CASE("memory files: random damage never crashes or hangs") {
    const FixtureMemory memory = some_memory();
    const std::vector<std::vector<std::byte>> seeds{write_lime(memory), write_avml(memory), write_qemu_stream(memory),
                                                    write_libvirt(write_qemu_stream(memory)), write_vmss(memory, true),
                                                    write_qcow2(write_qemu_stream(memory), {.cluster_bits = 9}).file.bytes};
    std::mt19937 random(2025);
    const uint64_t interesting[] = {
        0, 1, 0xff, 0xffff, 0x7fffffff, 0xffffffff, UINT64_MAX, uint64_t{1} << 63, uint64_t{1} << 32, 4096, 4095};
    for (int turn = 0; turn < 1500; ++turn) {
        auto bytes = seeds[static_cast<size_t>(turn) % seeds.size()];
        for (unsigned i = 0; i < 1 + random() % 4; ++i) {
            const size_t range = random() % 4 ? std::min<size_t>(bytes.size(), 400) : bytes.size();
            const size_t at = random() % range, size = std::min<size_t>(size_t{1} << random() % 4, bytes.size() - at);
            const uint64_t value = random() % 2 ? interesting[random() % std::size(interesting)] : random();
            std::memcpy(bytes.data() + at, &value, size);
        }
        if (random() % 4 == 0) bytes.resize(random() % bytes.size());
        const TemporaryFile file(bytes);
        try {
            const auto dump = open_dump({file.path()});
            std::vector<std::byte> page(dump->info().page_size);
            for (uint64_t frame = 0; frame < 0x100; ++frame) (void)dump->try_read_page(PageFrame(frame), page);
            (void)dump->memory();
        } catch (const Error& error) { CHECK(std::string_view(error.what()).starts_with(file.path())); }
    }
}
