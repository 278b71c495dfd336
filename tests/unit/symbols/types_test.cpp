// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/error.hpp"
#include "symbols/types.hpp"
#include "tests/fixtures/btf.hpp"
#include <doctest/doctest.h>

using namespace kcrash;

namespace {

struct Fixture {
    fixtures::Btf btf = fixtures::make_btf(R"(
        int 'long unsigned int' 8 unsigned
        int int 4 signed
        struct page 64 flags:1:0
        typedef page_t 3
        enum pageflags 4 PG_locked=0
        int char 1 signed
        const 6
        ptr 7
        volatile 1
        const 9
        ptr 2
        const 11
        proto 2 _:15 _:8
        ptr 13
        ptr 3
        array 14 3
        array 2 3
        array 17 2
        ptr 17
        ptr 21
        proto 0
        array 2 0
        struct every 200 name:8:0 cv:10:0 cp:12:0 fn:14:0 arr:16:0 m:18:0 parr:19:0 fn2:20:0 flex:22:0 _:24:0
        struct _ 8 q:2:0
    )");
    Types types{{std::shared_ptr<const TypeSource>(open_btf(btf.bytes, nullptr, "BTF"))}};
    std::string member(std::string_view name) {
        return declare(find_member(types.parse("every"), name)->type, name);
    }
};

} // namespace

TEST_CASE_FIXTURE(Fixture, "types: declarations in C as gdb prints them") {
    CHECK(member("name") == "const char *name");
    CHECK(member("cv") == "const volatile unsigned long cv");
    CHECK(member("cp") == "int * const cp");
    CHECK(member("fn") == "int (*fn)(struct page *, const char *)");
    CHECK(member("arr") == "int (*arr[3])(struct page *, const char *)");
    CHECK(member("m") == "int m[2][3]");
    CHECK(member("parr") == "int (*parr)[3]");
    CHECK(member("fn2") == "void (*fn2)(void)");
    CHECK(member("flex") == "int flex[]");
    CHECK(type_name(find_member(types.parse("every"), "fn")->type) == "int (*)(struct page *, const char *)");
    CHECK(type_name(find_member(types.parse("every"), "m")->type) == "int [2][3]");
    CHECK(type_name(find_member(types.parse("every"), "cp")->type) == "int * const");
}

TEST_CASE_FIXTURE(Fixture, "types: names of C types are parsed") {
    CHECK(types.parse("struct page")->size == 64);
    CHECK(types.parse("page") == types.parse("struct page"));
    CHECK(types.parse("page_t")->kind == TypeKind::typedef_type);
    CHECK(types.parse("pageflags")->kind == TypeKind::enumeration);
    CHECK(type_name(types.parse("struct page **")) == "struct page **");
    CHECK(type_name(types.parse(" const struct page * const *")) == "struct page **");
    CHECK(types.parse("long unsigned int") == types.parse("unsigned long"));
    CHECK(types.parse("unsigned long [4]")->size == 32);
    CHECK(type_name(types.parse("int[2][3]")) == "int [2][3]");
    CHECK(types.parse("void *")->size == 8);
    CHECK(types.parse("struct nothing") == nullptr);
    CHECK(types.parse("page x") == nullptr);
    CHECK(types.parse("") == nullptr);
    CHECK(types.parse("int [") == nullptr);
    CHECK_THROWS_WITH_AS(types.require("struct foo"), "unknown type \"struct foo\"", LookupError);
}

TEST_CASE_FIXTURE(Fixture, "types: members by path") {
    const Type* every = types.parse("every");
    CHECK(find_member(every, "m[1][2]")->bit_offset == (3 + 2) * 32);
    CHECK(find_member(every, "arr[0x2]")->bit_offset == 128);
    CHECK_FALSE(find_member(every, "m[x]"));
    CHECK_FALSE(find_member(every, "m[1"));
    CHECK_FALSE(find_member(every, "m.q"));
    CHECK_FALSE(find_member(every, ""));
    CHECK(find_member(every, "q"));
    CHECK(types.has_member("struct page", "flags"));
    CHECK_FALSE(types.has_member("struct nothing", "flags"));
}
