// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/error.hpp"
#include "symbols/types.hpp"
#include "tests/fixtures/btf.hpp"
#include <doctest/doctest.h>
#include <fstream>
#include <random>

using namespace kcrash;
using fixtures::make_btf;

namespace {

constexpr const char* small_kernel = R"(
    int 'long unsigned int' 8 unsigned
    int int 4 signed
    int 'unsigned int' 4 unsigned
    struct list_head 16 next:5:0 prev:5:64
    ptr 4
    fwd mm_struct struct
    ptr 6
    struct task_struct 64 state:3:0 tasks:4:64 mm:7:192 sched_a:3:256:1 sched_b:2:257:3 _:11:320
    struct mm_struct 8 pgd:1:0
    typedef u32 3
    union _ 8 left:1:0 right:10:0
    enum pid_type 4 PIDTYPE_PID=0 PIDTYPE_MAX=4
    enum signs 4 signed MINUS=-1 ZERO=0
    enum64 wide 8 TOP=0x8000000000000000
    proto 2 task:16 ...
    ptr 8
    func schedule 15
    var runqueues 8
    datasec .data..percpu 64 18:0:64
    int char 1 signed
    array 20 16
    type_tag rcu 4
    ptr 22
    int _Bool 1 bool
)";

struct Kernel {
    explicit Kernel(const char* text = small_kernel) : btf(make_btf(text)), source(open_btf(btf.bytes, nullptr, "BTF")) {}
    fixtures::Btf btf;
    std::unique_ptr<TypeSource> source;
};

} // namespace

TEST_CASE("btf: a struct has its members, sizes and offsets") {
    Kernel k;
    const Type* task = k.source->find(TypeKind::structure, "task_struct");
    REQUIRE(task);
    CHECK(task->size == 64);
    REQUIRE(task->members.size() == 6);
    CHECK(task->members[1].name == "tasks");
    CHECK(task->members[1].offset() == 8);
    CHECK(task->members[1].type == k.source->find(TypeKind::structure, "list_head"));
    CHECK(find_member(task, "tasks.prev")->bit_offset == 128);
    CHECK(find_member(task, "right")->bit_offset == 320);
    CHECK_FALSE(find_member(task, "nothing"));
}

TEST_CASE("btf: a bit-field with kind_flag") {
    Kernel k;
    const auto b = find_member(k.source->find(TypeKind::structure, "task_struct"), "sched_b");
    REQUIRE(b);
    CHECK(b->bit_offset == 257);
    CHECK(b->bit_size == 3);
}

TEST_CASE("btf: a bit-field of the old form is an integer narrower than its bytes") {
    Kernel k("int 'unsigned int' 4 unsigned\n int 'unsigned int' 4 unsigned 3 2\n typedef three 2\n struct s 8 whole:1:0 part:3:32");
    const auto part = find_member(k.source->find(TypeKind::structure, "s"), "part");
    CHECK(part->bit_offset == 34);
    CHECK(part->bit_size == 3);
    CHECK(find_member(k.source->find(TypeKind::structure, "s"), "whole")->bit_size == 0);
}

TEST_CASE("btf: a forward declaration is its definition when the same BTF has one") {
    Kernel k;
    const Type* pgd = find_member(k.source->find(TypeKind::structure, "task_struct"), "mm")->type->target;
    CHECK(pgd == k.source->find(TypeKind::structure, "mm_struct"));
    Kernel alone("fwd sock struct\n ptr 1\n struct s 8 sk:2:0");
    const Type* sock = find_member(alone.source->find(TypeKind::structure, "s"), "sk")->type->target;
    CHECK(sock->kind == TypeKind::declaration);
    CHECK(type_name(sock) == "struct sock");
}

TEST_CASE("btf: enumerators, signed, unsigned and of 64 bits") {
    Kernel k;
    CHECK(k.source->enumerator("PIDTYPE_MAX") == 4);
    CHECK(k.source->enumerator("MINUS") == -1);
    CHECK(static_cast<uint64_t>(*k.source->enumerator("TOP")) == 0x8000000000000000);
    CHECK_FALSE(k.source->enumerator("NOTHING"));
    CHECK(k.source->find(TypeKind::enumeration, "signs")->is_signed);
    CHECK_FALSE(k.source->find(TypeKind::enumeration, "pid_type")->is_signed);
}

TEST_CASE("btf: an old BTF does not tell enums' signs, so a negative value does") {
    Kernel k("enum e 4 MINUS=-1 ONE=1");
    CHECK(k.source->enumerator("MINUS") == -1);
    CHECK(k.source->find(TypeKind::enumeration, "e")->is_signed);
}

TEST_CASE("btf: functions and per-cpu variables have types") {
    Kernel k;
    CHECK(declare(k.source->of_function("schedule"), "schedule") == "int schedule(struct task_struct *, ...)");
    CHECK(type_name(k.source->of_variable("runqueues")) == "struct task_struct");
    CHECK(k.source->of_variable("jiffies") == nullptr);
}

TEST_CASE("btf: base types have the names that people write") {
    Kernel k;
    CHECK(k.source->find(TypeKind::integer, "unsigned long")->name == "unsigned long");
    CHECK(k.source->find(TypeKind::integer, "char")->is_char);
    CHECK(k.source->find(TypeKind::boolean, "_Bool")->kind == TypeKind::boolean);
    CHECK(k.source->find(TypeKind::typedef_type, "u32")->size == 4);
}

TEST_CASE("btf: a module's types go on from the kernel's") {
    Kernel k;
    const auto split = make_btf("struct nfs_task 80 task:8:0 more:25:512\n fwd list_head struct\n ptr 26\n struct x 8 l:27:0", &k.btf);
    const auto module = open_btf(split.bytes, k.source.get(), "nfs");
    const Type* nfs = module->find(TypeKind::structure, "nfs_task");
    REQUIRE(nfs);
    CHECK(nfs->members[0].type == k.source->find(TypeKind::structure, "task_struct"));
    CHECK(nfs->members[1].type == nfs);
    CHECK(find_member(module->find(TypeKind::structure, "x"), "l")->type->target == k.source->find(TypeKind::structure, "list_head"));
    CHECK(module->find(TypeKind::structure, "list_head") == nullptr);
}

TEST_CASE("btf: damage is refused with the place") {
    auto btf = make_btf("int int 4 signed\n struct s 8 a:1:0 b:1:32");
    std::vector<std::byte> bytes = btf.bytes;
    CHECK_THROWS_WITH_AS(open_btf(std::span(bytes).first(10), nullptr, "BTF"), "BTF: 10 bytes are too few for BTF", FileError);
    bytes[0] = std::byte{0};
    CHECK_THROWS_WITH_AS(open_btf(bytes, nullptr, "BTF"), "BTF: not BTF, its magic number is wrong", FileError);
    bytes = btf.bytes;
    bytes[24 + 16 + 4] = std::byte{200}; // members of s
    CHECK_THROWS_WITH_AS(open_btf(bytes, nullptr, "BTF"), "BTF+0x28: needs 2412 bytes, 36 left", FileError);
    bytes = btf.bytes;
    bytes[24 + 16 + 12 + 4] = std::byte{99}; // the type of s.a
    const auto source = open_btf(bytes, nullptr, "BTF");
    CHECK_THROWS_WITH_AS(source->find(TypeKind::structure, "s")->members.size(), "BTF: type 99 is beyond the last, 2", FileError);
}

TEST_CASE("btf: types that lead to themselves end") {
    Kernel k("typedef a 2\n typedef b 1\n const 3\n struct s 8 a:1:0 c:3:0 d:5:0\n array 5 2\n struct t 8 _:6:0");
    const Type* s = k.source->find(TypeKind::structure, "s");
    REQUIRE(s->members.size() == 3);
    for (const auto& m : s->members) {
        CHECK(strip(m.type) != nullptr);
        CHECK_FALSE(is_compound(m.type));
        CHECK_FALSE(type_name(m.type).empty());
    }
    CHECK_FALSE(find_member(k.source->find(TypeKind::structure, "t"), "x"));
}

TEST_CASE("btf: random damage never does more than throw") {
    const auto good = make_btf(small_kernel);
    std::mt19937 random(7);
    for (int round = 0; round < 3000; ++round) {
        auto bytes = good.bytes;
        for (int i = 0; i < 3; ++i) bytes[random() % bytes.size()] = static_cast<std::byte>(random());
        try {
            const auto source = open_btf(bytes, nullptr, "BTF");
            source->each([](const Type& type) {
                for (const auto& m : type.members) (void)declare(m.type, m.name);
                (void)type.enumerators.size(), (void)find_member(&type, "a.b[1].c");
                return true;
            });
            (void)source->enumerator("x");
        } catch (const FileError&) {
        }
    }
}
