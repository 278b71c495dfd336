// SPDX-License-Identifier: GPL-3.0-or-later
// Fuzzes core/dump/avml.cpp.
#include "tests/fuzz/fuzz_format.hpp"

namespace kcrash {
extern const DumpFormat avml_format;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    return kcrash::fuzz_format(kcrash::avml_format, data, size);
}
