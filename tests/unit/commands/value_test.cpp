// SPDX-License-Identifier: GPL-3.0-or-later
// Each expected text is what gdb 13 printed for the same bytes in a C program ("set print pretty on").
#include "commands/value.hpp"
#include "tests/fixtures/kernel.hpp"
#include <doctest/doctest.h>

using namespace kcrash;

namespace {

constexpr const char* types = R"(
    int 'long unsigned int' 8 unsigned
    int int 4 signed
    int char 1 signed
    int 'unsigned char' 1 unsigned
    int _Bool 1 bool
    array 3 8
    enum flags 4 FA=1 FB=2 FC=8
    enum color 4 RED=0 GREEN=5
    array 2 4
    struct pair 8 x:2:0 y:2:32
    array 10 2
    struct empty 0
    ptr 3
    ptr 10
    proto 2 _:14
    ptr 15
    struct all 128 text:6:0 fl:7:64 col:8:96 nums:9:128 pairs:11:256 none:12:384 str:13:384 fn:16:448 sc:3:512 uc:4:520 yes:5:528 low:2:536:3 _:18:576 name:20:704
    struct _ 16 in:1:0 pr:10:64
    array 2 300
    array 3 0
    array 10 0
    var all 17
    array 10 2
    struct holes 8192 near:2:0 at_end:10:65472
    var holes 24
    array 3 300
)";

constexpr uint64_t all = fixtures::Kernel::data, text = all + 0x100, big = all + 0x400, holes = all + 0x2000;

struct Fixture {
    fixtures::Kernel kernel{types};
    std::unique_ptr<Target> target;
    Fixture() {
        kernel.symbol("all", all, 128);
        kernel.symbol("holes", holes, 8192);
        kernel.symbol("open_it", fixtures::Kernel::text + 0x40, 16);
        kernel.put_text(all, "ab");
        kernel.put(all + 8, 9, 4), kernel.put(all + 12, 7, 4);
        for (unsigned i = 0; i < 4; ++i) kernel.put(all + 16 + 4 * i, i, 4);
        kernel.put(all + 32, 1, 4), kernel.put(all + 36, static_cast<uint64_t>(-1), 4), kernel.put(all + 40, 3, 4);
        kernel.put(all + 48, text), kernel.put(all + 56, fixtures::Kernel::text + 0x44);
        kernel.put(all + 64, 39, 1), kernel.put(all + 65, 200, 1), kernel.put(all + 66, 1, 1), kernel.put(all + 67, 5, 1);
        kernel.put(all + 72, 1ull << 40), kernel.put(all + 80, 4, 4);
        kernel.put_text(all + 88, "flexible");
        kernel.put_text(text, std::string_view("say \"hi\"\\\n\x01\xff\0", 13));
        for (unsigned i = 0; i < 300; ++i) kernel.put(big + 4 * i, i < 3 ? i : 0, 4);
        kernel.put(holes, 77, 4);
        kernel.exclude(holes + 0x1000);
        target = kernel.open();
    }
    std::string show(const Object& object, unsigned radix = 10, unsigned print_max = 256) const {
        return value_prefix(object) + render_c(value_tree(object, {radix, print_max, false, true}));
    }
    std::string member(std::string_view path, unsigned radix = 10) const { return show(target->variable("all")[path], radix); }
};

} // namespace

TEST_CASE_FIXTURE(Fixture, "value: a struct as gdb prints it") {
    CHECK(show(target->variable("all")) == R"({
  text = "ab\000\000\000\000\000",
  fl = (FA | FC),
  col = 7,
  nums = {0, 1, 2, 3},
  pairs = {{
      x = 1,
      y = -1
    }, {
      x = 3,
      y = 0
    }},
  none = {<No data fields>},
  str = 0xffffffff81004100 "say \"hi\"\\\n\001\377",
  fn = 0xffffffff81003044 <open_it+4>,
  sc = 39 '\'',
  uc = 200 '\310',
  yes = true,
  low = -3,
  {
    in = 1099511627776,
    pr = {
      x = 4,
      y = 0
    }
  },
  name = 0xffffffff81004058 <all+88> "flexible"
})");
}

TEST_CASE_FIXTURE(Fixture, "value: in hexadecimal strings and enums stay, numbers keep their size") {
    CHECK(member("text", 16) == "\"ab\\000\\000\\000\\000\\000\"");
    CHECK(member("fl", 16) == "(FA | FC)");
    CHECK(member("low", 16) == "0xfffffffd");
    CHECK(member("sc", 16) == "0x27");
    CHECK(member("yes", 16) == "0x1");
    CHECK(member("pairs[0].y", 16) == "0xffffffff");
}

TEST_CASE_FIXTURE(Fixture, "value: enums by name, as flags, as numbers") {
    const auto text_of = [&](std::string_view name, uint64_t value) { return enumerator_text(target->types().require(name), value); };
    CHECK(text_of("enum color", 5) == "GREEN");
    CHECK(text_of("enum color", 1) == "1");
    CHECK(text_of("enum flags", 0) == "0");
    CHECK(text_of("enum flags", 3) == "(FA | FB)");
    CHECK(text_of("enum flags", 4) == "(unknown: 0x4)");
    CHECK(text_of("enum flags", 9 + 4) == "(FA | FC | unknown: 0x4)");
}

TEST_CASE_FIXTURE(Fixture, "value: pointers on their own have their type before them, but for strings") {
    CHECK(member("fn") == "(int (*)(struct pair *)) 0xffffffff81003044 <open_it+4>");
    CHECK(member("str").starts_with("0xffffffff81004100 \"say"));
    CHECK(show(Object::of_integer(*target, &target->types().require("char *"), 1)).starts_with("0x1 <error: "));
    CHECK(show(Object::of_integer(*target, &target->types().require("struct pair *"), 0)) == "(struct pair *) 0x0");
}

TEST_CASE_FIXTURE(Fixture, "value: long arrays end in dots after print_max elements") {
    const Object numbers(*target, target->types().array_of(&target->types().require("int"), 300), big);
    CHECK(show(numbers, 10, 4) == "{0, 1, 2, 0...}");
    const Object string(*target, target->types().array_of(&target->types().require("char"), 8), all);
    CHECK(show(string, 10, 2) == "\"ab\"...");
}

TEST_CASE_FIXTURE(Fixture, "value: a member on an excluded page says so, the others are there") {
    const std::string shown = show(target->variable("holes"));
    CHECK(shown.find("near = 77") != std::string::npos);
    CHECK(shown.find("y = <page left out of the ELF dump: excluded, or all zeroes>") != std::string::npos);
    CHECK(shown.find("= 0") == std::string::npos);
}

// gdb 13, "set print array on", for the same shapes in a C program.
TEST_CASE("value: with print_array each element of an array stands on its own line") {
    const auto leaf = [](std::string shown) { return ValueTree{.text = std::move(shown)}; };
    const auto tall = [](std::string name, std::vector<ValueTree> elements) {
        return ValueTree{.name = std::move(name), .children = std::move(elements), .is_array = true, .is_tall = true};
    };
    ValueTree pair{.children = {leaf("1"), tall("b", {leaf("2"), leaf("3")})}};
    pair.children[0].name = "a";
    const ValueTree whole{.children = {tall("x", {leaf("1"), leaf("2"), leaf("0"), leaf("...")}), tall("y", {pair, pair}),
                                       tall("z", {tall("", {leaf("4"), leaf("5")})})}};
    CHECK(render_c(whole) == R"({
  x = {
    1,
    2,
    0...
  },
  y = {
    {
      a = 1,
      b = {
        2,
        3
      }
    },
    {
      a = 1,
      b = {
        2,
        3
      }
    }
  },
  z = {
    {
      4,
      5
    }
  }
})");
}
