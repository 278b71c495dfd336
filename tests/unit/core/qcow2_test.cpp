// SPDX-License-Identifier: GPL-3.0-or-later
// A machine's state inside a qcow2 image: read right in every form, refused with the reason when it is not there or damaged.
#include "tests/fixtures/memory_files.hpp"
#include "tests/fixtures/open_fixture.hpp"
#include "tests/fixtures/qcow2_writer.hpp"
#include <doctest/doctest.h>
#include <elf.h>
#include <fmt/format.h>

using namespace kcrash;
using namespace kcrash::fixtures;

namespace {

FixtureMemory some_memory() {
    FixtureMemory memory = parse_memory("0-3f number\n 40 zero\n 42-60 noise\n 80-9f number");
    memory.pages[0x90].bytes = note_page();
    return memory;
}

std::vector<std::byte> stream(uint64_t seed = 7) { return write_qemu_stream(some_memory(), {.cpus = {write_qemu_cpu(seed)}}); }

constexpr const char* taken = "FILE: the memory is that of snapshot \"before\" (id 1), taken at 2023-11-14 22:13:20 UTC";

void check(const Qcow2Image& image, const std::string& warning = taken) {
    const OpenFixture fixture(image.file.bytes);
    CHECK(fixture.info().format == "QEMU savevm (qcow2)");
    CHECK(fixture.info().elf_machine == EM_X86_64);
    CHECK(fixture.info().warnings.size() == 1);
    CHECK(warning_of(fixture, 0) == warning);
    CHECK_FALSE(fixture.info().truncated);
    CHECK(fixture.dump->vmcoreinfo() == fixture_vmcoreinfo);
    CHECK(fixture.dump->notes().size() == 2); // the CPU, as NT_PRSTATUS and as QEMU's own
    for (const auto& [frame, expected] : some_memory().pages) CHECK(fixture.page(frame) == expected.bytes);
    CHECK(fixture.fault(0x70) == Fault::not_in_dump);
}

// What is said of the image with a number in another place.
template <typename T> std::string error_with(Qcow2Image image, uint64_t at, T value) {
    image.file.put<T>(at, value);
    return open_error(image.file.bytes);
}

} // namespace

TEST_CASE("qcow2: the state behind the end of the disk is read, in every size of clusters, in both versions and with extended entries") {
    for (const uint32_t version : {2u, 3u})
        for (const unsigned bits : {9u, 12u, 16u, 21u}) {
            CAPTURE(bits);
            check(write_qcow2(stream(), {.version = version, .cluster_bits = bits}));
        }
    for (const unsigned bits : {14u, 16u}) check(write_qcow2(stream(), {.cluster_bits = bits, .extended = true}));
    for (const uint64_t disk : {0, 1, 2 << 20, (2 << 20) + 1}) check(write_qcow2(stream(), {.disk = disk})); // an L1 entry is 2 MB of it
}

TEST_CASE("qcow2: clusters of zeroes are not stored, and are zero") {
    // A page of zeroes that is sent as a whole page covers such clusters.
    auto whole = write_qemu_stream(parse_memory("0-3 number\n 4 fill 1\n 5-7 number"));
    const std::string_view text(reinterpret_cast<const char*>(whole.data()), whole.size());
    const auto fill = text.find(std::string_view("\0\0\0\0\0\0\x40\x22\1", 9)); // address 0x4000, one byte, the same block
    REQUIRE(fill != std::string_view::npos);
    whole[fill + 7] = std::byte{0x28};
    whole.erase(whole.begin() + static_cast<std::ptrdiff_t>(fill) + 8);
    whole.insert(whole.begin() + static_cast<std::ptrdiff_t>(fill) + 8, 4096, std::byte{0});
    const auto image = write_qcow2(whole, {.cluster_bits = 9});
    CHECK(image.file.size() < write_qcow2(std::vector<std::byte>(whole.size(), std::byte{1}), {.cluster_bits = 9}).file.size());
    const OpenFixture fixture(image.file.bytes);
    CHECK(fixture.page(4) == std::vector<std::byte>(4096));
    CHECK(fixture.has_number(3));
    CHECK(fixture.has_number(5));
}

TEST_CASE("qcow2: the size of the disk is the snapshot's; without one it is the image's") {
    check(write_qcow2(stream(), {.disk_now = 900'000'000}));
    check(write_qcow2(stream(), {.version = 2, .snapshots = {{"1", "before", true, 0}}}));
    check(write_qcow2(stream(), {.version = 2, .snapshots = {{"1", "before", true, 8}}}));
    check(write_qcow2(stream(), {.snapshots = {{"1", "before", true, 100}}}));
}

TEST_CASE("qcow2: the last snapshot with a state is taken, and the others are counted") {
    check(write_qcow2(stream(), {.snapshots = {{"1", "a"}, {"2", "the disk", false}, {"3", "b", true, 17}, {"x", "last"}, {"5", "the disk again", false}}}),
          "FILE: the memory is that of snapshot \"last\" (id x), taken at 2023-11-14 22:13:20 UTC; of 2 others with a state of the machine nothing is read");
    check(write_qcow2(stream(), {.snapshots = {{"1", "a"}, {"1", "before"}}}), std::string(taken) + "; of 1 other with a state of the machine nothing is read");
    check(write_qcow2(stream(), {.snapshots = {{std::string(60000, '1'), "", false}, {"1", "before"}}}));
    check(write_qcow2(stream(), {.snapshots = {{"1", std::string(60000, 'n')}}}),
          "FILE: the memory is that of snapshot \"" + std::string(255, 'n') + "\" (id 1), taken at 2023-11-14 22:13:20 UTC");
}

TEST_CASE("qcow2: an image without a state is refused, and the message says where to get one") {
    const std::string advice = "; take one with \"savevm\" (of several disks one has it), or take the dump with \"dump-guest-memory\"";
    CHECK(open_error(write_qcow2({}, {.snapshots = {}}).file.bytes) ==
          "FILE: a qcow2 disk image, without snapshots, in which the state of a machine would be" + advice);
    CHECK(open_error(write_qcow2({}, {.snapshots = {{"1", "a", false}}}).file.bytes) ==
          "FILE: a qcow2 disk image, whose one snapshot has no state of the machine" + advice);
    CHECK(open_error(write_qcow2({}, {.snapshots = {{"1", "a", false}, {"2", "b", false}}}).file.bytes) ==
          "FILE: a qcow2 disk image, none of whose 2 snapshots has a state of the machine" + advice);
}

TEST_CASE("qcow2: what is not read is refused by its name") {
    const auto image = write_qcow2(stream());
    const std::string instead = "; take the dump with \"dump-guest-memory\"";
    CHECK(error_with<uint32_t>(image, 4, 1) == "FILE: a qcow image of version 1; kcrash reads versions 2 and 3");
    CHECK(error_with<uint32_t>(image, 4, 4) == "FILE: a qcow image of version 4; kcrash reads versions 2 and 3");
    CHECK(error_with<uint32_t>(image, 32, 1) == "FILE: a qcow2 image that is encrypted (AES), and its snapshots with it" + instead);
    CHECK(error_with<uint32_t>(image, 32, 2) == "FILE: a qcow2 image that is encrypted (LUKS), and its snapshots with it" + instead);
    CHECK(error_with<uint32_t>(image, 32, 3) == "FILE: a qcow2 image that is encrypted (method 3), and its snapshots with it" + instead);
    CHECK(error_with<uint64_t>(image, 72, 4) == "FILE: a qcow2 image whose data are in another file: it has no snapshots" + instead);
    CHECK(error_with<uint64_t>(image, 72, 0x8000000000000061) == "FILE: a qcow2 image with features that kcrash does not know: 0x8000000000000060" + instead);
    CHECK(error_with<uint64_t>(image, image.state_table + 8, uint64_t{1} << 62 | 0x5000) ==
          "FILE: a qcow2 image with a compressed cluster in the state of the machine, at 0x1000 of it: not read" + instead);
    auto dirty = image; // and compressed with zstd, were anything compressed
    dirty.file.put<uint64_t>(72, 9);
    check(dirty);
    auto corrupt = image;
    corrupt.file.put<uint64_t>(72, 2);
    CHECK(warning_of(OpenFixture(corrupt.file.bytes), 1) == "FILE: QEMU has marked this image as corrupt: not all of it may be right");
    const TemporaryFile one(image.file.bytes), two(image.file.bytes);
    CHECK(error_of([&] { open_dump({one.path(), two.path()}); }, one.path()) == "FILE: the state of a machine is in one image; " + two.path() + " is another dump");
}

TEST_CASE("qcow2: no number of the file is trusted") {
    const auto image = write_qcow2(stream());
    const std::string damaged = "FILE: damaged qcow2 image: ", title = "snapshot \"before\" (id 1)";
    const uint64_t size = image.file.size(), entry = image.snapshots;
    for (const uint32_t bits : {0u, 8u, 22u, 63u, 64u, 0xffffffffu}) CHECK(error_with(image, 20, bits) == damaged + "clusters of 2^" + std::to_string(bits) + " bytes");
    CHECK(error_with<uint64_t>(image, 72, 16) == damaged + "clusters of 2^12 bytes");
    CHECK(error_with<uint32_t>(image, 60, 65537) == damaged + "65537 snapshots");
    CHECK(error_with<uint32_t>(image, 60, 65536).starts_with("FILE: needs 40 bytes at offset 0x"));
    CHECK(error_with<uint64_t>(image, 64, UINT64_MAX) == "FILE: needs 40 bytes at offset 0xffffffffffffffff, the file ends at 0x" + fmt::format("{:x}", size));
    CHECK(error_with<uint32_t>(image, entry + 36, UINT32_MAX).starts_with("FILE: needs 1 bytes at offset 0x"));
    CHECK(error_with<uint64_t>(image, entry + 40, size + 1) == damaged + fmt::format("{} has a state of {} bytes, the file has {}", title, size + 1, size));
    CHECK(error_with<uint64_t>(image, entry + 40, UINT64_MAX).starts_with(damaged + title + " has a state of 18446744073709551615 bytes"));
    CHECK(error_with<uint64_t>(image, entry + 48, UINT64_MAX) == damaged + "the L1 table of " + title + " has 4 entries, its state would be at 8796093022208 to 8796093022208");
    CHECK(error_with<uint32_t>(image, entry + 8, 3) == damaged + "the L1 table of " + title + " has 3 entries, its state would be at 3 to 3");
    CHECK(error_with<uint64_t>(image, entry, 0x1001) == damaged + "the L1 table of " + title + " at 0x1001");
    CHECK(error_with<uint64_t>(image, entry, UINT64_MAX << 12) == damaged + "the L1 table of " + title + " at 0xfffffffffffff000");
    CHECK(error_with<uint64_t>(image, image.state_entry, 0x1200) == damaged + "an L2 table at 0x1200");
    CHECK(error_with<uint64_t>(image, image.state_entry, (size + 0xfff) & ~uint64_t{0xfff}).starts_with("FILE: needs 4096 bytes at offset 0x"));
    CHECK(error_with<uint64_t>(image, image.state_table + 16, 0x1200) == damaged + "the state of the machine at 0x2000 of it is at 0x1200");
    CHECK(error_with<uint64_t>(image, image.state_entry, 0) == damaged + "no QEMU stream begins in the state of " + title);
    for (size_t cut = 1; cut < 72; ++cut) // of the header; of three bytes less it is no image
        CHECK(open_error(std::span(image.file.bytes).first(cut)).starts_with("FILE: "));
}

TEST_CASE("qcow2: tables that lead to themselves or to each other end") {
    const auto small = write_qcow2(stream(), {.cluster_bits = 9}); // 64 clusters in a table, so there are many
    CHECK(error_with<uint64_t>(small, small.state_entry + 8, small.state_table) ==
          fmt::format("FILE: damaged qcow2 image: the L2 table at 0x{:x} occurs twice", small.state_table));
    CHECK(error_with<uint64_t>(small, small.state_entry, small.state_entry & ~uint64_t{0x1ff}).starts_with("FILE: damaged qcow2 image: "));
    CHECK(error_with<uint64_t>(small, small.state_table, small.state_table).starts_with("FILE: damaged qcow2 image: no QEMU stream begins"));
    CHECK(error_with<uint64_t>(small, 64, 0).starts_with("FILE: ")); // the table of snapshots is the header
}

TEST_CASE("qcow2: extended entries that contradict themselves are refused") {
    const auto image = write_qcow2(stream(), {.cluster_bits = 14, .extended = true});
    const uint64_t at = load<uint64_t>(image.file.bytes.data() + image.state_table, ByteOrder::big) & 0x00ffffffffffffff;
    CHECK(error_with<uint64_t>(image, image.state_table + 8, 0x0000000100000001) ==
          fmt::format("FILE: damaged qcow2 image: the state of the machine at 0x0 of it has the bits 0x100000001, and is at 0x{:x}", at));
    CHECK(error_with<uint64_t>(image, image.state_table, 0).starts_with("FILE: damaged qcow2 image: the state of the machine at 0x0 of it has the bits 0x"));
}

TEST_CASE("qcow2: clusters behind the end of the file are lost, and said to be") {
    auto image = write_qcow2(stream(), {.cluster_bits = 16});
    const uint64_t entry = image.state_table + 8; // of the second cluster
    image.file.put<uint64_t>(entry, uint64_t{1} << 40);
    const OpenFixture fixture(image.file.bytes);
    CHECK(warning_of(fixture, 1) == "FILE: truncated: 65536 bytes of the state of the machine lie behind its end");
}
