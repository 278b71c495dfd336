// SPDX-License-Identifier: GPL-3.0-or-later
// CPUs of machines whose sections a QEMU stream describes.
#include "core/dump/qemu_cpus.hpp"
#include "tests/fixtures/memory_files.hpp"
#include "tests/fixtures/open_fixture.hpp"
#include <doctest/doctest.h>

using namespace kcrash;
using namespace kcrash::fixtures;

namespace {

StreamOptions described(const char* machine, const char* block, const std::vector<QemuField>& fields, uint64_t cpsr = 0) {
    return describe_cpu({.machine = machine, .block = block}, fields, cpsr);
}

const std::vector<QemuField>& fields_of_arm = qemu_arm_fields;

FixtureMemory memory() { return parse_memory("0-3 number"); }

uint64_t at(const Note& note, size_t offset, size_t size = 8, ByteOrder order = ByteOrder::little) {
    return load_unsigned(std::span(note.description).subspan(offset, size), order);
}

} // namespace

TEST_CASE("qemu stream: registers of arm64 lie where the description says") {
    const OpenFixture fixture(write_qemu_stream(memory(), described("virt-7.2", "mach-virt.ram", fields_of_arm, 0x600003c5)));
    REQUIRE(fixture.dump->notes().size() == 1);
    const Note& note = fixture.dump->notes()[0];
    CHECK(note.name == "CORE");
    CHECK(note.type == note_prstatus);
    CHECK(note.description.size() == 392);
    CHECK(at(note, 32, 4) == 1);             // pr_pid
    CHECK(at(note, 112) == 17);              // x0, behind the 16 registers of 32 bits
    CHECK(at(note, 112 + 30 * 8) == 47);     // x30
    CHECK(at(note, 112 + 31 * 8) == 48);     // sp
    CHECK(at(note, 112 + 32 * 8) == 49);     // pc
    CHECK(at(note, 112 + 33 * 8) == 0x600003c5);
    for (const std::string& warning : fixture.info().warnings) CHECK(warning.find("registers") == std::string::npos);
}

TEST_CASE("qemu stream: a CPU of arm64 in a mode of 32 bits has arm's registers") {
    const OpenFixture fixture(write_qemu_stream(memory(), described("virt-7.2", "mach-virt.ram", fields_of_arm, 0x600001d3)));
    REQUIRE(fixture.dump->notes().size() == 1);
    const Note& note = fixture.dump->notes()[0];
    CHECK(note.description.size() == 148);
    CHECK(at(note, 24, 4) == 1);
    CHECK(at(note, 72, 4) == 1);       // r0
    CHECK(at(note, 72 + 60, 4) == 16); // pc
    CHECK(at(note, 72 + 64, 4) == 0x600001d3);
}

TEST_CASE("qemu stream: registers of riscv64, s390x, ppc64 and loongarch64 lie where the description says") {
    const OpenFixture riscv(write_qemu_stream(memory(), described("virt", "riscv_virt_board.ram", {{"env.gpr", 32, 8}, {"env.fpr", 32, 8}, {"env.pc", 1, 8}})));
    REQUIRE(riscv.dump->notes().size() == 1);
    CHECK(at(riscv.dump->notes()[0], 112) == 65);         // pc
    CHECK(at(riscv.dump->notes()[0], 112 + 2 * 8) == 3);  // x2, the second behind x0, which is 1 here

    const OpenFixture s390(write_qemu_stream(memory(), described("s390-ccw-virtio-7.2", "s390.ram",
                                                                 {{"env.regs", 16, 8}, {"env.psw.mask", 1, 8}, {"env.psw.addr", 1, 8}, {"env.aregs", 16, 4}})));
    REQUIRE(s390.dump->notes().size() == 1);
    CHECK(s390.info().order == ByteOrder::big);
    CHECK(at(s390.dump->notes()[0], 112, 8, ByteOrder::big) == 17);          // the PSW's mask
    CHECK(at(s390.dump->notes()[0], 120, 8, ByteOrder::big) == 18);          // its address
    CHECK(at(s390.dump->notes()[0], 128 + 15 * 8, 8, ByteOrder::big) == 16); // r15
    CHECK(at(s390.dump->notes()[0], 256, 4, ByteOrder::big) == 19);          // a0

    const OpenFixture ppc(write_qemu_stream(memory(), described("pseries-7.2", "ppc_spapr.ram", {{"unused", 1, 8}, {"env.gpr", 32, 8}, {"env.crf", 8, 4}, {"env.nip", 1, 8},
                                                                                                   {"env.spr", 1024, 8}, {"env.msr", 1, 8}})));
    REQUIRE(ppc.dump->notes().size() == 1);
    const Note& note = ppc.dump->notes()[0];
    CHECK(at(note, 112 + 8) == 3);              // r1
    CHECK(at(note, 112 + 32 * 8) == 42);        // nip
    CHECK(at(note, 112 + 33 * 8) == 1067);      // msr
    CHECK(at(note, 112 + 35 * 8) == 43 + 9);    // ctr
    CHECK(at(note, 112 + 36 * 8) == 43 + 8);    // lr
    CHECK(at(note, 112 + 38 * 8) == 0x23456789); // ccr: 34, 35 ... 41, the low four bits of each

    for (const auto& [era, badv] : {std::pair("env.CSR_ERA", "env.CSR_BADV"), {"env.sys_states[0].CSR_ERA", "env.sys_states[0].CSR_BADV"}}) {
        const OpenFixture loongarch(write_qemu_stream(memory(), described("virt", "loongarch.ram", {{"env.gpr", 32, 8}, {"env.pc", 1, 8}, {era, 1, 8}, {badv, 1, 8}})));
        REQUIRE(loongarch.dump->notes().size() == 1);
        CHECK(at(loongarch.dump->notes()[0], 32, 4) == 1);         // pr_pid
        CHECK(at(loongarch.dump->notes()[0], 112 + 3 * 8) == 4);   // sp
        CHECK(at(loongarch.dump->notes()[0], 112 + 33 * 8) == 33); // the pc, and not the ERA
        CHECK(at(loongarch.dump->notes()[0], 112 + 34 * 8) == 35); // BADV
        CHECK(loongarch.info().notes_have_pc);
    }
}

TEST_CASE("qemu stream: a description that does not fit gives no registers, and that is said") {
    const auto good = described("virt-7.2", "mach-virt.ram", fields_of_arm);
    const auto registers = [&](std::string_view from, std::string_view to) {
        StreamOptions options = good;
        const size_t place = options.description.find(from);
        REQUIRE(place != std::string::npos);
        options.description.replace(place, from.size(), to);
        const OpenFixture fixture(write_qemu_stream(memory(), options));
        const auto& warnings = fixture.info().warnings;
        const bool said = std::any_of(warnings.begin(), warnings.end(), [](const std::string& w) { return w.ends_with("the registers of the CPUs were not found in the stream"); });
        CHECK(said == fixture.dump->notes().empty());
        return fixture.dump->notes().size();
    };
    CHECK(registers("cpsr", "cpsr") == 1);
    CHECK(registers("cpsr", "else") == 0);
    CHECK(registers("\"array_len\": 32", "\"array_len\": 30") == 0);
    CHECK(registers("\"array_len\": 16", "\"array_len\": -1") == 0);
    CHECK(registers("\"array_len\": 16", "\"array_len\": 18446744073709551615") == 0);
    CHECK(registers("\"size\": 8", "\"size\": 9") == 0);
    CHECK(registers("\"size\": 8", "\"size\": 1e99") == 0);
    CHECK(registers("\"size\": 4", "\"size\": 4000000") == 0); // beyond the end
    CHECK(registers("\"version\": 22", "\"version\": 21") == 0);
    CHECK(registers("\"fields\": [{", "\"fields\": [7, {") == 0);
    CHECK(registers("\"devices\": [", "\"devices\": {\"a\": [") == 0);
    CHECK(registers("{\"page_size\"", "[\"page_size\"") == 0);
}
