// SPDX-License-Identifier: GPL-3.0-or-later
// Choosing a format, and refusing what is none.
#include "tests/fixtures/elf_writer.hpp"
#include "tests/fixtures/flattened_writer.hpp"
#include "tests/fixtures/kdump_writer.hpp"
#include "tests/fixtures/open_fixture.hpp"
#include <doctest/doctest.h>
#include <filesystem>

using namespace kcrash;
using namespace kcrash::fixtures;

static std::span<const std::byte> bytes_of(std::string_view text) { return std::as_bytes(std::span(text)); }

TEST_CASE("formats: a text file, an empty file, a directory, a device and a missing file are refused by name") {
    CHECK(open_error(bytes_of("just some text\n")) == "FILE: is not a dump of a format that kcrash knows");
    CHECK(open_error({}) == "FILE: is empty");
    CHECK(open_error(bytes_of("\177ELF")) == "FILE: is not a dump of a format that kcrash knows");
    const std::string folder = std::filesystem::temp_directory_path().string();
    CHECK(error_of([&] { open_dump({folder}); }, folder) == "FILE: is a directory");
    CHECK(error_of([] { open_dump({"/dev/null"}); }) == "/dev/null: is not a regular file");
    CHECK(error_of([] { open_dump({"/nowhere/vmcore"}); }) == "/nowhere/vmcore: No such file or directory");
    CHECK(error_of([] { open_dump({}); }) == "no dump file was given");
}

TEST_CASE("formats: an executable is not a dump, a core file is") {
    auto elf = write_elf(parse_memory("1 number"));
    const TemporaryFile core(elf);
    CHECK(looks_like_dump(*open_file(core.path())));
    elf[16] = std::byte{2}; // ET_EXEC
    const TemporaryFile executable(elf);
    CHECK_FALSE(looks_like_dump(*open_file(executable.path())));
    CHECK(open_error(elf) == "FILE: is not a dump of a format that kcrash knows");
}

TEST_CASE("formats: every kind of dump looks like one, damaged ones too") {
    const auto kdump = write_kdump(parse_memory("1 number"));
    for (const auto& bytes : {kdump, write_flattened(kdump), std::vector(kdump.begin(), kdump.begin() + 10)}) {
        const TemporaryFile file(bytes);
        CHECK(looks_like_dump(*open_file(file.path())));
    }
    const TemporaryFile text("text"), empty("");
    CHECK_FALSE(looks_like_dump(*open_file(text.path())));
    CHECK_FALSE(looks_like_dump(*open_file(empty.path())));
}

TEST_CASE("formats: two dumps of different formats are not one dump") {
    const TemporaryFile kdump(write_kdump(parse_memory("1 number"))), elf(write_elf(parse_memory("1 number")));
    CHECK(error_of([&] {
              open_dump({kdump.path(), elf.path()});
          }) == elf.path() + ": is not of the same dump as " + kdump.path());
    CHECK(error_of([&] {
              open_dump({elf.path(), elf.path()});
          }) == elf.path() + ": an ELF dump is one file; " + elf.path() + " is another dump");
}

TEST_CASE("formats: those that are recognised and not read say what they are and what to do") {
    struct Case {
        std::string_view start;
        const char* message;
    };
    using namespace std::string_view_literals;
    const char* convert = "convert it to an ELF or kdump-compressed file";
    const Case cases[] = {
        {"LinuxGuestRecord"sv, "Xen save file"},
        {"\x14\x20\x28\x01"sv, "Hyper-V saved state (.vmrs)"},
    };
    for (const Case& c : cases)
        CHECK(open_error(bytes_of(std::string(c.start) + std::string(100, '\0'))) ==
              std::string("FILE: is a ") + c.message + ", a format that kcrash does not read yet; " + convert);
    for (const DumpFormat* format : dump_formats()) CHECK(format->readable == (std::string_view(format->name) != "not read yet"));
}

TEST_CASE("formats: the dump is opened for reading only") {
    const TemporaryFile file(write_kdump(parse_memory("1 number")));
    std::filesystem::permissions(file.path(), std::filesystem::perms::owner_read);
    CHECK(open_dump({file.path()})->info().max_frame == 2);
}
