// SPDX-License-Identifier: GPL-3.0-or-later
// Instructions of every architecture; the encodings are those of the processors' manuals.
#include "arch/architecture.hpp"
#include "symbols/gdb/disassembler.hpp"
#include <cstring>
#include <doctest/doctest.h>
#include <stdexcept>
#include <thread>
#include <vector>

using namespace kcrash;

namespace {

using Bytes = std::vector<unsigned char>;

const Architecture& arch_named(std::string_view name) {
    for (const Architecture* arch : architectures())
        if (arch->name == name) return *arch;
    throw std::logic_error("no such architecture");
}

// Decodes `code` from `address` up to its end: "mnemonic|operands|comment" for each instruction, and what could not be read.
std::vector<std::string> decode(std::string_view arch, const Bytes& code, uint64_t address) {
    const uint64_t begin = address & ~uint64_t{arch == "arm"};
    const auto read = [&](uint64_t at, void* into, size_t size) {
        if (at < begin || at + size > begin + code.size()) return false;
        std::memcpy(into, code.data() + (at - begin), size);
        return true;
    };
    Disassembler disassembler(arch_named(arch).code, arch_named(arch).order == ByteOrder::big, read, [](uint64_t at) {
        char text[32];
        std::snprintf(text, sizeof text, "<%llx>", static_cast<unsigned long long>(at));
        return std::string(text);
    });
    std::vector<std::string> texts;
    while (address < begin + code.size()) {
        uint64_t unreadable = 0;
        const auto text = disassembler.decode(address, unreadable);
        if (!text) {
            texts.push_back("unreadable at +" + std::to_string(unreadable - begin));
            break;
        }
        texts.push_back(text->mnemonic + "|" + text->operands + (text->comment.empty() ? "" : "|" + text->comment));
        address += text->size;
    }
    return texts;
}

using Texts = std::vector<std::string>;

} // namespace

template <> struct doctest::StringMaker<Texts> {
    static String convert(const Texts& texts) {
        std::string all;
        for (const std::string& text : texts) all += text + "\n";
        return all.c_str();
    }
};

TEST_CASE("disassembler: x86_64, AT&T as GDB has it; prefixes belong to the mnemonic, the address of an operand is a comment") {
    const Bytes code{0x48, 0x8b, 0x3d, 0xa9, 0xb5, 0xe8, 0x01, 0xe8, 0x10, 0, 0, 0, 0xf0, 0x0f, 0xb1, 0x0f, 0xf3, 0x48, 0xab, 0x0f, 0x0b, 0x0f, 0x1f, 0x44, 0, 0, 0xc3};
    CHECK(decode("x86_64", code, 0xffffffff81000000) ==
          Texts{"mov|0x1e8b5a9(%rip),%rdi|# <ffffffff82e8b5b0>", "call|<ffffffff8100001c>", "lock cmpxchg|%ecx,(%rdi)", "rep stos|%rax,%es:(%rdi)", "ud2|",
                "nopl|0x0(%rax,%rax,1)", "ret|"});
}

TEST_CASE("disassembler: i386") {
    CHECK(decode("i386", {0x55, 0x89, 0xe5, 0xe8, 0, 0, 0, 0, 0xcd, 0x80}, 0xc1000000) == Texts{"push|%ebp", "mov|%esp,%ebp", "call|<c1000008>", "int|$0x80"});
}

TEST_CASE("disassembler: arm64") {
    CHECK(decode("arm64", {0xfd, 0x7b, 0xbe, 0xa9, 0, 0, 0, 0x94, 0, 0, 0x80, 0x52, 0xc0, 0x03, 0x5f, 0xd6}, 0xffff800008000000) ==
          Texts{"stp|x29, x30, [sp, #-32]!", "bl|<ffff800008000004>", "mov|w0, #0x0|// #0", "ret|"});
}

TEST_CASE("disassembler: arm; an odd address is Thumb, and the next even one is not") {
    CHECK(decode("arm", {0x0d, 0xc0, 0xa0, 0xe1, 0, 0xd8, 0x2d, 0xe9}, 0xc0000000) == Texts{"mov|ip, sp", "push|{fp, ip, lr, pc}"});
    CHECK(decode("arm", {0x80, 0xb5, 0, 0xaf}, 0xc0000001) == Texts{"push|{r7, lr}", "add|r7, sp, #0"});
    CHECK(decode("arm", {0x1e, 0xff, 0x2f, 0xe1}, 0xc0000000) == Texts{"bx|lr"});
}

TEST_CASE("disassembler: riscv64; what an auipc has begun is an address in the next instruction") {
    CHECK(decode("riscv64", {0x01, 0x11, 0x17, 0x05, 0, 0, 0x13, 0x05, 0x45, 0, 0x82, 0x80}, 0xffffffff80000000) ==
          Texts{"add|sp,sp,-32", "auipc|a0,0x0", "add|a0,a0,4|# <ffffffff80000006>", "ret|"});
}

TEST_CASE("disassembler: s390x, big-endian") {
    CHECK(decode("s390x", {0xeb, 0x6f, 0xf0, 0x48, 0, 0x24, 0xc0, 0xe5, 0, 0, 0, 4, 0x07, 0xfe}, 0x100000) ==
          Texts{"stmg|%r6,%r15,72(%r15)", "brasl|%r14,<10000e>", "br|%r14"});
}

TEST_CASE("disassembler: ppc64le") {
    CHECK(decode("ppc64le", {0xa6, 0x02, 0x08, 0x7c, 0x01, 0, 0, 0x48, 0x20, 0, 0x80, 0x4e}, 0xc000000000000000) ==
          Texts{"mflr|r0", "bl|<c000000000000004>", "blr|"});
}

TEST_CASE("disassembler: loongarch64, whose decoder tells no styles") {
    CHECK(decode("loongarch64", {0x63, 0xc0, 0xff, 0x02, 0, 0x04, 0, 0x54, 0x20, 0, 0, 0x4c}, 0x9000000000000000) ==
          Texts{"addi.d|$sp, $sp, -16(0xff0)", "bl|4(0x4)|# <9000000000000008>", "jirl|$zero, $ra, 0"});
}

TEST_CASE("disassembler: bytes that are no instruction are text, and an instruction that is cut off is unreadable") {
    CHECK(decode("x86_64", {0x06, 0x48, 0x8b}, 0x1000) == Texts{"(bad)|", "unreadable at +3"});
    CHECK(decode("arm64", {0xff, 0xff, 0xff, 0xff, 0xfd, 0x7b}, 0x1000) == Texts{".inst|0xffffffff|; undefined", "unreadable at +4"});
    CHECK(decode("s390x", {0x07, 0xfe, 0xeb, 0x6f}, 0x1000) == Texts{"br|%r14", "unreadable at +2"});
    CHECK(decode("riscv64", {0x82, 0x80, 0x17}, 0x1000) == Texts{"ret|", "unreadable at +2"});
}

TEST_CASE("disassembler: what a callback throws comes out, and the next instruction is not disturbed") {
    bool fail = true;
    const unsigned char code[] = {0xe8, 0, 0, 0, 0};
    Disassembler disassembler(
        arch_named("x86_64").code, false,
        [&](uint64_t at, void* into, size_t size) {
            if (fail) throw std::runtime_error("read");
            std::memcpy(into, code + at, size);
            return true;
        },
        [](uint64_t) { return std::string("there"); });
    uint64_t unreadable = 0;
    CHECK_THROWS_WITH(disassembler.decode(0, unreadable), "read");
    fail = false;
    CHECK(disassembler.decode(0, unreadable)->operands == "there");
    CHECK(disassembler.decode(0, unreadable)->refers_to == 5);
}

TEST_CASE("disassembler: several at once in several threads do not disturb each other") {
    const auto decode_many = [](std::string_view arch, const Bytes& code, size_t& good) {
        const Texts first = decode(arch, code, 0x1000);
        for (int i = 0; i < 300; ++i) good += decode(arch, code, 0x1000) == first;
    };
    size_t good[3] = {};
    std::thread a([&] { decode_many("arm", {0x0d, 0xc0, 0xa0, 0xe1, 0, 0xd8, 0x2d, 0xe9}, good[0]); });
    std::thread b([&] { decode_many("riscv64", {0x17, 0x05, 0, 0, 0x13, 0x05, 0x45, 0, 0x82, 0x80}, good[1]); });
    std::thread c([&] { decode_many("ppc64le", {0xa6, 0x02, 0x08, 0x7c, 0x20, 0, 0x80, 0x4e}, good[2]); });
    a.join(), b.join(), c.join();
    CHECK(good[0] + good[1] + good[2] == 900);
}

TEST_CASE("disassembler: every architecture has a decoder, and a name that is none is refused") {
    for (const Architecture* arch : architectures())
        CHECK_NOTHROW(Disassembler(arch->code, arch->order == ByteOrder::big, [](uint64_t, void*, size_t) { return false; }, [](uint64_t) { return std::string(); }));
    CHECK_THROWS_AS(Disassembler({"no machine"}, false, {}, {}), std::invalid_argument);
}
