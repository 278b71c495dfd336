// SPDX-License-Identifier: GPL-3.0-or-later
// Fuzzes core/dump/flattened.cpp: the records, and the kdump-compressed file that they may hold.
#include "core/dump/flattened.hpp"
#include "tests/fuzz/fuzz_format.hpp"

namespace kcrash {
extern const DumpFormat kdump_format;
}

using namespace kcrash;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    const auto bytes = std::as_bytes(std::span(data, size));
    if (!is_flattened(bytes)) return -1;
    std::vector<std::string> warnings;
    bool truncated = false;
    try {
        const auto inner = open_flattened(std::make_shared<FuzzSource>(bytes), warnings, truncated);
        std::vector<std::byte> piece(5000);
        for (uint64_t at = 0; at < inner->size() && at < 200'000; at += piece.size())
            (void)inner->try_read(FileOffset(at), piece);
        (void)inner->try_read(FileOffset(UINT64_MAX), piece);
        (void)inner->next_data(FileOffset(inner->size() / 2));
        use_dump(*kdump_format.open({inner}));
    } catch (const Error&) {}
    return 0;
}
