// SPDX-License-Identifier: GPL-3.0-or-later
// Where struct pages are, and what one says.
#include "kernel/page.hpp"
#include "tests/fixtures/kernel.hpp"
#include <doctest/doctest.h>

using namespace kcrash;

namespace {

constexpr const char* types = R"(
    int 'long unsigned int' 8 unsigned
    int int 4 signed
    struct memdesc_flags_t 8 f:1:0
    struct atomic_t 4 counter:2:0
    struct page 64 flags:3:0 mapping:1:192 __folio_index:1:256 _refcount:4:384
    struct mem_section 32 section_mem_map:1:0 usage:1:64
)";

constexpr uint64_t data = fixtures::Kernel::data, variable = data, roots = data + 0x1000, sections = data + 0x2000;
constexpr uint64_t base = data + 0x10000; // of the struct pages

struct Fixture {
    fixtures::Kernel kernel{types};
    Fixture() {
        kernel.symbol("mem_section", variable, 8);
        kernel.put(variable, roots);
        kernel.put(roots, 0);
        kernel.put(roots + 8, sections); // the second root: memory begins high
        kernel.put(sections + 2 * 32, base | 0xf);
    }
};

} // namespace

TEST_CASE_FIXTURE(Fixture, "page: each section of memory has the place of the first frame's struct page") {
    const auto target = kernel.open();
    const PageMap pages(*target);
    CHECK(pages.page_address(PageFrame(3)) == base + 3 * 64);
    CHECK(pages.frame(base + 64).value().value == 1);
}

TEST_CASE_FIXTURE(Fixture, "page: sections that differ have no one place, and those without pages have none") {
    kernel.put(sections + 5 * 32, (base + 0x100000) | 0xf);
    CHECK_FALSE(PageMap(*kernel.open()).known());
    kernel.put(sections + 2 * 32, base | 1);
    kernel.put(sections + 5 * 32, 0);
    CHECK_FALSE(PageMap(*kernel.open()).known());
}

TEST_CASE_FIXTURE(Fixture, "page: sections that differ have their own arrays, if the dump tells how large they are") {
    constexpr uint64_t per_section = 64, first = (128 + 2) * per_section, second = (128 + 5) * per_section, other = base + 0x100000;
    kernel.tell("NUMBER(SECTION_SIZE_BITS)=18");
    kernel.put(sections + 2 * 32, (base - first * 64) | 0xf);
    kernel.put(sections + 5 * 32, (other - second * 64) | 0xf);
    const auto target = kernel.open();
    const PageMap pages(*target);
    REQUIRE(pages.known());
    CHECK(pages.base() == base);
    CHECK(pages.page_address(PageFrame(first + 3)) == base + 3 * 64);
    CHECK(pages.page_address(PageFrame(second + 63)) == other + 63 * 64);
    for (const uint64_t none : {first - 1, first + per_section, second + per_section}) CHECK(pages.page_address(PageFrame(none)) == 0);
    CHECK(pages.frame(base + 3 * 64).value().value == first + 3);
    CHECK(pages.frame(other + 5).value().value == second);
    CHECK_FALSE(pages.frame(base - 1));
    CHECK_FALSE(pages.frame(base + per_section * 64));
}

TEST_CASE_FIXTURE(Fixture, "page: arm's flat map begins where memory does") {
    kernel.put(variable, 0);
    kernel.symbol("mem_map", data + 0x40, 8), kernel.put(data + 0x40, base);
    kernel.symbol("__pv_phys_pfn_offset", data + 0x48, 8), kernel.put(data + 0x48, 0x40000);
    const auto target = kernel.open();
    CHECK(PageMap(*target).page_address(PageFrame(0x40002)) == base + 2 * 64);
}

TEST_CASE_FIXTURE(Fixture, "page: flags are a number, or a struct of one word") {
    kernel.put(base + 3 * 64, 0x17ffffc0000800);
    kernel.put(base + 3 * 64 + 48, 1, 4);
    const auto target = kernel.open();
    const Page page = PageMap(*target).read(PageFrame(3));
    CHECK(page.flags == 0x17ffffc0000800);
    CHECK(page.count == 1);
}
