// SPDX-License-Identifier: GPL-3.0-or-later
// Ranges of a larger whole and where in a file the bytes of each are.
#pragma once
#include <cstdint>
#include <vector>

namespace kcrash {

struct Extent {
    uint64_t begin = 0, end = 0; // of the whole; end is exclusive
    uint64_t source = 0;         // file offset of `begin`
    uint64_t rank = 0;           // where extents overlap the lowest rank wins
};

// Sorts extents and resolves their overlaps: the result is ascending and free of overlaps. n log n, at most 2n come out.
// Neighbours that continue each other in the file and have the same rank class (see `same_kind`) become one.
void resolve_overlaps(std::vector<Extent>& extents, bool (*same_kind)(const Extent&, const Extent&));

// The extent that holds `at`, or the first one behind it; null when there is none. `extents` are resolved.
const Extent* find_extent(const std::vector<Extent>& extents, uint64_t at);

} // namespace kcrash
