// SPDX-License-Identifier: GPL-3.0-or-later
// dis as a user sees it, on code that is patched, left out of the dump, or not there at all.
#include "commands/session.hpp"
#include "core/interrupt.hpp"
#include "tests/fixtures/kernel.hpp"
#include <doctest/doctest.h>

using namespace kcrash;

namespace {

constexpr uint64_t text = fixtures::Kernel::text, other = text + 0x800;
// push %rbp; call other; ud2; mov %rsp,%rbp; ret
constexpr std::string_view code("\x55\xe8\xfa\x07\x00\x00\x0f\x0b\x48\x89\xe5\xc3", 12);
constexpr std::string_view patched("\x55\x0f\x1f\x44\x00\x00\x0f\x0b\x48\x89\xe5\xc3", 12); // a nop in place of the call

struct Fixture {
    fixtures::Kernel kernel{"int int 4 signed\n"};
    std::string out;
    std::unique_ptr<Session> session;
    explicit Fixture(bool excluded = false, bool cut_at_page = false) {
        kernel.symbol("work", text, code.size());
        kernel.symbol("other", other, 16);
        kernel.link_text(text, code);
        if (excluded) kernel.exclude(text);
        else kernel.put_text(text, patched), kernel.put_text(other, "\xc3");
        if (cut_at_page) kernel.put_text(text + 0xffe, "\x90\xe8"), kernel.exclude(fixtures::Kernel::data);
        session = std::make_unique<Session>(kernel.open(), make_text_report([this](std::string_view s) { out += s; }, [this](std::string_view s) { out += s; }));
    }
    std::string run(std::string_view line) {
        out.clear();
        session->run(line);
        return out;
    }
};

} // namespace

TEST_CASE("dis: what the kernel patched shows as it stands in the dump") {
    Fixture fixture;
    CHECK(fixture.run("dis work") == "0xffffffff81003000 <work>:\tpush   %rbp\n"
                                     "0xffffffff81003001 <work+1>:\tnopl   0x0(%rax,%rax,1)\n"
                                     "0xffffffff81003006 <work+6>:\tud2\n"
                                     "0xffffffff81003008 <work+8>:\tmov    %rsp,%rbp\n"
                                     "0xffffffff8100300b <work+11>:\tret\n");
}

TEST_CASE("dis: code that the dump has left out is vmlinux's, and is said to be") {
    Fixture fixture(true);
    CHECK(fixture.run("dis work 2") == "dis: warning: 0xffffffff81003000: page left out of the ELF dump: excluded, or all zeroes: the code from here is vmlinux's, "
                                       "without what the kernel patched at run time\n"
                                       "0xffffffff81003000 <work>:\tpush   %rbp\n"
                                       "0xffffffff81003001 <work+1>:\tcall   0xffffffff81003800 <other>\n");
}

TEST_CASE("dis: what cannot be read ends the command with the address and the reason, behind what could be read") {
    Fixture fixture;
    CHECK(fixture.run("dis ffffffff81200000") == "dis: kernel virtual address 0xffffffff81200000: no mapping in the page tables\n");
    Fixture cut(false, true);
    CHECK(cut.run("dis ffffffff81003ffe 3") == "   0xffffffff81003ffe:\tnop\n"
                                               "dis: kernel virtual address 0xffffffff81004000: page left out of the ELF dump: excluded, or all zeroes\n");
}

TEST_CASE("dis -r and -f end and begin at the address; with a count, that many next to it") {
    Fixture fixture;
    CHECK(fixture.run("dis -r work+6") == "0xffffffff81003000 <work>:\tpush   %rbp\n"
                                          "0xffffffff81003001 <work+1>:\tnopl   0x0(%rax,%rax,1)\n"
                                          "0xffffffff81003006 <work+6>:\tud2\n");
    CHECK(fixture.run("dis -r work+6 1") == "0xffffffff81003006 <work+6>:\tud2\n");
    CHECK(fixture.run("dis -f work+8") == "0xffffffff81003008 <work+8>:\tmov    %rsp,%rbp\n"
                                          "0xffffffff8100300b <work+11>:\tret\n");
    CHECK(fixture.run("dis -f work+8 1") == "0xffffffff81003008 <work+8>:\tmov    %rsp,%rbp\n");
    CHECK(fixture.run("dis -r work+3") == "0xffffffff81003000 <work>:\tpush   %rbp\n"
                                          "dis: warning: 0xffffffff81003003 is inside the instruction at 0xffffffff81003001\n"
                                          "0xffffffff81003001 <work+1>:\tnopl   0x0(%rax,%rax,1)\n");
    CHECK(fixture.run("dis -r ffffffff81100000") == "dis: no function is known at 0xffffffff81100000\n");
}

TEST_CASE("dis -b: data behind ud2 is not taken for code") {
    Fixture fixture;
    CHECK(fixture.run("dis -b") == "encoded bytes being skipped after ud2a: 0\n");
    CHECK(fixture.run("dis -b 3").empty());
    CHECK(fixture.run("dis -b") == "encoded bytes being skipped after ud2a: 3\n");
    CHECK(fixture.run("dis work+6 2") == "0xffffffff81003006 <work+6>:\tud2\n0xffffffff8100300b <work+11>:\tret\n");
    CHECK(fixture.run("dis -b 100000") == "dis: invalid count of bytes: 100000: it is at most 4096\n");
}

TEST_CASE("dis -x, and radix 16: offsets in hexadecimal") {
    Fixture fixture;
    CHECK(fixture.run("dis -x work+11") == "0xffffffff8100300b <work+0xb>:\tret\n");
    fixture.session->settings.radix = 16;
    CHECK(fixture.run("dis work+11") == "0xffffffff8100300b <work+0xb>:\tret\n");
    CHECK(fixture.run("dis -d work+11") == "0xffffffff8100300b <work+11>:\tret\n");
}

TEST_CASE("dis: words that make no sense are refused") {
    Fixture fixture;
    CHECK(fixture.run("dis") == "dis: no address given: dis address | symbol | (expression) [count]\n");
    CHECK(fixture.run("dis work 0") == "dis: invalid count: 0\n");
    CHECK(fixture.run("dis -rf work") == "dis: -r and -f exclude each other\n");
    CHECK(fixture.run("dis -xd work") == "dis: -x and -d exclude each other\n");
    CHECK(fixture.run("dis -s work") == "dis: work: no line is known for 0xffffffff81003000: that needs vmlinux, or the module, with its debug information\n");
}

TEST_CASE("dis: a huge count stops when ctrl-c is pressed") {
    Fixture fixture;
    interrupt_requested = 1;
    const std::string said = fixture.run("dis work 18446744073709551615");
    interrupt_requested = 0;
    CHECK(said == "dis: interrupted\n");
}
