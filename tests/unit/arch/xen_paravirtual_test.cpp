// SPDX-License-Identifier: GPL-3.0-or-later
// The page tables of a paravirtual domain of Xen, which hold the machine's frames.
#include "arch/architecture.hpp"
#include "core/memory/address_space.hpp"
#include "core/memory/physical_memory.hpp"
#include "tests/fixtures/open_fixture.hpp"
#include "tests/fixtures/xen_writer.hpp"
#include <doctest/doctest.h>
#include <elf.h>

using namespace kcrash;
using namespace kcrash::fixtures;

namespace {

constexpr uint64_t machine_offset = 0x5000; // frames: as write_xen() says

struct Facts final : KernelFacts {
    const Dump& dump;
    bool base_told;
    Facts(const Dump& d, bool told) : dump(d), base_told(told) {}
    std::optional<uint64_t> number(std::string_view name) const override {
        return base_told && name == "phys_base" ? std::optional<uint64_t>(0) : std::nullopt;
    }
    std::optional<uint64_t> symbol(std::string_view name) const override {
        return name == "init_top_pgt" ? std::optional<uint64_t>(0xffffffff80008000) : std::nullopt;
    }
    std::optional<uint64_t> option(std::string_view) const override { return std::nullopt; }
    std::span<const Note> notes() const override { return dump.notes(); }
};

// The kernel's top table is frame 8; the page at ffff888000003000 is frame 20.
FixtureMemory with_tables() {
    FixtureMemory memory = parse_memory("0-7 number\n 8-b zero\n 20-21 number");
    const auto entry = [&](uint64_t table, uint64_t index, uint64_t frame, uint64_t flags) {
        const uint64_t value = (frame + machine_offset) << 12 | flags;
        for (unsigned i = 0; i < 8; ++i) memory.pages.at(table).bytes[index * 8 + i] = static_cast<std::byte>(value >> 8 * i);
    };
    constexpr uint64_t table = 0x67, page = 0x163;
    entry(8, 0x111, 9, table);
    entry(9, 0, 0xa, table);
    entry(0xa, 0, 0xb, table);
    entry(0xb, 3, 0x20, page);
    entry(0xb, 4, 0x99, page); // a frame of another domain
    entry(9, 1, 0x99, table);
    return memory;
}

} // namespace

TEST_CASE("Xen paravirtual: page tables are walked by the machine's frames, from VMCOREINFO's root or from cr3") {
    std::vector<CpuWords> states(1);
    states[0].cr3 = (8 + machine_offset) << 12;
    const OpenFixture fixture(write_xen(with_tables(), {.paravirtual = true, .shuffled = true, .states = states}));
    const Architecture& arch = *find_architecture(EM_X86_64, ByteOrder::little, 8);
    const PhysicalMemory memory(*fixture.dump);
    for (const bool told : {true, false}) {
        CAPTURE(told);
        const Facts facts(*fixture.dump, told);
        const auto translator = arch.kernel_translator(memory, facts);
        CHECK(translator->root().value == 0x8000);
        const AddressSpace space(memory, arch.kernel_translator(memory, facts), arch.order, "kernel virtual");
        std::vector<std::byte> page(4096);
        CHECK(space.try_read(VirtualAddress(0xffff888000003000), page) == Fault::none);
        CHECK(page == number_page(0x20));
        Translation result;
        CHECK(translator->try_translate(VirtualAddress(0xffff888000003123), result) == Fault::none);
        CHECK(result.physical.value == 0x20123);
        CHECK(translator->try_translate(VirtualAddress(0xffff888000004000), result) == Fault::not_in_dump);
        CHECK(translator->try_translate(VirtualAddress(0xffff888040000000), result) == Fault::not_in_dump);
        CHECK(translator->try_translate(VirtualAddress(0xffff888000005000), result) == Fault::no_mapping);
    }
}
