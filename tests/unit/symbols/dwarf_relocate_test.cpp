// SPDX-License-Identifier: GPL-3.0-or-later
// Relocations of debug sections: what the psABIs say becomes of the bytes.
#include "symbols/dwarf_relocate.hpp"
#include "tests/fixtures/object_writer.hpp"
#include "tests/fixtures/temporary_file.hpp"
#include <doctest/doctest.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

using namespace kcrash;
using fixtures::ByteImage;

namespace {

struct Entry {
    uint64_t place;
    uint32_t type, symbol; // symbol 1 is begin, 2 is end: at 0x10 and 0x5a of .text
    int64_t addend;
};

// The bytes of .debug_x after it was relocated, .text being at 0xffffffffc0000000.
std::string relocated(uint16_t machine, std::vector<std::byte> bytes, const std::vector<Entry>& entries) {
    fixtures::ObjectWriter writer;
    writer.type = ET_REL;
    writer.machine = machine;
    writer.add(".text", SHF_ALLOC | SHF_EXECINSTR, 0, std::vector<std::byte>(256));
    writer.add(".debug_x", 0, 0, std::move(bytes));
    ByteImage table(ByteOrder::little);
    for (const Entry& entry : entries) {
        const uint64_t at = table.bytes.size();
        table.put<uint64_t>(at, entry.place);
        table.put<uint64_t>(at + 8, uint64_t{entry.symbol} << 32 | entry.type);
        table.put<uint64_t>(at + 16, static_cast<uint64_t>(entry.addend));
    }
    writer.sections.push_back({".rela.debug_x", SHT_RELA, 0, 0, table.bytes, 0, 4, 2, 24});
    writer.symbols = {{"begin", 0x10, 0, ".text"}, {"end", 0x5a, 0, ".text"}};
    const fixtures::TemporaryFile file(writer.write());
    const auto elf_file = ElfFile::open(file.path());
    elf_version(EV_CURRENT);
    const int fd = ::open(file.path().c_str(), O_RDONLY | O_CLOEXEC);
    Elf* elf = elf_begin(fd, ELF_C_READ_MMAP_PRIVATE, nullptr);
    relocate_dwarf(elf, *elf_file, {0, 0xffffffffc0000000, 0, 0, 0, 0, 0});
    const Elf_Data* data = elf_getdata(elf_getscn(elf, 2), nullptr);
    std::string text;
    for (size_t i = 0; i < data->d_size; ++i) text += fmt::format("{}{:02x}", i ? " " : "", static_cast<const uint8_t*>(data->d_buf)[i]);
    elf_end(elf);
    ::close(fd);
    return text;
}

std::vector<std::byte> bytes_of(std::initializer_list<unsigned> values) {
    std::vector<std::byte> bytes;
    for (const unsigned value : values) bytes.push_back(static_cast<std::byte>(value));
    return bytes;
}

constexpr uint16_t em_loongarch = 258;

} // namespace

TEST_CASE("relocations: RISC-V's words, and differences in two steps") {
    CHECK(relocated(EM_RISCV, std::vector<std::byte>(8), {{0, R_RISCV_64, 1, 4}}) == "14 00 00 c0 ff ff ff ff");
    CHECK(relocated(EM_RISCV, std::vector<std::byte>(4), {{0, R_RISCV_ADD32, 2, 0}, {0, R_RISCV_SUB32, 1, 0}}) == "4a 00 00 00");
    CHECK(relocated(EM_RISCV, std::vector<std::byte>(2), {{0, R_RISCV_SET16, 2, 0}, {0, R_RISCV_SUB16, 1, 0}}) == "4a 00");
}

TEST_CASE("relocations: RISC-V's six bits leave the instruction of CFI alone") {
    CHECK(relocated(EM_RISCV, bytes_of({0x40}), {{0, R_RISCV_SET6, 2, 0}, {0, R_RISCV_SUB6, 1, 0}}) == "4a");
}

TEST_CASE("relocations: RISC-V's LEB128 keeps its length") {
    CHECK(relocated(EM_RISCV, bytes_of({0x80, 0x00, 0x77}), {{0, 60, 2, 0x100}, {0, 61, 1, 0}}) == "ca 02 77");
    CHECK(relocated(EM_RISCV, bytes_of({0x80}), {{0, 60, 2, 0}}) == "80"); // has no end
}

TEST_CASE("relocations: LoongArch's differences") {
    CHECK(relocated(em_loongarch, std::vector<std::byte>(8), {{0, 51, 2, 0}, {0, 56, 1, 0}}) == "4a 00 00 00 00 00 00 00");
    CHECK(relocated(em_loongarch, bytes_of({0x41}), {{0, 105, 2, 0}, {0, 106, 1, 0}}) == "4b");
    CHECK(relocated(em_loongarch, bytes_of({0x80, 0x00}), {{0, 107, 2, 0}, {0, 108, 1, 0}}) == "ca 00");
}

TEST_CASE("relocations: one beyond its section changes nothing") {
    CHECK(relocated(EM_RISCV, std::vector<std::byte>(4), {{1, R_RISCV_32, 1, 0}, {4, R_RISCV_ADD8, 1, 0}, {uint64_t{1} << 63, 60, 1, 0}}) == "00 00 00 00");
}
