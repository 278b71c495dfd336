// SPDX-License-Identifier: GPL-3.0-or-later
// Whose notes a dump has: the kernel's, each CPU's as it died, or those of whoever wrote the dump from outside.
#include "kernel/stack/machine.hpp"
#include "tests/fixtures/kernel.hpp"
#include <doctest/doctest.h>

using namespace kcrash;
using fixtures::Kernel;

namespace {

bool of_the_moment(unsigned notes, std::initializer_list<const char*> functions) {
    Kernel kernel("int 'long unsigned int' 8 unsigned");
    for (unsigned cpu = 0; cpu < notes; ++cpu) kernel.note({"CORE", note_prstatus, std::vector<std::byte>(336)});
    uint64_t address = Kernel::text + 0x100;
    for (const char* name : functions) kernel.symbol(name, address += 0x10, 16);
    return notes_are_of_the_moment(*kernel.open());
}

} // namespace

TEST_CASE("registers: a kernel without kexec never wrote notes, so the dump's are of the moment") {
    CHECK(of_the_moment(1, {"panic"}));
    CHECK(!of_the_moment(1, {"panic", "crash_save_cpu"})); // its variables may have no names
}

TEST_CASE("registers: without the names of functions, or without a note for each CPU, nothing is said of the notes") {
    CHECK(!of_the_moment(1, {}));
    CHECK(!of_the_moment(0, {"panic"}));
}
