// SPDX-License-Identifier: GPL-3.0-or-later
// Resolving overlaps with one sweep, so that a hostile file with a million overlapping pieces costs n log n.
#include "core/dump/extents.hpp"
#include <algorithm>
#include <queue>

namespace kcrash {
namespace {

bool starts_before(const Extent& a, const Extent& b) { return a.begin < b.begin; }
bool outranked(const Extent& a, const Extent& b) { return a.rank > b.rank; }

bool disjoint(const std::vector<Extent>& sorted) {
    for (size_t i = 1; i < sorted.size(); ++i)
        if (sorted[i].begin < sorted[i - 1].end) return false;
    return true;
}

} // namespace

void resolve_overlaps(std::vector<Extent>& extents, bool (*same_kind)(const Extent&, const Extent&)) {
    std::erase_if(extents, [](const Extent& e) { return e.begin >= e.end; });
    if (!std::is_sorted(extents.begin(), extents.end(), starts_before))
        std::stable_sort(extents.begin(), extents.end(), starts_before);
    if (disjoint(extents)) return;

    std::vector<Extent> result;
    std::priority_queue<Extent, std::vector<Extent>, decltype(&outranked)> open(&outranked);
    uint64_t at = 0;
    for (size_t next = 0; next < extents.size() || !open.empty();) {
        while (!open.empty() && open.top().end <= at) open.pop();
        if (open.empty()) {
            if (next == extents.size()) break;
            at = extents[next].begin;
        }
        while (next < extents.size() && extents[next].begin <= at) open.push(extents[next++]);
        const Extent& best = open.top();
        if (best.end <= at) continue; // an ended one came to the top
        uint64_t end = best.end;
        if (next < extents.size()) end = std::min(end, extents[next].begin);
        const Extent piece{at, end, best.source + (at - best.begin), best.rank};
        if (!result.empty() && result.back().end == at && result.back().source + (at - result.back().begin) == piece.source &&
            same_kind(result.back(), piece))
            result.back().end = end;
        else result.push_back(piece);
        at = end;
    }
    extents = std::move(result);
}

const Extent* find_extent(const std::vector<Extent>& extents, uint64_t at) {
    const auto behind =
        std::upper_bound(extents.begin(), extents.end(), at, [](uint64_t a, const Extent& e) { return a < e.end; });
    return behind == extents.end() ? nullptr : &*behind;
}

} // namespace kcrash
