// SPDX-License-Identifier: GPL-3.0-or-later
#include "symbols/symbol_image.hpp"
#include "symbols/symbols.hpp"
#include <doctest/doctest.h>

using namespace kcrash;

namespace {

struct Given { uint64_t address, size; const char* name; char type; };

std::shared_ptr<const SymbolTable> table(std::initializer_list<Given> symbols) {
    SymbolImageBuilder builder;
    for (const Given& s : symbols) builder.add(s.address, s.size, s.name, s.type);
    return open_symbol_image(own_bytes(builder.build()), 0, "test");
}

constexpr uint64_t base = 0xffffffff81000000, module_base = 0xffffffffc0000000;

Symbols example() {
    LoadedModule nfs;
    nfs.name = "nfs";
    nfs.ranges = {{module_base, module_base + 0x1000, 't'}, {module_base + 0x2000, module_base + 0x3000, 'd'}};
    nfs.symbols = table({{module_base + 0x100, 0x20, "nfs_open", 't'}, {module_base + 0x200, 0, "nfs_close", 't'}, {module_base + 0x2100, 8, "schedule", 'd'}});
    return {table({{0x20, 8, "runqueues", 'D'},
                   {base, 0, "_text", 'T'},
                   {base, 0, "_stext", 'T'},
                   {base, 0x40, "startup_64", 'T'},
                   {base + 0x40, 0x40, "__do_sys_pause", 't'},
                   {base + 0x40, 0x40, "__x64_sys_pause", 'T'},
                   {base + 0x80, 0x100, "entry", 'T'},
                   {base + 0xa0, 0, "entry_after_hwframe", 'T'},
                   {base + 0x200, 0x80, "schedule", 'T'},
                   {base + 0x300, 0, "_etext", 'T'},
                   {base + 0x400, 8, "jiffies", 'D'},
                   {base + 0x1000, 0, "_end", 'B'}}),
            {nfs}};
}

} // namespace

TEST_CASE("symbols: an address is named by the symbol that holds it") {
    const Symbols symbols = example();
    CHECK(symbols.describe(base + 0x204) == "schedule+4");
    CHECK(symbols.describe(base + 0x200) == "schedule");
    CHECK(symbols.describe(base + 0x27f) == "schedule+127");
    CHECK(symbols.describe(base + 0x280).empty());
    CHECK(symbols.describe(base + 0x407) == "jiffies+7");
    CHECK(symbols.describe(base + 0x408).empty());
}

TEST_CASE("symbols: of aliases the one with a size, then the global one, then the first") {
    const Symbols symbols = example();
    CHECK(symbols.describe(base) == "startup_64");
    CHECK(symbols.describe(base + 0x44) == "__x64_sys_pause+4");
}

TEST_CASE("symbols: of many aliases without a size the first is the name") {
    const Symbols symbols({table({{base, 0, "handle_exception", 'T'}, {base, 0, "__entry_text_end", 'T'}, {base, 0, "__entry_text_start", 'T'},
                                  {base, 0, "__irqentry_text_start", 'T'}, {base + 0x100, 0, "_etext", 'T'}})},
                          {});
    CHECK(symbols.describe(base) == "handle_exception");
    CHECK(symbols.describe(base + 0x20) == "handle_exception+32");
}

TEST_CASE("symbols: the assembler's marks name nothing") {
    SymbolImageBuilder builder;
    builder.add(base, 0x4000, "kjournald2", 't');
    for (uint64_t i = 0; i < 1000; ++i) builder.add(base + 4 * i, 0, ".LVL", 't');
    builder.add(base + 0x1000, 0, "L0\1", 't');
    builder.add(base + 0x5000, 0, "bare", 't');
    builder.add(base + 0x5004, 0, ".LBB1", 't');
    builder.add(base + 0x6000, 0, "_etext", 'T');
    const Symbols symbols(open_symbol_image(own_bytes(builder.build()), 0, "test"), {});
    CHECK(symbols.describe(base + 0x1000) == "kjournald2+4096");
    CHECK(symbols.describe(base + 0x5008) == "bare+8");
}

TEST_CASE("symbols: a label inside a function names what follows it up to the next symbol") {
    const Symbols symbols = example();
    CHECK(symbols.describe(base + 0x90) == "entry+16");
    CHECK(symbols.describe(base + 0xa4) == "entry_after_hwframe+4");
}

TEST_CASE("symbols: nothing outside of the kernel and its modules has a name") {
    const Symbols symbols = example();
    CHECK(symbols.describe(0x20).empty());
    CHECK(symbols.describe(base - 1).empty());
    CHECK(symbols.describe(base + 0x1000).empty());
    CHECK(symbols.describe(module_base + 0x1800).empty());
    CHECK(symbols.describe(~uint64_t{0}).empty());
}

TEST_CASE("symbols: modules") {
    const Symbols symbols = example();
    CHECK(symbols.describe(module_base + 0x104) == "nfs_open+4 [nfs]");
    CHECK(symbols.describe(module_base + 0x104, false) == "nfs_open+4");
    CHECK(symbols.describe(module_base + 0x210) == "nfs_close+16 [nfs]");
    CHECK(symbols.describe(module_base + 0x2000).empty()); // text does not reach into data
    REQUIRE(symbols.module_of(module_base + 0x2fff));
    CHECK(symbols.module_of(module_base + 0x2fff)->name == "nfs");
    CHECK(symbols.module_of(module_base + 0x3000) == nullptr);
    CHECK(symbols.is_text(module_base + 0x104));
    CHECK_FALSE(symbols.is_text(module_base + 0x2100));
    CHECK(symbols.is_text(base + 0x204));
    CHECK_FALSE(symbols.is_text(base + 0x400));
}

TEST_CASE("symbols: by name the kernel's come first") {
    const Symbols symbols = example();
    REQUIRE(symbols.find("schedule"));
    CHECK(symbols.find("schedule")->symbol.address == base + 0x200);
    CHECK(symbols.find_all("schedule").size() == 2);
    CHECK(symbols.address("runqueues") == 0x20);
    CHECK_FALSE(symbols.find("nothing"));
}

TEST_CASE("symbol image: equal addresses keep their order, equal names ascend") {
    const auto made = table({{3, 0, "c", 't'}, {1, 0, "first", 't'}, {1, 0, "second", 't'}, {2, 0, "c", 't'}});
    CHECK(made->at(0).name == "first");
    CHECK(made->at(1).name == "second");
    CHECK(made->find("c") == std::vector<size_t>{2, 3});
    CHECK(made->first_above(1) == 2);
    CHECK(made->first_above(3) == 4);
}

TEST_CASE("symbol image: an empty table answers") {
    const auto made = table({});
    CHECK(made->size() == 0);
    CHECK(made->find("x").empty());
    CHECK(made->first_above(5) == 0);
}
