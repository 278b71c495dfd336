// SPDX-License-Identifier: GPL-3.0-or-later
#include "symbols/source_files.hpp"
#include <doctest/doctest.h>
#include <filesystem>
#include <fstream>
#include <unistd.h>

using namespace kcrash;
namespace fs = std::filesystem;

namespace {

// A folder with kernel/panic.c in it.
struct Tree {
    fs::path folder = fs::temp_directory_path() / ("kcrash-source-" + std::to_string(getpid()));
    Tree() {
        fs::create_directories(folder / "kernel");
        std::ofstream(folder / "kernel/panic.c") << "int a;\n\tint b;\r\nx\ty\n";
    }
    ~Tree() { fs::remove_all(folder); }
};

} // namespace

TEST_CASE("source files: found by the end of the recorded path, in the first folder that has one") {
    const Tree tree;
    SourceFiles files({"/nonexistent", tree.folder.string()});
    const auto* lines = files.lines("/build/linux-6.1/./kernel/panic.c");
    REQUIRE(lines);
    CHECK(*lines == std::vector<std::string>{"int a;", "        int b;", "x       y"});
    CHECK(files.lines("/build/linux-6.1/./kernel/panic.c") == lines);
    CHECK(files.lines("../../kernel/panic.c"));
    CHECK(files.lines((tree.folder / "kernel/panic.c").string()));
}

TEST_CASE("source files: a folder, a device and a file that is not here are no source; where they were looked for is told") {
    const Tree tree;
    SourceFiles files({tree.folder.string()});
    CHECK(!files.lines("/build/kernel"));
    CHECK(!files.lines("/dev/zero"));
    CHECK(!files.lines(""));
    CHECK(!files.lines("/build/kernel/fork.c"));
    CHECK(files.searched("/build/kernel/fork.c") == "/build/kernel/fork.c, and its end in " + tree.folder.string());
    CHECK(SourceFiles({}).searched("a.c") == "a.c");
}
