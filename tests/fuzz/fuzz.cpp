// SPDX-License-Identifier: GPL-3.0-or-later
// libFuzzer's two functions: fuzz --driver=NAME [libFuzzer's options] FOLDER... Without a driver it lists them:
// name, longest input, files whose lines count.
#include "tests/fuzz/drivers.hpp"
#include <cstdio>
#include <cstdlib>

using namespace kcrash::fuzz;

namespace {
const Driver* driver = nullptr;
}

extern "C" int LLVMFuzzerInitialize(int* argc, char*** argv) {
    constexpr std::string_view option = "--driver=";
    for (int i = 1; i < *argc; ++i)
        if (const std::string_view word = (*argv)[i]; word.starts_with(option)) driver = find_driver(word.substr(option.size()));
    if (driver) return 0;
    for (const Driver& each : drivers()) {
        std::printf("%s %zu", each.name.c_str(), each.longest);
        for (const std::string& source : each.sources) std::printf(" %s", source.c_str());
        std::printf("\n");
    }
    std::exit(2);
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    return run_input(*driver, std::as_bytes(std::span(data, size))) ? 0 : -1; // -1: not kept in the corpus
}
