// SPDX-License-Identifier: GPL-3.0-or-later
// Whose notes a dump has: the kernel's, each CPU's as it died, or those of whoever wrote the dump from outside.
#include "kernel/stack/machine.hpp"
#include "tests/fixtures/kernel.hpp"
#include <doctest/doctest.h>

using namespace kcrash;
using fixtures::Kernel;

namespace {
constexpr const char* types = "int 'long unsigned int' 8 unsigned";
} // namespace

TEST_CASE("registers: a kernel without kexec never wrote notes, so the dump's are of the moment") {
    Kernel without(types);
    without.symbol("panic", Kernel::text + 0x100, 16);
    CHECK(notes_are_of_the_moment(*without.open()));

    Kernel with(types);
    with.symbol("panic", Kernel::text + 0x100, 16);
    with.symbol("crash_save_cpu", Kernel::text + 0x200, 16); // its variables may have no names
    CHECK(!notes_are_of_the_moment(*with.open()));
}

TEST_CASE("registers: without the names of functions nothing is said of the notes") {
    CHECK(!notes_are_of_the_moment(*Kernel(types).open()));
}
