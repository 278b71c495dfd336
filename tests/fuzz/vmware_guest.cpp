// SPDX-License-Identifier: GPL-3.0-or-later
// Fuzzes core/dump/vmware_guest.cpp.
#include "tests/fuzz/fuzz_format.hpp"

namespace kcrash {
extern const DumpFormat vmware_guest_format;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    return kcrash::fuzz_format(kcrash::vmware_guest_format, data, size);
}
