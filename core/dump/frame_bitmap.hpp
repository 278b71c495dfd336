// SPDX-License-Identifier: GPL-3.0-or-later
// A bitmap of page frames in a dump file, with the rank of each set bit: how many are set before it.
//
//     bits   |.... 512 bits ....|.... 512 bits ....|   one line of 64 bytes
//     lines   0                  popcount so far ...   u32, counted from the start of the part
//     parts_  one u64 for every 2^31 bits, and the lines of those that have a bit set
//
// The index costs 1/16 of the bitmap, whatever the bitmap holds; lists of runs would cost 100 times the bitmap on a
// dump in which every second page was excluded. Parts and stretches of the file that are one hole cost nothing.
#pragma once
#include "core/address.hpp"
#include "core/file.hpp"
#include <memory>
#include <vector>

namespace kcrash {

// From which end the bits of a byte are counted: kdump from the lowest, sadump from the highest.
enum class BitOrder : uint8_t { low_first, high_first };

// A bitmap of `frames` bits at `at`. Shares the file.
struct BitmapPlace {
    std::shared_ptr<const ByteSource> file;
    FileOffset at;
    uint64_t frames = 0;
    BitOrder order = BitOrder::low_first;
};

// Safe from many threads once built.
class FrameBitmap {
public:
    struct Answer {
        bool set = false;
        uint64_t rank = 0; // set bits before this one
    };

    // Reads the bitmap through once. Throws FileError when it is not all there.
    explicit FrameBitmap(BitmapPlace place);

    // Not for a frame beyond the bitmap: that is not set, and its rank is count().
    Fault try_find(PageFrame frame, Answer& answer) const;
    uint64_t count() const { return count_; }

private:
    using Line = std::byte[64];
    struct Part {
        uint64_t before = 0;         // set bits before this part
        std::vector<uint32_t> lines; // empty: no bit is set
    };
    Fault try_line(uint64_t line, Line& into) const;
    void count_lines(uint64_t first_line, std::span<const std::byte> bytes);

    BitmapPlace place_;
    std::vector<std::byte> bits_; // all of it, or nothing when it is large
    std::vector<Part> parts_;
    uint64_t count_ = 0;
};

// The runs of set bits of a bitmap, ascending, as frame numbers [first, second). At most `limit` of them: the last run then
// reaches to the end, because whoever asks wants to miss nothing. Throws FileError.
std::vector<std::pair<uint64_t, uint64_t>> bitmap_runs(const BitmapPlace& place, size_t limit);

} // namespace kcrash
