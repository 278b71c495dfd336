// SPDX-License-Identifier: GPL-3.0-or-later
// fuzz_replay FOLDER: runs every input of FOLDER/<driver>/ through its driver, as the fuzzer did, and every fixture of page tables. Each
// must end within ten seconds; every driver must have inputs, and every format a driver.
#include "core/dump/dump.hpp"
#include "tests/fuzz/drivers.hpp"
#include "tests/fuzz/walks.hpp"
#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <unistd.h>

using namespace kcrash::fuzz;
namespace fs = std::filesystem;

namespace {

std::string read(const fs::path& path) {
    std::fprintf(stderr, "%s\n", path.c_str()); // the last one, when it dies here
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
}

bool timed(const Driver& driver, std::span<const std::byte> input) {
    alarm(10);
    const bool used = run_input(driver, input);
    alarm(0);
    return used;
}

unsigned replay(const Driver& driver, const fs::path& folder) {
    unsigned used = 0;
    if (fs::is_directory(folder))
        for (const auto& entry : fs::directory_iterator(folder)) {
            const std::string bytes = read(entry.path());
            used += timed(driver, std::as_bytes(std::span(bytes)));
        }
    if (!driver.name.starts_with("walk-")) return used;
    for (const auto& entry : fs::directory_iterator(KCRASH_FIXTURES "/page_tables"))
        if (const std::string text = read(entry.path()); "walk-" + walk_machine(text) == driver.name) used += timed(driver, walk_input(text));
    return used;
}

} // namespace

int main(int argc, char** argv) {
    if (argc != 2) {
        std::fputs("usage: fuzz_replay FOLDER\n", stderr);
        return 2;
    }
    unsigned passed = 0, failed = 0;
    const auto check = [&](bool good, const std::string& what) {
        ++(good ? passed : failed);
        if (!good) std::printf("%s\n", what.c_str());
    };
    for (const Driver& driver : drivers()) { // the walks' are made from the list of architectures
        const unsigned used = replay(driver, fs::path(argv[1]) / driver.name);
        std::printf("%s: %u inputs\n", driver.name.c_str(), used);
        check(used > 0, driver.name + ": has no input");
    }
    for (const kcrash::DumpFormat* format : kcrash::dump_formats())
        check(std::any_of(drivers().begin(), drivers().end(), [&](const Driver& driver) { return driver.format == format; }),
              std::string(format->name) + ": has no driver: add it to tests/fuzz/drivers.cpp");
    std::printf("fuzz-corpus: %u passed, %u failed, 0 skipped\n", passed, failed);
    return failed != 0;
}
