// SPDX-License-Identifier: GPL-3.0-or-later
// VMCOREINFO lines.
#include "core/dump/vmcoreinfo.hpp"
#include <doctest/doctest.h>

using kcrash::VmcoreInfo;

TEST_CASE("vmcoreinfo: each kind of line has its own way of writing numbers") {
    const VmcoreInfo info("OSRELEASE=6.1.0-50-cloud-amd64\nSYMBOL(_stext)=ffffffff81000000\nNUMBER(phys_base)=-79691776\n"
                          "NUMBER(kimage_voffset)=0xffff800000000000\nOFFSET(list_head.next)=0\nSIZE(page)=64\n"
                          "LENGTH(mem_section)=2048\nKERNELOFFSET=1c00000\n");
    CHECK(info.value("OSRELEASE") == "6.1.0-50-cloud-amd64");
    CHECK(info.symbol("_stext") == 0xffffffff81000000);
    CHECK(info.number("phys_base") == 0xfffffffffb400000);
    CHECK(info.number("kimage_voffset") == 0xffff800000000000);
    CHECK(info.offset("list_head.next") == 0);
    CHECK(info.size("page") == 64);
    CHECK(info.length("mem_section") == 2048);
    CHECK(info.kernel_offset() == 0x1c00000);
}

TEST_CASE("vmcoreinfo: what is absent, cut off or not a number is nothing") {
    const VmcoreInfo info(
        "SYMBOL(a)=zz\nNUMBER(b)=12x\nNUMBER(c)=-\nSIZE(d)=99999999999999999999\n=5\nno equals sign\nSIZE(last)=6");
    CHECK_FALSE(info.symbol("a"));
    CHECK_FALSE(info.number("b"));
    CHECK_FALSE(info.number("c"));
    CHECK_FALSE(info.size("d"));
    CHECK_FALSE(info.value(""));
    CHECK_FALSE(info.value("no equals sign"));
    CHECK_FALSE(info.size("last"));
    CHECK(VmcoreInfo().empty());
}

TEST_CASE("vmcoreinfo: the first of two lines with one key wins, and a NUL ends the text") {
    const VmcoreInfo info(std::string("SIZE(page)=64\nSIZE(page)=56\n\0SIZE(list_head)=16\n", 48));
    CHECK(info.size("page") == 64);
    CHECK_FALSE(info.size("list_head"));
}
