// SPDX-License-Identifier: GPL-3.0-or-later
// Dumps whose numbers lie: each opens with what is right, or is refused with a clear message; none allocates by a lie.
#include "core/dump/memory_note.hpp"
#include "core/memory/physical_memory.hpp"
#include "tests/fixtures/byte_image.hpp"
#include "tests/fixtures/elf_writer.hpp"
#include "tests/fixtures/flattened_writer.hpp"
#include "tests/fixtures/kdump_writer.hpp"
#include "tests/fixtures/notes_writer.hpp"
#include "tests/fixtures/open_fixture.hpp"
#include <doctest/doctest.h>
#include <fmt/format.h>
#include <functional>
#include <random>

using namespace kcrash;
using namespace kcrash::fixtures;

namespace {

const FixtureMemory memory = parse_memory("0-f number\n 10 excluded\n 20-2f noise");

constexpr size_t version = 8, block_size = 428, sub_blocks = 432, bitmap_blocks = 436;           // of the main header
constexpr size_t vmcoreinfo_at = 4096 + 32, vmcoreinfo_size = 4096 + 40, notes_size = 4096 + 56; // of the sub header
constexpr size_t frames_64 = 4096 + 96, first_descriptor = 4 * 4096;

// A good dump with one number changed.
std::vector<std::byte> with(size_t at, uint64_t value, size_t size) {
    auto bytes = write_kdump(memory);
    std::memcpy(bytes.data() + at, &value, size);
    return bytes;
}

// What a huge file claims must not be read or asked for: that would take longer than the suite may, or more memory than there is. No clock is looked at: machines that run tests are busy.
void at_once(const std::function<void()>& action) { action(); }

// Reads every page, the notes and the memory list, whatever they say.
void use(const Dump& dump) {
    const PhysicalMemory physical(dump, size_t{1} << 20);
    std::vector<std::byte> page(dump.info().page_size);
    for (uint64_t frame = 0; frame < std::min<uint64_t>(dump.info().max_frame, 0x100); ++frame) {
        (void)physical.try_read(PhysicalAddress(frame * dump.info().page_size), page);
        (void)dump.file_offset(PageFrame(frame));
    }
    (void)dump.memory();
}

} // namespace

TEST_CASE("hostile kdump: impossible header fields are refused by name") {
    CHECK(open_error(with(version, 0x12345678, 4)) == "FILE: damaged kdump header: version 0x12345678");
    CHECK(open_error(with(block_size, 0, 4)) == "FILE: damaged kdump header: block size 0 is not a page size");
    CHECK(open_error(with(block_size, 4097, 4)) == "FILE: damaged kdump header: block size 4097 is not a page size");
    CHECK(open_error(with(block_size, 0x80000000, 4)) == "FILE: damaged kdump header: block size 2147483648 is not a page size");
    CHECK(open_error(with(sub_blocks, 0, 4)) == "FILE: damaged kdump header: sub header size of 0 blocks");
    CHECK(open_error(with(sub_blocks, 0xffffffff, 4)) == "FILE: damaged kdump header: sub header size of 4294967295 blocks");
    CHECK(open_error(with(bitmap_blocks, 0, 4)) == "FILE: damaged kdump header: no bitmap");
    CHECK(open_error(with(frames_64, 0, 8)) == "FILE: damaged kdump header: it says that there is no memory");
    CHECK(open_error(with(frames_64, UINT64_MAX, 8)) ==
          "FILE: damaged kdump header: 18446744073709551615 page frames are more than kcrash reads, 1099511627776");
    CHECK(open_error(with(frames_64, uint64_t{1} << 33, 8)) ==
          "FILE: damaged kdump header: the bitmap has 65536 bits for 8589934592 page frames");
    const auto large = with(bitmap_blocks, 0xffffffff, 4);
    CHECK(open_error(large) == fmt::format("FILE: truncated: the headers and bitmaps need {} bytes, the file has {}",
                                           (uint64_t{0xffffffff} + 2) * 4096, large.size()));
}

TEST_CASE("hostile kdump: a newer version than kcrash knows is read with a warning") {
    const OpenFixture fixture(with(version, 7, 4));
    CHECK(warning_of(fixture, 0) == "FILE: header version 7 is newer than kcrash; it is read as version 6");
    CHECK(fixture.has_number(3));
}

TEST_CASE("hostile kdump: texts and notes beyond the file are warnings") {
    for (const size_t at : {vmcoreinfo_at, vmcoreinfo_size, notes_size}) {
        const OpenFixture fixture(with(at, UINT64_MAX - 3, 8));
        CHECK(fixture.has_number(3));
    }
    const OpenFixture fixture(with(notes_size, uint64_t{1} << 40, 8));
    CHECK(warning_of(fixture, 0).starts_with("FILE: the notes at offset 0x1068 need 1099511627776 bytes, "));
}

TEST_CASE("hostile kdump: a page whose descriptor lies is damaged or truncated, and its neighbours are not") {
    struct Case {
        size_t field, size;
        uint64_t value;
        Fault fault;
    };
    const Case cases[] = {{0, 8, UINT64_MAX, Fault::truncated},
                          {0, 8, uint64_t{1} << 62, Fault::truncated},
                          {8, 4, 0, Fault::damaged},
                          {8, 4, 0xffffffff, Fault::damaged},
                          {8, 4, 4097, Fault::damaged},
                          {8, 4, 10, Fault::damaged},
                          {12, 4, 2, Fault::damaged},
                          {12, 4, 4, Fault::damaged},
                          {12, 4, 0x20, Fault::damaged},
                          {12, 4, 3, Fault::damaged},
                          {12, 4, 0, Fault::damaged},
                          {0, 8, 0, Fault::damaged}};
    for (const Case& c : cases) {
        CAPTURE(c.field);
        CAPTURE(c.value);
        const OpenFixture fixture(with(first_descriptor + 24 * 5 + c.field, c.value, c.size));
        CHECK(fixture.fault(5) == c.fault);
        CHECK(fixture.has_number(4));
        CHECK(fixture.has_number(6));
    }
}

TEST_CASE("hostile kdump: page data that inflates to more or less than a page is damaged") {
    for (const Compression method : {Compression::zlib, Compression::lzo, Compression::snappy, Compression::zstd})
        for (const uint64_t other_size : {8192u, 2048u}) {
            KdumpOptions options;
            options.method = method;
            auto bytes = write_kdump(parse_memory("0 number\n 1 zero\n 2 number"), options);
            const auto bomb = *compress(method, std::vector<std::byte>(other_size));
            const uint64_t at = bytes.size();
            bytes.insert(bytes.end(), bomb.begin(), bomb.end());
            const uint32_t size = static_cast<uint32_t>(bomb.size());
            std::memcpy(bytes.data() + first_descriptor + 24, &at, 8);
            std::memcpy(bytes.data() + first_descriptor + 24 + 8, &size, 4);
            const OpenFixture fixture(bytes);
            CHECK(fixture.has_number(0));
            CHECK(fixture.fault(1) == Fault::damaged);
            CHECK(fixture.has_number(2));
        }
}

TEST_CASE("hostile dumps: a file of 8 TiB that is one hole opens or is refused at once") {
    at_once([] {
        const TemporaryFile file(with(notes_size, uint64_t{1} << 42, 8));
        file.resize(uint64_t{1} << 43);
        use(*open_dump({file.path()}));
    });
    at_once([] {
        const TemporaryFile file(with(bitmap_blocks, 0x70000000, 4));
        file.resize(uint64_t{1} << 43);
        use(*open_dump({file.path()}));
    });
    at_once([] {
        auto bytes = with(frames_64, uint64_t{1} << 30, 8); // 4 TiB of memory, a bitmap of 128 MiB
        const uint32_t blocks = 2 << 15;
        std::memcpy(bytes.data() + bitmap_blocks, &blocks, 4);
        const TemporaryFile file(bytes);
        file.resize(uint64_t{1} << 43);
        use(*open_dump({file.path()}));
    });
    at_once([] {
        auto bytes = write_elf(memory);
        const uint64_t size = uint64_t{1} << 42;
        std::memcpy(bytes.data() + segment_offset(bytes, 0) + 32, &size, 8); // the notes' p_filesz
        std::memcpy(bytes.data() + segment_offset(bytes, 1) + 32, &size, 8);
        std::memcpy(bytes.data() + segment_offset(bytes, 1) + 40, &size, 8);
        const TemporaryFile file(bytes);
        file.resize(uint64_t{1} << 43);
        use(*open_dump({file.path()}));
    });
}

TEST_CASE("hostile elf: the kernel's note is not looked for in memory that a header claims and the file does not have") {
    ElfOptions options;
    options.vmcoreinfo = "";
    auto bytes = write_elf(memory, options);
    const uint64_t size = uint64_t{1} << 60;
    std::memcpy(bytes.data() + segment_offset(bytes, 1) + 40, &size, 8); // p_memsz
    const OpenFixture fixture(bytes);
    REQUIRE(fixture.dump->memory().back().end.value > uint64_t{1} << 50);
    NoteSearch search;
    at_once([&] { CHECK_FALSE(find_memory_note(*fixture.dump, search)); });
    CHECK(search.cut);
}

TEST_CASE("hostile flattened: a file of 8 TiB that is one hole behind its header ends the walk at once") {
    ByteImage image = flattened_start();
    put_record(image, 0, write_kdump(memory));
    const TemporaryFile file(image.bytes);
    file.resize(uint64_t{1} << 43);
    at_once([&] {
        const auto dump = open_dump({file.path()});
        CHECK(dump->info().truncated);
        CHECK(dump->info().warnings[0] == fmt::format("{}: damaged record at offset 0x{:x}: what follows it is not read",
                                                            file.path(), image.bytes.size()));
    });
}

TEST_CASE("hostile elf: a hundred thousand note segments that name the same bytes are not all read") {
    FixtureMemory many;
    for (uint64_t frame = 0; frame < 200'000; frame += 2) many.pages[frame].kind = FixturePage::Kind::excluded;
    many.pages[200'000] = {FixturePage::Kind::stored, number_page(200'000), {}};
    auto bytes = write_elf(many);
    const uint64_t notes_at = load<uint64_t>(bytes.data() + segment_offset(bytes, 0) + 8, ByteOrder::little),
                   size = uint64_t{32} << 20;
    for (uint64_t segment = 1; segment < 100'000; ++segment) {
        const uint64_t at = segment_offset(bytes, segment);
        const uint32_t type = 4; // PT_NOTE
        std::memcpy(bytes.data() + at, &type, 4);
        std::memcpy(bytes.data() + at + 8, &notes_at, 8);
        std::memcpy(bytes.data() + at + 32, &size, 8);
    }
    const TemporaryFile file(bytes);
    file.resize(uint64_t{1} << 30);
    at_once([&] { CHECK(open_dump({file.path()})->notes().size() < 10); });
}

TEST_CASE("hostile dumps: random damage never crashes or hangs") {
    const FixtureMemory small =
        parse_memory("0-3 number\n 4 excluded\n 5 number as lzo\n 6 number as snappy\n 7 number as zstd\n 8 zero");
    KdumpOptions options;
    options.notes = {prstatus_note(1)};
    const auto kdump = write_kdump(small, options);
    ElfOptions odd;
    odd.like_qemu = true;
    const std::vector<std::vector<std::byte>> seeds{kdump, write_elf(small), write_elf(small, odd), write_kdump_part(small, 2, 6),
                                                    write_flattened(kdump, {3000, true, true})};
    std::mt19937 random(2024);
    const uint64_t interesting[] = {
        0, 1, 0xff, 0xffff, 0x7fffffff, 0xffffffff, UINT64_MAX, uint64_t{1} << 63, uint64_t{1} << 32, 4096, 4095};
    for (int turn = 0; turn < 2000; ++turn) {
        auto bytes = seeds[static_cast<size_t>(turn) % seeds.size()];
        for (unsigned i = 0; i < 1 + random() % 4; ++i) {
            // Half of the damage goes to the headers, where it hurts.
            const size_t range = random() % 2 ? std::min<size_t>(bytes.size(), 600) : bytes.size();
            const size_t at = random() % range, size = std::min<size_t>(size_t{1} << random() % 4, bytes.size() - at);
            const uint64_t value = random() % 2 ? interesting[random() % std::size(interesting)] : random();
            std::memcpy(bytes.data() + at, &value, size);
        }
        if (random() % 4 == 0) bytes.resize(random() % bytes.size());
        const TemporaryFile file(bytes);
        try {
            use(*open_dump({file.path()}));
        } catch (const Error& error) { CHECK(std::string_view(error.what()).starts_with(file.path())); }
    }
}
