// SPDX-License-Identifier: GPL-3.0-or-later
// Reading by virtual address.
#include "core/error.hpp"
#include "core/memory/address_space.hpp"
#include "tests/fixtures/kdump_writer.hpp"
#include "tests/fixtures/open_fixture.hpp"
#include <atomic>
#include <cstring>
#include <doctest/doctest.h>
#include <thread>

using namespace kcrash;
using namespace kcrash::fixtures;

namespace {

// 0x10000-0x1ffff: 4 kB pages in reverse order; 0x20000000: one mapping of 2 MB at physical 0.
class TestTranslator final : public Translator {
public:
    explicit TestTranslator(std::atomic<int>& walks) : walks_(walks) {}
    Fault try_translate(VirtualAddress at, Translation& result) const override {
        ++walks_;
        if (at.value >= 0x10000 && at.value < 0x20000) {
            result = {PhysicalAddress((0x1f - (at.value >> 12)) << 12 | (at.value & 0xfff)), 4096, 1};
            return Fault::none;
        }
        if (at.value >> 21 == 0x20000000 >> 21) {
            result = {PhysicalAddress(at.value & 0x1fffff), 0x200000, 0x80};
            return Fault::none;
        }
        return at.value >> 47 ? Fault::noncanonical : Fault::no_mapping;
    }
    Walk walk(VirtualAddress) const override { return {}; }
    PhysicalAddress root() const override { return PhysicalAddress(0x1000); }

private:
    std::atomic<int>& walks_;
};

struct Fixture {
    OpenFixture opened{write_kdump(
        parse_memory("0-a number\n b excluded\n c-f number\n 10 text short\n 11 fill 41\n 12 excluded\n 13 fill 42"))};
    PhysicalMemory memory{*opened.dump};
    std::atomic<int> walks{0};
    AddressSpace space{memory, std::make_unique<TestTranslator>(walks), ByteOrder::little, "kernel virtual"};
};

} // namespace

TEST_CASE("address space: a read follows its pages wherever they lie") {
    Fixture f;
    CHECK(f.space.u64(VirtualAddress(0x10000)) == 0xf);
    CHECK(f.space.u64(VirtualAddress(0x1f008)) == 1);
    std::vector<std::byte> bytes(16);
    f.space.read(VirtualAddress(0x11ff8), bytes);
    CHECK(load<uint64_t>(bytes.data(), ByteOrder::little) == 0xe + 511);
    CHECK(load<uint64_t>(bytes.data() + 8, ByteOrder::little) == 0xd);
    CHECK(f.space.translate(VirtualAddress(0x20001234)).value == 0x1234);
}

TEST_CASE("address space: translations are kept, one for all of a large mapping") {
    Fixture f;
    for (uint64_t at = 0x20000000; at < 0x2000a000; at += 512) (void)f.space.u64(VirtualAddress(at));
    CHECK(f.walks == 1);
    CHECK(f.space.u64(VirtualAddress(0x20003008)) == 4);
    for (uint64_t at = 0x10000; at < 0x12000; at += 512) (void)f.space.u64(VirtualAddress(at));
    CHECK(f.walks == 3);
    Translation where;
    CHECK(f.space.try_translate(VirtualAddress(0x20003456), where) == Fault::none);
    CHECK(where.physical.value == 0x3456);
    CHECK(where.page_size == 0x200000);
    CHECK(where.entry == 0x80);
}

TEST_CASE("address space: an error names the space, the first unreadable address and the reason") {
    Fixture f;
    std::vector<std::byte> bytes(0x2000);
    CHECK(error_of([&] { f.space.read(VirtualAddress(0x2000a800), bytes, "task_struct.comm"); }) ==
          "task_struct.comm: kernel virtual address 0x2000b000: page excluded from the dump by makedumpfile");
    CHECK(error_of([&] { f.space.read(VirtualAddress(0x1f800), bytes); }) ==
          "kernel virtual address 0x20000: no mapping in the page tables");
    CHECK(error_of([&] { (void)f.space.translate(VirtualAddress(uint64_t{1} << 50)); }) ==
          "kernel virtual address 0x4000000000000: not a valid virtual address");
    uint32_t value = 7;
    CHECK(f.space.try_load(VirtualAddress(0x40000000), value) == Fault::no_mapping);
    CHECK(value == 7);
}

TEST_CASE("address space: a string ends at its NUL, at the limit, or before the first unreadable page") {
    Fixture f;
    CHECK(f.space.string(VirtualAddress(0x20010000), 100) == "short");
    CHECK(f.space.string(VirtualAddress(0x20010000), 3) == "sho");
    CHECK(f.space.string(VirtualAddress(0x20010005), 100).empty());
    CHECK(f.space.string(VirtualAddress(0x20011ff0), 100) == std::string(16, 'A'));
    CHECK(f.space.string(VirtualAddress(0x20011000), 300) == std::string(300, 'A'));
    CHECK(error_of([&] { (void)f.space.string(VirtualAddress(0x20012000), 100, "comm"); }) ==
          "comm: kernel virtual address 0x20012000: page excluded from the dump by makedumpfile");
}

TEST_CASE("address space: the end of the address space is an end") {
    class Everything final : public Translator {
    public:
        Fault try_translate(VirtualAddress at, Translation& result) const override {
            result = {PhysicalAddress(at.value & 0xfff), 4096, 1};
            return Fault::none;
        }
        Walk walk(VirtualAddress) const override { return {}; }
        PhysicalAddress root() const override { return PhysicalAddress(0); }
    };
    Fixture f;
    const AddressSpace space(f.memory, std::make_unique<Everything>(), ByteOrder::little, "kernel virtual");
    std::byte bytes[16];
    CHECK(space.try_read(VirtualAddress(UINT64_MAX - 15), bytes) == Fault::none);
    CHECK(space.try_read(VirtualAddress(UINT64_MAX - 14), bytes) == Fault::noncanonical);
}

TEST_CASE("address space: many threads read the right bytes") {
    Fixture f;
    std::atomic<int> wrong{0};
    std::vector<std::thread> threads;
    for (uint64_t id = 0; id < 8; ++id)
        threads.emplace_back([&, id] {
            for (uint64_t turn = 0; turn < 5000; ++turn) {
                const uint64_t page = (turn * 5 + id) % 16, word = turn % 512;
                uint64_t value = 0;
                const Fault fault = f.space.try_load(VirtualAddress(0x10000 + page * 4096 + word * 8), value);
                wrong += fault != (page == 4 ? Fault::excluded : Fault::none);
                wrong += fault == Fault::none && value != 15 - page + word;
            }
        });
    for (std::thread& thread : threads) thread.join();
    CHECK(wrong == 0);
}
