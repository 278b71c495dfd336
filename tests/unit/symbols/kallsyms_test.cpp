// SPDX-License-Identifier: GPL-3.0-or-later
// kallsyms written value by value, in each way in which kernels have written addresses.
#include "core/error.hpp"
#include "symbols/sources.hpp"
#include "tests/fixtures/open_fixture.hpp"
#include "tests/fixtures/word_memory.hpp"
#include <doctest/doctest.h>
#include <fmt/format.h>

using namespace kcrash;
using fixtures::error_of;
using fixtures::WordMemory;

namespace {

constexpr uint64_t names = 0xffffffff82000000, count_at = 0xffffffff82100000, table = 0xffffffff82110000, token_index = 0xffffffff82120000,
                   offsets = 0xffffffff82130000, base_at = 0xffffffff82140000, text = 0xffffffff81000000;

struct Facts final : KernelFacts {
    explicit Facts(const VmcoreInfo& given) : info(given) {}
    std::optional<uint64_t> number(std::string_view) const override { return std::nullopt; }
    std::optional<uint64_t> symbol(std::string_view name) const override { return info.symbol(name); }
    std::optional<uint64_t> option(std::string_view) const override { return std::nullopt; }
    std::span<const Note> notes() const override { return {}; }
    const VmcoreInfo& info;
};

struct Given { uint64_t address; std::string name; };
const std::vector<Given> kernel{{0x20, "Arunqueues"}, {text, "T_text"}, {text, "T_stext"}, {text + 0x40, "tschedule"}, {text + 0x80, "tschedule_long"}};

// Each token is its own letter, but for token 1, which is "schedule".
void put_names(WordMemory& memory, const std::vector<Given>& symbols) {
    uint64_t at = names, text_at = 0;
    for (const Given& symbol : symbols) {
        std::string packed = symbol.name;
        if (const size_t found = packed.find("schedule"); found != std::string::npos) packed.replace(found, 8, "\1");
        if (packed.size() > 127) memory.put(at++, (packed.size() & 0x7f) | 0x80, 1), memory.put(at++, packed.size() >> 7, 1);
        else memory.put(at++, packed.size(), 1);
        for (const char c : packed) memory.put(at++, static_cast<unsigned char>(c), 1);
    }
    memory.put(count_at, symbols.size(), 4);
    for (unsigned token = 0; token < 256; ++token) {
        memory.put(token_index + 2 * token, text_at, 2);
        const std::string piece = token == 1 ? "schedule" : std::string(1, static_cast<char>(token));
        for (const char c : piece) memory.put(table + text_at++, static_cast<unsigned char>(c), 1);
        memory.put(table + text_at++, 0, 1);
    }
}

std::string places(std::string_view more) {
    return fmt::format("SYMBOL(kallsyms_names)={:x}\nSYMBOL(kallsyms_num_syms)={:x}\nSYMBOL(kallsyms_token_table)={:x}\nSYMBOL(kallsyms_token_index)={:x}\n{}", names,
                       count_at, table, token_index, more);
}
std::string relative(bool with_base) {
    return places(fmt::format("SYMBOL(kallsyms_offsets)={:x}\n{}SYMBOL(_stext)={:x}\n", offsets,
                              with_base ? fmt::format("SYMBOL(kallsyms_relative_base)={:x}\n", base_at) : "", text));
}

std::string read(const WordMemory& memory, const std::string& info_text, unsigned word_size = 8) {
    const VmcoreInfo info(info_text);
    const Facts facts(info);
    const auto found = read_kallsyms(memory.space(), info, facts, word_size);
    if (!found) return "none";
    std::string all;
    for (size_t i = 0; i < found->size(); ++i) all += fmt::format("{:x} {} {}\n", found->at(i).address, found->at(i).type, found->at(i).name);
    return all;
}

const std::string expected = "20 A runqueues\nffffffff81000000 T _text\nffffffff81000000 T _stext\nffffffff81000040 t schedule\nffffffff81000080 t schedule_long\n";

} // namespace

TEST_CASE("kallsyms: per-cpu symbols are absolute, others count down from the base") {
    WordMemory memory;
    put_names(memory, kernel);
    memory.put(base_at, text);
    for (size_t i = 0; i < kernel.size(); ++i)
        memory.put(offsets + 4 * i, kernel[i].address < text ? kernel[i].address : text - 1 - kernel[i].address, 4);
    CHECK(read(memory, relative(true)) == expected);
}

TEST_CASE("kallsyms: offsets from the base") {
    WordMemory memory;
    const std::vector<Given> symbols(kernel.begin() + 1, kernel.end());
    put_names(memory, symbols);
    memory.put(base_at, text);
    for (size_t i = 0; i < symbols.size(); ++i) memory.put(offsets + 4 * i, symbols[i].address - text, 4);
    CHECK("20 A runqueues\n" + read(memory, relative(true)) == expected);
}

TEST_CASE("kallsyms: offsets from where they stand") {
    WordMemory memory;
    const std::vector<Given> symbols(kernel.begin() + 1, kernel.end());
    put_names(memory, symbols);
    for (size_t i = 0; i < symbols.size(); ++i) memory.put(offsets + 4 * i, symbols[i].address - (offsets + 4 * i), 4);
    CHECK("20 A runqueues\n" + read(memory, relative(false)) == expected);
}

TEST_CASE("kallsyms: whole addresses") {
    WordMemory memory;
    put_names(memory, kernel);
    for (size_t i = 0; i < kernel.size(); ++i) memory.put(offsets + 8 * i, kernel[i].address);
    CHECK(read(memory, places(fmt::format("SYMBOL(kallsyms_addresses)={:x}\nSYMBOL(_stext)={:x}\n", offsets, text))) == expected);
}

TEST_CASE("kallsyms: a 32-bit kernel's whole addresses have four bytes") {
    WordMemory memory;
    put_names(memory, {{0xc1000000, "T_stext"}, {0xc1000040, "tschedule"}});
    memory.put(offsets, 0xc1000000, 4);
    memory.put(offsets + 4, 0xc1000040, 4);
    memory.put(offsets + 8, 0xdeadbeef, 4);
    const std::string info = places(fmt::format("SYMBOL(kallsyms_addresses)={:x}\nSYMBOL(_stext)=c1000000\n", offsets));
    CHECK(read(memory, info, 4) == "c1000000 T _stext\nc1000040 t schedule\n");
}

TEST_CASE("kallsyms: a 32-bit kernel's base has four bytes, and its addresses wrap at 4 GB") {
    WordMemory memory;
    put_names(memory, {{0, "T_stext"}, {0, "tschedule"}});
    memory.put(base_at, 0xc1000000, 4);
    memory.put(base_at + 4, 0xdeadbeef, 4);
    memory.put(offsets, 0, 4);
    memory.put(offsets + 4, 0x40, 4);
    const std::string info = places(fmt::format("SYMBOL(kallsyms_offsets)={:x}\nSYMBOL(kallsyms_relative_base)={:x}\nSYMBOL(_stext)=c1000000\n", offsets, base_at));
    CHECK(read(memory, info, 4) == "c1000000 T _stext\nc1000040 t schedule\n");
}

TEST_CASE("kallsyms: a name whose length takes two bytes") {
    WordMemory memory;
    const std::string name(300, 'x');
    put_names(memory, {{text, "T" + name}, {text + 8, "Tnext"}});
    for (size_t i = 0; i < 2; ++i) memory.put(offsets + 8 * i, text + 8 * i);
    CHECK(read(memory, places(fmt::format("SYMBOL(kallsyms_addresses)={:x}\n", offsets))) ==
          "ffffffff81000000 T " + name + "\nffffffff81000008 T next\n");
}

TEST_CASE("kallsyms: a kernel that does not say where they are") {
    const WordMemory memory;
    CHECK(read(memory, "SYMBOL(_stext)=ffffffff81000000\n") == "none");
}

TEST_CASE("kallsyms: damage has a name") {
    WordMemory memory;
    put_names(memory, kernel);
    memory.put(base_at, text);
    for (size_t i = 0; i < kernel.size(); ++i) memory.put(offsets + 4 * i, 0x123, 4);
    CHECK(error_of([&] { read(memory, relative(true)); }) == "kallsyms: its offsets do not put _stext at 0xffffffff81000000, where vmcoreinfo has it");
    WordMemory many;
    put_names(many, kernel);
    many.put(count_at, 0xffffffff, 4);
    CHECK(error_of([&] { read(many, relative(true)); }) == "kallsyms_num_syms at 0xffffffff82100000 is 4294967295: impossible");
    const WordMemory nothing;
    CHECK(error_of([&] { read(nothing, relative(true)); }) ==
          "kallsyms_num_syms: kernel virtual address 0xffffffff82100000: page excluded from the dump by makedumpfile");
    WordMemory endless;
    put_names(endless, kernel);
    endless.put(count_at, 0xffffff, 4); // more than there are: the names run into a page that is not there
    CHECK(error_of([&] { read(endless, relative(true)); }).find("kallsyms_names") == 0);
}
