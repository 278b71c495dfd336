// SPDX-License-Identifier: GPL-3.0-or-later
// The page cache.
#include "core/error.hpp"
#include "core/memory/physical_memory.hpp"
#include "tests/fixtures/kdump_writer.hpp"
#include "tests/fixtures/open_fixture.hpp"
#include <atomic>
#include <doctest/doctest.h>
#include <thread>

using namespace kcrash;
using namespace kcrash::fixtures;

namespace {

// A dump that counts what is asked of it; a page's bytes are all its frame number, frames from `end` are not there.
class CountingDump final : public Dump {
public:
    explicit CountingDump(uint64_t end) : end_(end) {}
    Fault try_read_page(PageFrame frame, std::span<std::byte> into) const override {
        ++reads;
        std::fill(into.begin(), into.end(), static_cast<std::byte>(frame.value));
        if (failing) return Fault::damaged; // after the buffer was written to
        return frame.value < end_ ? Fault::none : Fault::excluded;
    }
    std::vector<PhysicalRange> memory() const override { return {}; }
    mutable std::atomic<int> reads{0};
    std::atomic<bool> failing{false};

private:
    uint64_t end_;
};

} // namespace

TEST_CASE("physical memory: a second read of a page does not decompress it again") {
    const CountingDump dump(10);
    const PhysicalMemory memory(dump);
    std::byte bytes[8];
    for (uint64_t at = 0x3000; at < 0x4000; at += 8) CHECK(memory.try_read(PhysicalAddress(at), bytes) == Fault::none);
    CHECK(dump.reads == 1);
    CHECK(bytes[7] == std::byte{3});
}

TEST_CASE("physical memory: a read across pages is filled from each") {
    const CountingDump dump(10);
    const PhysicalMemory memory(dump);
    std::vector<std::byte> bytes(0x2000);
    CHECK(memory.try_read(PhysicalAddress(0x2ff0), bytes) == Fault::none);
    CHECK(bytes[0xf] == std::byte{2});
    CHECK(bytes[0x10] == std::byte{3});
    CHECK(bytes[0x100f] == std::byte{3});
    CHECK(bytes[0x1010] == std::byte{4});
}

TEST_CASE("physical memory: a failed page never enters the cache") {
    CountingDump dump(10);
    const PhysicalMemory memory(dump);
    std::byte byte;
    dump.failing = true;
    CHECK(memory.try_read(PhysicalAddress(0x1000), std::span(&byte, 1)) == Fault::damaged);
    dump.failing = false;
    CHECK(memory.try_read(PhysicalAddress(0x1000), std::span(&byte, 1)) == Fault::none);
    CHECK(byte == std::byte{1});
    CHECK(dump.reads == 2);
}

TEST_CASE("physical memory: an error names the first address that cannot be read, and why") {
    const CountingDump dump(2);
    const PhysicalMemory memory(dump);
    std::vector<std::byte> bytes(0x1000);
    CHECK(error_of([&] { memory.read(PhysicalAddress(0x1800), bytes, "struct page"); }) ==
          "struct page: physical address 0x2000: page excluded from the dump by makedumpfile");
    CHECK(error_of([&] { memory.read(PhysicalAddress(0x2800), bytes); }) ==
          "physical address 0x2800: page excluded from the dump by makedumpfile");
    CHECK(memory.try_read(PhysicalAddress(UINT64_MAX - 10), bytes) == Fault::excluded);
    CHECK(memory.try_read(PhysicalAddress(0x1fff), std::span<std::byte>()) == Fault::none);
}

TEST_CASE("physical memory: a read past the end of all addresses is not a read of address 0") {
    const CountingDump dump(UINT64_MAX);
    const PhysicalMemory memory(dump);
    std::vector<std::byte> bytes(0x1000);
    CHECK(memory.try_read(PhysicalAddress(UINT64_MAX - 10), bytes) == Fault::not_in_dump);
}

TEST_CASE("physical memory: excluded pages are zeroes only on the user's own wish, others never") {
    const OpenFixture fixture(write_kdump(parse_memory("0 number\n 1 excluded\n 3 lost\n 4 number")));
    PhysicalMemory memory(*fixture.dump);
    std::vector<std::byte> bytes(0x2000, std::byte{0xee});
    CHECK(memory.try_read(PhysicalAddress(0), bytes) == Fault::excluded);
    memory.set_zero_excluded(true);
    CHECK(memory.try_read(PhysicalAddress(0), bytes) == Fault::none);
    CHECK(bytes[0x1000] == std::byte{0});
    CHECK(bytes[0x1fff] == std::byte{0});
    CHECK(memory.try_read(PhysicalAddress(0x2000), bytes) == Fault::not_in_dump);
    CHECK(memory.try_read(PhysicalAddress(0x3000), bytes) == Fault::damaged);
    memory.set_zero_excluded(false);
    CHECK(memory.try_read(PhysicalAddress(0), bytes) == Fault::excluded);
}

TEST_CASE("physical memory: the cache is bounded and forgets what was not used") {
    const CountingDump dump(10'000);
    const PhysicalMemory memory(dump, size_t{64} * 4096);
    std::byte byte;
    for (uint64_t frame = 0; frame < 1000; ++frame)
        CHECK(memory.try_read(PhysicalAddress(frame * 4096), std::span(&byte, 1)) == Fault::none);
    CHECK(dump.reads == 1000);
    int again = 0;
    for (uint64_t frame = 0; frame < 1000; ++frame) {
        const int before = dump.reads;
        CHECK(memory.try_read(PhysicalAddress(frame * 4096), std::span(&byte, 1)) == Fault::none);
        CHECK(byte == static_cast<std::byte>(frame));
        again += dump.reads == before;
    }
    CHECK(again <= 64);
}

TEST_CASE("physical memory: many threads read the right bytes through a small cache") {
    const FixtureMemory text = parse_memory(
        "0-3f number as zlib\n 40-7f number as zstd\n 80-bf number as lzo\n c0-ff number as snappy\n 100-1ff excluded");
    const OpenFixture fixture(write_kdump(text));
    const PhysicalMemory memory(*fixture.dump, size_t{32} * 4096);
    std::atomic<int> wrong{0};
    std::vector<std::thread> threads;
    for (uint64_t id = 0; id < 8; ++id)
        threads.emplace_back([&, id] {
            for (uint64_t turn = 0; turn < 4000; ++turn) {
                const uint64_t frame = (turn * 7 + id * 31) % 0x110, word = turn % 500;
                uint64_t value = 0;
                const Fault fault =
                    memory.try_read(PhysicalAddress(frame * 4096 + word * 8), std::as_writable_bytes(std::span(&value, 1)));
                wrong += fault != (frame < 0x100 ? Fault::none : Fault::excluded);
                wrong += fault == Fault::none && value != frame + word;
            }
        });
    for (std::thread& thread : threads) thread.join();
    CHECK(wrong == 0);
}
