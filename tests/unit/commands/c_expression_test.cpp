// SPDX-License-Identifier: GPL-3.0-or-later
#include "commands/c_expression.hpp"
#include "commands/value.hpp"
#include "core/error.hpp"
#include "tests/fixtures/kernel.hpp"
#include "tests/fixtures/open_fixture.hpp"
#include <doctest/doctest.h>

using namespace kcrash;

namespace {

constexpr const char* types = R"(
    int 'long unsigned int' 8 unsigned
    int int 4 signed
    int char 1 signed
    int 'unsigned int' 4 unsigned
    int 'long int' 8 signed
    struct node 24 next:7:0 value:2:64 low:4:96:3 name:8:128
    ptr 6
    ptr 3
    array 6 3
    var nodes 9
    var head 7
    enum kind 4 FIRST=0 SECOND=1 THIRD=2
    proto 0 _:7
    func walk 13
    int _Bool 1 bool
    typedef u32 4
    var counter 1
    ptr 0
)";

constexpr uint64_t nodes = fixtures::Kernel::data, head = nodes + 0x100, counter = nodes + 0x108, name = nodes + 0x200;

struct Fixture {
    fixtures::Kernel kernel{types};
    std::unique_ptr<Target> target;
    std::vector<Object> values;
    Fixture() {
        kernel.symbol("nodes", nodes, 72);
        kernel.symbol("head", head, 8);
        kernel.symbol("counter", counter, 8);
        kernel.symbol("secret", counter + 8, 8);
        kernel.symbol("walk", fixtures::Kernel::text + 0x10, 32);
        for (unsigned i = 0; i < 3; ++i) {
            kernel.put(nodes + 24 * i, i < 2 ? nodes + 24 * (i + 1) : 0);
            kernel.put(nodes + 24 * i + 8, 10 * i - 5, 4);
            kernel.put(nodes + 24 * i + 12, 8 + i, 4);
            kernel.put(nodes + 24 * i + 16, name);
        }
        kernel.put(head, nodes), kernel.put(counter, 0xfffffff0), kernel.put(counter + 8, 77);
        kernel.put_text(name, "a name");
        target = kernel.open();
        values.push_back(Object::of_integer(*target, &target->types().require("int"), 41));
    }
    Object value(std::string_view expression) const {
        return evaluate_c(expression, {target.get(), nullptr, [this](std::string_view) { return values.back(); }});
    }
    std::string show(std::string_view expression) const {
        const Object object = value(expression);
        return value_prefix(object) + render_c(value_tree(object, {}));
    }
    std::string error(std::string_view expression) const {
        return fixtures::error_of([&] { (void)value(expression).bytes(); });
    }
};

} // namespace

TEST_CASE_FIXTURE(Fixture, "p: members, pointers, arrays") {
    CHECK(show("nodes[1].value") == "5");
    CHECK(show("head->next->value") == "5");
    CHECK(show("head[2].value") == "15");
    CHECK(show("(*head).low") == "0");
    CHECK(show("head->next->low") == "1");
    CHECK(show("&nodes[1]") == "(struct node *) 0xffffffff81004018 <nodes+24>");
    CHECK(show("*&counter") == "4294967280");
    CHECK(show("head->name") == "0xffffffff81004200 \"a name\"");
    CHECK(show("head->name[2]") == "110 'n'");
    CHECK(show("nodes[0].value@1") == "{-5}");
    CHECK(show("&head->next->value") == "(int *) 0xffffffff81004020 <nodes+32>");
}

TEST_CASE_FIXTURE(Fixture, "p: a symbol of unknown type is worth something under a cast or an ampersand") {
    CHECK(show("(unsigned long)secret") == "77");
    CHECK(show("(int)secret + 1") == "78");
    CHECK(show("*(int *)&secret") == "77");
    CHECK(show("&secret") == "(void *) 0xffffffff81004110 <secret>");
}

TEST_CASE_FIXTURE(Fixture, "p: casts and sizeof") {
    CHECK(show("((struct node *)0xffffffff81004018)->value") == "5");
    CHECK(show("*(int *)0xffffffff81004008") == "-5");
    CHECK(show("(unsigned int)-1") == "4294967295");
    CHECK(show("(u32)0x1ffffffff") == "4294967295");
    CHECK(show("(long)head == (long)&nodes") == "1");
    CHECK(show("(enum kind)1") == "SECOND");
    CHECK(show("sizeof(struct node)") == "24");
    CHECK(show("sizeof nodes") == "72");
    CHECK(show("sizeof(struct node *)") == "8");
    CHECK(show("(char)65") == "65 'A'");
    CHECK(show("((struct node *)((char *)head->next - 24))->value") == "-5");
    CHECK(show("(struct node *)0") == "(struct node *) 0x0");
}

TEST_CASE_FIXTURE(Fixture, "p: arithmetic as C does it") {
    CHECK(show("1 + 2 * 3") == "7");
    CHECK(show("(1 + 2) * 3") == "9");
    CHECK(show("10 / 3") == "3");
    CHECK(show("-7 / 2") == "-3");
    CHECK(show("-7 % 3") == "-1");
    CHECK(show("~0") == "-1");
    CHECK(show("~0UL") == "18446744073709551615");
    CHECK(show("1UL << 40") == "1099511627776");
    CHECK(show("-1 > 0u") == "1");
    CHECK(show("-1L > 0u") == "0");
    CHECK(show("0xf0 >> 4 & 7 | 8 ^ 1") == "15");
    CHECK(show("1 < 2 && !0 || 0") == "1");
    CHECK(show("counter > 5 ? 1 : 2") == "1");
    CHECK(show("'a' + 1") == "98");
    CHECK(show("017") == "15");
    CHECK(show("head->next - head") == "1");
    CHECK(show("(head + 1)->value") == "5");
    CHECK(show("SECOND + 1") == "2");
    CHECK(show("THIRD") == "THIRD");
    CHECK(show("\"text\"") == "\"text\"");
    CHECK(show("$ + 1") == "42");
}

TEST_CASE_FIXTURE(Fixture, "p: functions are places with a type") {
    CHECK(show("walk") == "{void (struct node *)} 0xffffffff81003010 <walk>");
    CHECK(show("&walk") == "(void (*)(struct node *)) 0xffffffff81003010 <walk>");
    CHECK(show("*walk") == "{void (struct node *)} 0xffffffff81003010 <walk>");
}

TEST_CASE_FIXTURE(Fixture, "p: messages say what is wrong, and what needs more than native expressions") {
    CHECK(error("nothing") == "no symbol \"nothing\" in this kernel");
    CHECK(error("nodes[1].nothing") == "struct node has no member \"nothing\"");
    CHECK(error("walk(1)") == "a function of a dead kernel cannot be called");
    CHECK(error("strlen(head)") == "\"strlen\": a function of a dead kernel cannot be called");
    CHECK(error("counter = 1") == "invalid expression: counter = 1: a dump is not written to");
    CHECK(error("counter += 1") == "invalid expression: counter += 1: a dump is not written to");
    CHECK(error("counter++") == "invalid expression: counter++: a value is missing at its end");
    CHECK(error("1 +") == "invalid expression: 1 +: a value is missing at its end");
    CHECK(error("(1") == "invalid expression: (1: \")\" is missing");
    CHECK(error("1 2") == "invalid expression: 1 2: unexpected \"2\"");
    CHECK(error("1 / 0") == "division by zero");
    CHECK(error("1 << 40") == "a shift by 40 is wider than int; cast the left side to (unsigned long)");
    CHECK(error("*(void *)0") == "invalid expression: *(void *)0: a void pointer cannot be dereferenced: cast it first");
    CHECK(error("nodes[0] + 1") == "\"+\" is not defined for struct node and int");
    CHECK(error("&5") == "a value that is not in memory has no address");
    CHECK(error("&head->low") == "a bit-field has no address");
    CHECK(error("5@2") == "invalid expression: 5@2: only what is in memory can be extended with \"@\"");
    CHECK(error("2.5").starts_with("floating point in \"2.5\""));
    CHECK(error("secret") == "the type of \"secret\" is not known; its address is 0xffffffff81004110: cast it, as in (unsigned long)secret");
    CHECK(error("secret + 1") == error("secret"));
    CHECK(error("(unsigned long)(secret)") == error("secret"));
    CHECK(error("*(int *)8") == "int: kernel virtual address 0x8: no mapping in the page tables");
    CHECK(error(std::string(5000, '(')) == fixtures::error_of([] { throw UsageError("invalid expression: " + std::string(5000, '(') + ": nested too deeply"); }));
}
