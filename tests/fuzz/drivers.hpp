// SPDX-License-Identifier: GPL-3.0-or-later
// What is fuzzed: one row for each dump format, each architecture's page walks, and each reader of what lies inside a dump.
//
// To add one: a line in tests/fuzz/drivers.cpp, and a sample in tests/fixtures/every_format.cpp or a line in tests/fuzz/seeds.cpp.
#pragma once
#include <cstddef>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace kcrash {
struct DumpFormat;
}

namespace kcrash::fuzz {

struct Driver {
    std::string name;                                        // "elf", "walk-arm64"
    std::vector<std::string> sources;                        // the files whose lines count, relative to the top
    std::function<bool(std::span<const std::byte>)> run;     // false: not an input of this driver. Throws kcrash::Error.
    size_t longest = 300'000;                                // bytes of an input
    const DumpFormat* format = nullptr;                      // the format that it opens files as
};

const std::vector<Driver>& drivers();
// Null: there is none.
const Driver* find_driver(std::string_view name);
// One input, for a fuzzer and for a replay: false when it is not one of this driver's. Whatever kcrash does not throw on purpose
// leaves it.
bool run_input(const Driver& driver, std::span<const std::byte> input);

} // namespace kcrash::fuzz
