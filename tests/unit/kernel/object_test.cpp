// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/error.hpp"
#include "kernel/target.hpp"
#include "tests/fixtures/kernel.hpp"
#include <doctest/doctest.h>

using namespace kcrash;

namespace {

constexpr const char* types = R"(
    int 'long unsigned int' 8 unsigned
    int int 4 signed
    int char 1 signed
    array 3 16
    struct list_head 16 next:6:0 prev:6:64
    ptr 5
    struct task_struct 8208 comm:4:0 mm:9:128 prio:2:192 low:2:224:3 high:10:227:2 tasks:5:256 _:11:384 far:2:65600
    struct mm_struct 16 total_vm:1:0 name:12:64
    ptr 8
    int 'unsigned int' 4 unsigned
    union _ 8 both:1:0 half:2:0
    ptr 3
    var init_task 7
    array 2 3
    var numbers 14
    typedef mm_t 8
)";

constexpr uint64_t task = fixtures::Kernel::data, mm = task + 0x800, name = task + 0x900, numbers = task + 0xa00;

struct Fixture {
    fixtures::Kernel kernel{types};
    std::unique_ptr<Target> target;
    Fixture() {
        kernel.symbol("init_task", task, 8208);
        kernel.symbol("numbers", numbers, 12);
        kernel.symbol("odd_one", numbers + 64, 8);
        kernel.put_text(task, "swapper/0");
        kernel.put(task + 16, mm);
        kernel.put(task + 24, static_cast<uint64_t>(-5), 4);
        kernel.put(task + 28, 0b10'101, 4); // low = -3, high = 2
        kernel.put(task + 32, task + 32), kernel.put(task + 40, task + 32);
        kernel.put(task + 48, 0xffffffff00000007);
        kernel.put(mm, 42), kernel.put(mm + 8, name);
        kernel.put_text(name, "an address space");
        kernel.put(numbers, 10, 4), kernel.put(numbers + 4, 20, 4), kernel.put(numbers + 8, 30, 4);
        kernel.exclude(task + 0x2000);
        target = kernel.open();
    }
    Object init_task() const { return target->variable("init_task"); }
};

} // namespace

TEST_CASE_FIXTURE(Fixture, "object: members through pointers, embedded structs and anonymous unions") {
    CHECK(init_task()["comm"].string() == "swapper/0");
    CHECK(init_task()["mm"]["total_vm"].u64() == 42);
    CHECK(init_task()["mm"]["name"].string() == "an address space");
    CHECK(init_task()["tasks.next"].u64() == task + 32);
    CHECK(init_task()["prio"].s64() == -5);
    CHECK(init_task()["half"].u64() == 7);
    CHECK(init_task()["both"].u64() == 0xffffffff00000007);
    CHECK_FALSE(init_task()["mm"].is_null());
}

TEST_CASE_FIXTURE(Fixture, "object: bit-fields, signed and unsigned") {
    CHECK(init_task()["low"].s64() == -3);
    CHECK(init_task()["high"].u64() == 2);
}

TEST_CASE_FIXTURE(Fixture, "object: elements, casts and containers") {
    CHECK(target->variable("numbers").element(2).u64() == 30);
    CHECK(target->variable("numbers")["[1]"].u64() == 20);
    CHECK(init_task()["mm"].cast("unsigned long").u64() == mm);
    CHECK(init_task()["prio"].cast("unsigned long").u64() == static_cast<uint64_t>(-5));
    CHECK(target->object("struct list_head", task + 32).container("struct task_struct", "tasks").address() == task);
    CHECK(init_task()["tasks"]["next"].container("struct task_struct", "tasks")["comm"].string() == "swapper/0");
    CHECK(init_task().any({"newer_name", "prio"}).s64() == -5);
}

TEST_CASE_FIXTURE(Fixture, "object: errors name the path and the address") {
    CHECK_THROWS_WITH_AS(init_task()["nothing"], "struct task_struct has no member \"nothing\"", LookupError);
    CHECK_THROWS_WITH_AS(init_task().any({"a", "b"}), "struct task_struct has no member \"a\" or \"b\"", LookupError);
    CHECK_THROWS_WITH_AS(init_task()["tasks"].u64(), "task_struct.tasks: a struct list_head is not a number", LookupError);
    CHECK_THROWS_WITH_AS(init_task()["far"].u64(),
                         "task_struct.far: kernel virtual address 0xffffffff81006008: page left out of the ELF dump: excluded, or all zeroes", MemoryError);
    CHECK_FALSE(init_task()["far"].try_u64());
    CHECK_THROWS_WITH_AS(target->variable("nothing"), "symbol not found: nothing", LookupError);
}

TEST_CASE_FIXTURE(Fixture, "target: a variable of unknown type takes the one that is given") {
    CHECK(target->variable("odd_one", "struct mm_struct").type()->size == 16);
    CHECK(target->variable("init_task", "struct mm_struct").type()->name == "task_struct"); // BTF knows better
    CHECK_THROWS_AS(target->variable("odd_one"), LookupError);
    CHECK_FALSE(target->try_variable("nothing", "int"));
}

TEST_CASE_FIXTURE(Fixture, "target: members are looked up once, newest name first") {
    uint64_t value = 0;
    const Member prio = target->member("task_struct", {"__prio", "prio"});
    CHECK(prio.offset == 24);
    CHECK(prio.load(target->kernel(), task, value) == Fault::none);
    CHECK(static_cast<int64_t>(value) == -5);
    CHECK(target->member("struct task_struct", {"low"}).load(target->kernel(), task, value) == Fault::none);
    CHECK(static_cast<int64_t>(value) == -3);
    CHECK(target->member("task_struct", {"far"}).load(target->kernel(), task, value) == Fault::excluded_or_zero);
    CHECK_FALSE(target->try_member("task_struct", {"nothing"}));
    CHECK_THROWS_WITH_AS(target->member("task_struct", {"a", "b"}), "task_struct has no member \"a\" or \"b\"", LookupError);
    CHECK(target->size_of("mm_t") == 16);
}

TEST_CASE_FIXTURE(Fixture, "object: a value of its own has no address, its members do not either") {
    const Object number = Object::of_integer(*target, &target->types().require("int"), static_cast<uint64_t>(-7));
    CHECK_FALSE(number.has_address());
    CHECK(number.s64() == -7);
    const Object copy = Object::of_value(*target, &target->types().require("struct mm_struct"), init_task()["mm"].dereference().bytes());
    CHECK(copy["total_vm"].u64() == 42);
    CHECK(copy["name"].string() == "an address space");
}
