// SPDX-License-Identifier: GPL-3.0-or-later
// The registers of a 64-bit machine in which a kernel of 32 bits ran.
#include "arch/architecture.hpp"
#include "core/dump/x86_notes.hpp"
#include <doctest/doctest.h>
#include <elf.h>
#include <map>
#include <string>

using namespace kcrash;

TEST_CASE("i386: a hypervisor's notes of x86_64 give each register its own value") {
    X86Registers registers;
    for (unsigned i = 0; i < 16; ++i) registers.general[i] = 0xc1000000 + i;
    for (unsigned i = 0; i < 6; ++i) registers.segments[i] = 0x60 + i;
    registers.rip = 0xc1234567;
    registers.flags = 0x246;
    const Architecture* i386 = find_architecture(EM_386, ByteOrder::little, 4);
    const Note note = x86_prstatus(registers, 0);
    REQUIRE(note.description.size() == i386->wide_prstatus_size);
    std::map<std::string, uint64_t> values;
    for (const SavedRegister& saved : i386->wide_prstatus)
        values[saved.name] = load_unsigned(std::span(note.description).subspan(saved.offset, saved.size ? saved.size : i386->word_size), ByteOrder::little);
    CHECK(values == std::map<std::string, uint64_t>{{"EAX", 0xc1000000}, {"ECX", 0xc1000001}, {"EDX", 0xc1000002}, {"EBX", 0xc1000003},
                                                    {"ESP", 0xc1000004}, {"EBP", 0xc1000005}, {"ESI", 0xc1000006}, {"EDI", 0xc1000007},
                                                    {"ES", 0x60}, {"CS", 0x61}, {"SS", 0x62}, {"DS", 0x63}, {"FS", 0x64}, {"GS", 0x65},
                                                    {"EIP", 0xc1234567}, {"EFLAGS", 0x246}});
}

TEST_CASE("the size of a note tells whose registers it has") {
    const Architecture *i386 = find_architecture(EM_386, ByteOrder::little, 4), *arm64 = find_architecture(EM_AARCH64, ByteOrder::little, 8);
    CHECK(registers_of_note(*i386, 336).data() == i386->wide_prstatus.data());
    CHECK(registers_of_note(*i386, 144).data() == i386->prstatus.data());
    CHECK(registers_of_note(*i386, 100).empty());
    CHECK(registers_of_note(*arm64, 392).data() == arm64->prstatus.data());
    CHECK(registers_of_note(*arm64, 148).empty()); // a CPU that was in a mode of 32 bits
    for (const Architecture* arch : architectures()) {
        CHECK(arch->wide_prstatus_size != arch->prstatus_size);
        for (const SavedRegister& saved : arch->prstatus) CHECK(saved.offset + (saved.size ? saved.size : arch->word_size) <= arch->prstatus_size);
        for (const SavedRegister& saved : arch->wide_prstatus) CHECK(saved.offset + (saved.size ? saved.size : arch->word_size) <= arch->wide_prstatus_size);
    }
}
