// SPDX-License-Identifier: GPL-3.0-or-later
// Page walks of x86_64 over tables written as text: "physical address: entry", all hexadecimal.
#include "arch/architecture.hpp"
#include "arch/page_table.hpp"
#include <cstring>
#include <doctest/doctest.h>
#include <map>
#include <sstream>

using namespace kcrash;

namespace {

// Physical memory made of the 8-byte words of a text; every other page is not in the dump.
class TextDump final : public Dump {
public:
    explicit TextDump(const char* text) {
        std::istringstream lines(text);
        std::string at, value;
        while (lines >> at >> value) {
            const uint64_t address = std::stoull(at, nullptr, 16), word = std::stoull(value, nullptr, 16);
            auto& page = pages_.try_emplace(address / 4096, 4096).first->second;
            std::memcpy(page.data() + address % 4096, &word, 8);
        }
        info_.page_size = 4096;
    }
    Fault try_read_page(PageFrame frame, std::span<std::byte> into) const override {
        const auto it = pages_.find(frame.value);
        if (it == pages_.end()) return Fault::not_in_dump;
        std::memcpy(into.data(), it->second.data(), into.size());
        return Fault::none;
    }
    std::vector<PhysicalRange> memory() const override { return {}; }

private:
    std::map<uint64_t, std::vector<std::byte>> pages_;
};

struct Facts final : KernelFacts {
    std::map<std::string, uint64_t, std::less<>> numbers, symbols;
    std::vector<Note> the_notes;
    static std::optional<uint64_t> look(const std::map<std::string, uint64_t, std::less<>>& in, std::string_view name) {
        const auto it = in.find(name);
        return it == in.end() ? std::nullopt : std::optional(it->second);
    }
    std::optional<uint64_t> number(std::string_view name) const override { return look(numbers, name); }
    std::optional<uint64_t> symbol(std::string_view name) const override { return look(symbols, name); }
    std::optional<uint64_t> option(std::string_view) const override { return std::nullopt; }
    std::span<const Note> notes() const override { return the_notes; }
};

const Architecture& x86_64() { return *find_architecture(62, ByteOrder::little, 8); }

// What a walk gave, in one line: "physical 0x..., page 0x..." or the fault's name.
std::string walk(const char* text, uint64_t address, Facts facts = {}, uint64_t root = 0x1000) {
    const TextDump dump(text);
    const PhysicalMemory memory(dump);
    const auto translator = x86_64().user_translator(memory, facts, PhysicalAddress{root});
    Translation result;
    const Fault fault = translator->try_translate(VirtualAddress{address}, result);
    if (fault != Fault::none) return std::string(name(fault));
    std::ostringstream out;
    out << std::hex << "physical 0x" << result.physical.value << ", page 0x" << result.page_size;
    return out.str();
}

// Virtual 0xffff888000000000 + x: PGD index 0x111, PUD index 0.
constexpr const char* four_levels = R"(
    1888 2067
    2000 3067
    2008 80000000c00000e3
    3000 4067
    3008 80000000002000e3
    4000 8000000000abc063
)";

} // namespace

TEST_CASE("x86_64: four levels end in a 4 KB page") {
    CHECK(walk(four_levels, 0xffff888000000123) == "physical 0xabc123, page 0x1000");
}

TEST_CASE("x86_64: a PMD entry with PS is a 2 MB page") {
    CHECK(walk(four_levels, 0xffff888000212345) == "physical 0x212345, page 0x200000");
}

TEST_CASE("x86_64: a PUD entry with PS is a 1 GB page") {
    CHECK(walk(four_levels, 0xffff888040000010) == "physical 0xc0000010, page 0x40000000");
}

TEST_CASE("x86_64: an empty entry is no mapping, an address with a broken sign is noncanonical") {
    CHECK(walk(four_levels, 0xffff888000001000) == "no-mapping");
    CHECK(walk(four_levels, 0x0000888000000000) == "noncanonical");
}

TEST_CASE("x86_64: a table outside of the dump is an error, not zeroes") {
    CHECK(walk("1888 7777067", 0xffff888000000000) == "not-in-dump");
}

TEST_CASE("x86_64: five levels when vmcoreinfo says so") {
    Facts facts;
    facts.numbers["pgtable_l5_enabled"] = 1;
    // 0xff11000000000000: PGD index 0x111, P4D 0, PUD 0, PMD 0, PTE 0
    const char* text = "1888 2067  2000 3067  3000 4067  4000 5067  5000 8000000000abc063";
    CHECK(walk(text, 0xff11000000000123, facts) == "physical 0xabc123, page 0x1000");
}

TEST_CASE("x86_64: PROT_NONE pages are there, stored plain or inverted") {
    // Plain (before v4.18): PFN 0xabc, bit 8. Inverted since: all address bits flipped.
    CHECK(walk("1888 2067 2000 3067 3000 4067 4000 abc120", 0xffff888000000000) == "physical 0xabc000, page 0x1000");
    const uint64_t inverted = (0xabc000 ^ 0x000ffffffffff000) | 0x120;
    std::ostringstream text;
    text << "1888 2067 2000 3067 3000 4067 4000 " << std::hex << inverted;
    CHECK(walk(text.str().c_str(), 0xffff888000000000) == "physical 0xabc000, page 0x1000");
}

TEST_CASE("x86_64: an entry without P and without the PROT_NONE bit is in swap") {
    CHECK(walk("1000 2067 2000 3067 3000 4067 4000 0fffffffffe00400", 0) == "swapped");
}

TEST_CASE("x86_64: the kernel's own half has no swap: freed init memory is not mapped") {
    CHECK(walk("1888 2067 2000 3067 3000 4067 4000 8000000000abc062", 0xffff888000000000) == "no-mapping");
}

TEST_CASE("x86_64: the memory encryption bit is no part of an address") {
    Facts facts;
    facts.numbers["sme_mask"] = uint64_t{1} << 47;
    const char* text = "1888 800000002067 2000 800000003067 3000 800000004067 4000 8000800000abc063";
    CHECK(walk(text, 0xffff888000000000, facts) == "physical 0xabc000, page 0x1000");
}

TEST_CASE("x86_64: a 512 GB page does not exist: the entry is invalid") {
    CHECK(walk("1888 20e7", 0xffff888000000000) == "bad-table");
}

TEST_CASE("x86_64: tables that point at themselves end at the last level") {
    CHECK(walk("1888 1067 1000 1067", 0xffff888000000000) == "physical 0x1000, page 0x1000");
    CHECK(walk("1000 1067", 0) == "physical 0x1000, page 0x1000");
}

TEST_CASE("x86_64: the kernel's tables are found through phys_base, or through QEMU's cr3") {
    const TextDump dump("2000 0");
    const PhysicalMemory memory(dump);
    Facts facts;
    facts.symbols["swapper_pg_dir"] = 0xffffffff82a10000;
    facts.numbers["phys_base"] = static_cast<uint64_t>(-0x1000000);
    CHECK(x86_64().kernel_translator(memory, facts)->root().value == 0x1a10000);
    Facts qemu;
    Note note{"QEMU", 0, std::vector<std::byte>(440)};
    const uint64_t cr3 = 0x1234000 | 0x1000 | 0x5; // the user half and a PCID
    std::memcpy(note.description.data() + 8 + 18 * 8 + 10 * 24 + 3 * 8, &cr3, 8);
    qemu.the_notes.push_back(note);
    CHECK(x86_64().kernel_translator(memory, qemu)->root().value == 0x1234000);
    CHECK_THROWS_WITH(x86_64().kernel_translator(memory, Facts{}),
                      "cannot find the kernel's page tables: the dump has no SYMBOL(swapper_pg_dir) in its vmcoreinfo; give it with "
                      "-m phys_base=ADDRESS");
}
