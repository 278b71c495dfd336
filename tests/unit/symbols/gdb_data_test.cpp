// SPDX-License-Identifier: GPL-3.0-or-later
#include "symbols/gdb/data.hpp"
#include <doctest/doctest.h>
#include <filesystem>
#include <fstream>
#include <stdlib.h>

namespace kcrash {

namespace fs = std::filesystem;

TEST_CASE("GDB's Python modules are unpacked once, whole, into the cache folder") {
    char name[] = "/tmp/kcrash-data-test-XXXXXX";
    const fs::path cache = mkdtemp(name);
    const fs::path folder = gdb_data_folder(cache);
    CHECK(folder.parent_path() == cache);
    CHECK(fs::exists(folder / "python/gdb/__init__.py"));
    CHECK(fs::exists(folder / "python/gdb/command/pretty_printers.py"));
    std::ifstream init(folder / "python/gdb/__init__.py");
    std::string text(std::istreambuf_iterator<char>(init), {});
    CHECK(text.find("import") != std::string::npos);
    CHECK(text.back() == '\n'); // not cut
    CHECK(std::distance(fs::directory_iterator(cache), fs::directory_iterator()) == 1); // nothing is left beside it
    fs::remove(folder / "python/gdb/command/pretty_printers.py");
    CHECK(gdb_data_folder(cache) == folder);
    CHECK_FALSE(fs::exists(folder / "python/gdb/command/pretty_printers.py")); // the second time only looks
    fs::remove_all(cache);
}

TEST_CASE("without a folder to write to, GDB has no Python modules, and says nothing") { CHECK(gdb_data_folder("/proc/nowhere").empty()); }

} // namespace kcrash
