// SPDX-License-Identifier: GPL-3.0-or-later
#include "commands/shell/arguments.hpp"
#include "core/error.hpp"
#include <doctest/doctest.h>

using namespace kcrash;

namespace {

Arguments parse(std::vector<std::string> words) {
    std::vector<char*> pointers;
    for (std::string& word : words) pointers.push_back(word.data());
    return parse_arguments(pointers);
}

} // namespace

TEST_CASE("arguments: options and files in any order, letters together, long ones with = or a blank") {
    const Arguments arguments = parse({"vmcore", "-si", "file", "--kaslr=0x1000", "vmlinux", "--mod", "dir", "-C", "bt",
                                       "--command=ps", "--no_modules", "--", "-x"});
    CHECK(arguments.files == std::vector<std::string>{"vmcore", "vmlinux", "-x"});
    CHECK(arguments.silent);
    CHECK(arguments.input_files == std::vector<std::string>{"file"});
    CHECK(arguments.target.kaslr == 0x1000U);
    CHECK(arguments.target.module_directories == std::vector<std::string>{"dir"});
    CHECK(arguments.commands == std::vector<std::string>{"bt", "ps"});
    CHECK_FALSE(arguments.target.load_modules);
}

TEST_CASE("arguments: help takes the next word unless it is an option") {
    CHECK(parse({"-h", "bt"}).help_topic == "bt");
    CHECK(parse({"--help", "-s"}).help_topic == "");
    CHECK(parse({"--help", "-s"}).silent);
    CHECK(parse({"-h"}).mode == Mode::help);
}

TEST_CASE("arguments: facts of the machine have names and numbers") {
    CHECK(parse({"-m", "phys_base=0x1000000"}).target.machine.at("phys_base") == 0x1000000);
    CHECK_THROWS_WITH_AS(parse({"-m", "phys_base=high"}), "-m phys_base=high: not NAME=VALUE, as in phys_base=0x1000000",
                         UsageError);
    CHECK_THROWS_WITH_AS(parse({"--kaslr", "high"}), "--kaslr high: not an offset; give bytes (0x1d000000, 464m) or auto",
                         UsageError);
}

TEST_CASE("arguments: options of crash that mean nothing here say so, and take their argument along") {
    const Arguments arguments = parse({"--hash", "32768", "-f", "vmcore"});
    CHECK(arguments.files == std::vector<std::string>{"vmcore"});
    REQUIRE(arguments.notes.size() == 2);
    CHECK(arguments.notes[0] == "--hash means nothing here: lists are checked for cycles without a table of fixed size");
}
