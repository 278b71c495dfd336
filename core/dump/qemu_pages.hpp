// SPDX-License-Identifier: GPL-3.0-or-later
// The pages of a QEMU migration stream, in the order in which they came.
#pragma once
#include "core/dump/extents.hpp"
#include "core/file.hpp"

namespace kcrash {

// Pages are numbered as they come; a run of them that lie at equal distances in the file is one entry.
class StreamPages {
public:
    static constexpr uint64_t page_size = 4096;
    // The next page: its bytes at `at`, or one byte at `at` that fills it. Gives the page's number.
    uint64_t add(uint64_t at, bool fill);
    // The next `count` pages, whose bytes follow each other; or one byte that fills all of them. Gives the first one's number.
    uint64_t add_row(uint64_t at, bool fill, uint64_t count);
    // The pages as one file: page n at n * page_size.
    std::shared_ptr<const ByteSource> source(std::shared_ptr<const ByteSource> file) &&;

    struct Run {
        uint64_t first;    // number of its first page
        uint64_t at;       // file offset of the first page's bytes
        uint32_t distance; // from one page to the next, bytes
        bool fill;
    };

private:
    std::vector<Run> runs_;
    uint64_t count_ = 0;
};

} // namespace kcrash
