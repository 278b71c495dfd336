// SPDX-License-Identifier: GPL-3.0-or-later
// struct, union, whatis and p as a user sees them; the layouts are those of crash 9.0.2.
#include "commands/session.hpp"
#include "tests/fixtures/kernel.hpp"
#include <doctest/doctest.h>

using namespace kcrash;

namespace {

constexpr const char* types = R"(
    int 'long unsigned int' 8 unsigned
    int int 4 signed
    int char 1 signed
    struct list_head 16 next:5:0 prev:5:64
    ptr 4
    array 3 8
    struct thing 64 flags:2:0:3 kind:10:3:5 _:8:64 links:4:192 key:9:320 name:6:384
    union _ 16 whole:1:0 _:11:0
    union _ 8 a:1:0 b:12:0
    enum kind 4 RED=0 GREEN=5
    struct _ 16 x:2:0 y:2:32 deep:12:64
    struct _ 4 z:2:0
    typedef thing_t 7
    typedef count_t 1
    var first 7
    enum _ 4 ANON_A=3
    union value 8 number:1:0 pointer:5:0
)";

constexpr uint64_t first = fixtures::Kernel::data, second = first + 64;

struct Fixture {
    fixtures::Kernel kernel{types};
    std::string out;
    std::unique_ptr<Session> session;
    Fixture() {
        kernel.symbol("first", first, 64);
        kernel.put(first, 2 | 5 << 3, 4);
        kernel.put(first + 8, 7), kernel.put(first + 24, second), kernel.put(first + 32, first + 24);
        kernel.put_text(first + 48, "one");
        kernel.put(second, 1), kernel.put(second + 24, 11), kernel.put_text(second + 48, "two");
        session = std::make_unique<Session>(kernel.open(), make_text_report([this](std::string_view s) { out += s; }, [this](std::string_view s) { out += s; }));
    }
    std::string run(std::string_view line) {
        out.clear();
        session->run(line);
        return out;
    }
};

} // namespace

TEST_CASE_FIXTURE(Fixture, "struct: a definition unfolds anonymous structs") {
    CHECK(run("struct thing") == R"(struct thing {
    int flags : 3;
    enum kind kind : 5;
    union {
        unsigned long whole;
        struct {
            int x;
            int y;
            struct {
                int z;
            } deep;
        };
    };
    struct list_head links;
    union {
        unsigned long a;
        struct {...} b;
    } key;
    char name[8];
}
SIZE: 64
)");
}

TEST_CASE_FIXTURE(Fixture, "struct -o: offsets in a column as wide as the size needs") {
    CHECK(run("struct thing -o") == R"(struct thing {
   [0] int flags : 3;
   [0] enum kind kind : 5;
       union {
   [8]     unsigned long whole;
           struct {
   [8]         int x;
  [12]         int y;
               struct {
                   int z;
  [16]         } deep;
           };
       };
  [24] struct list_head links;
       union {
           unsigned long a;
           struct {...} b;
  [40] } key;
  [48] char name[8];
}
SIZE: 64
)");
    CHECK(run("struct list_head -ox") == "struct list_head {\n   [0x0] struct list_head *next;\n   [0x8] struct list_head *prev;\n}\nSIZE: 0x10\n");
    CHECK(run("struct list_head -o first") ==
          "struct list_head {\n  [ffffffff81004000] struct list_head *next;\n  [ffffffff81004008] struct list_head *prev;\n}\nSIZE: 16\n");
    CHECK(run("struct thing.name,links.prev -o") == "struct thing {\n  [48] char name[8];\n}\nstruct thing {\n  [32] struct list_head *links.prev;\n}\n");
}

TEST_CASE_FIXTURE(Fixture, "struct: values, members, counts") {
    CHECK(run("struct thing.flags,kind,name first") == "  flags = 2,\n  kind = GREEN,\n  name = \"one\\000\\000\\000\\000\",\n");
    CHECK(run("thing.links.prev,name[1] first") == "  links.prev = 0xffffffff81004018 <first+24>,\n  name[1] = 110 'n',\n");
    CHECK(run("struct list_head first+24") == "struct list_head {\n  next = 0xffffffff81004040,\n  prev = 0xffffffff81004018 <first+24>\n}\n");
    CHECK(run("struct thing.whole first 2") == "  whole = 7,\n\n  whole = 0,\n");
    CHECK(run("struct thing.name ffffffff81004040 -c -2") == "  name = \"one\\000\\000\\000\\000\",\n\n  name = \"two\\000\\000\\000\\000\",\n");
    CHECK(run("struct thing.whole -x -l thing.links first+24") == "  whole = 0x7,\n");
    CHECK(run("struct thing.links -r first") == "ffffffff81004018:  ffffffff81004040 ffffffff81004018   @@.......@......\n");
    CHECK(run("* value first+8") == "union value {\n  number = 7,\n  pointer = 0x7\n}\n");
}

TEST_CASE_FIXTURE(Fixture, "struct -p: what the pointers lead to") {
    CHECK(run("struct list_head -p first+24") == R"(struct list_head {
  struct list_head *next = 0xffffffff81004040
  -> {
       next = 0x1,
       prev = 0x0
     }
  struct list_head *prev = 0xffffffff81004018
  -> {
       next = 0xffffffff81004040,
       prev = 0xffffffff81004018 <first+24>
     }
}
)");
    CHECK(run("struct list_head.next,prev -p ffffffff81004040") ==
          "  struct list_head *next = 0x1\n  -> (not accessible)\n  struct list_head *prev = 0x0\n  -> NULL\n");
}

TEST_CASE_FIXTURE(Fixture, "struct: errors say what is wrong") {
    CHECK(run("struct nothing") == "struct: invalid data structure reference: nothing\n");
    CHECK(run("struct thing.nothing first") == "struct: invalid data structure member reference: thing.nothing\n");
    CHECK(run("struct value") == "struct: data type mismatch: value is not a struct; try \"*\"\n");
    CHECK(run("union kind") == "union: data type mismatch: kind is not a union; try \"whatis\"\n");
    CHECK(run("struct thing 8") == "struct: struct thing: kernel virtual address 0x8: no mapping in the page tables\n");
    CHECK(run("struct thing first 0") == "struct: invalid count: 0\n");
    CHECK(run("struct thing -x -d first") == "struct: -d and -x are mutually exclusive\n");
    CHECK(run("struct thing -l nothing first") == "struct: invalid -l option: nothing: a number of bytes or struct.member\n");
}

TEST_CASE_FIXTURE(Fixture, "whatis: types, members, symbols, enumerators, sizes") {
    CHECK(run("whatis list_head") == run("struct list_head"));
    CHECK(run("whatis count_t") == "typedef unsigned long count_t;\nSIZE: 8\n");
    CHECK(run("whatis kind") == "enum kind {\n  RED = 0\n  GREEN = 5\n};\n");
    CHECK(run("whatis thing.name") == "struct thing {\n  [48] char name[8];\n}\n");
    CHECK(run("whatis first") == "struct thing first;\n");
    CHECK(run("whatis GREEN") == "enum kind = 5\n");
    CHECK(run("whatis ANON_A") == "enum {...} = 3\n");
    CHECK(run("whatis unsigned long") == "SIZE: 8\n");
    CHECK(run("whatis first.links.next") == "struct list_head *\n");
    CHECK(run("whatis -r 8-16") == "SIZE  TYPE\n   8  value\n  16  list_head\n");
    CHECK(run("whatis -m list_head") == "SIZE  TYPE\n   8  value\n  16  list_head\n  64  thing\n");
    CHECK(run("whatis -r 1000") == "(none found)\n");
    CHECK(run("whatis nothing") == "whatis: cannot resolve: nothing: no symbol \"nothing\" in this kernel\n");
}

TEST_CASE_FIXTURE(Fixture, "p: values are kept as $N") {
    CHECK(run("p $") == "p: the history of values is empty\n");
    CHECK(run("p first.whole") == "$1 = 7\n");
    CHECK(run("p -x $1 * 3") == "$2 = 0x15\n");
    CHECK(run("p $ + 1") == "$3 = 22\n");
    CHECK(run("p $$2") == "$4 = 7\n");
    CHECK(run("p $9") == "p: there is no value $9: the history has $1 to $4\n");
    CHECK(run("first.name") == "$5 = \"one\\000\\000\\000\\000\"\n");
    CHECK(run("p first.links").starts_with("$6 = {\n  next = "));
    CHECK(run("p/x 16") == "$7 = 0x10\n");
    CHECK(run("p").starts_with("p: an expression is missing\nusage: p "));
}
