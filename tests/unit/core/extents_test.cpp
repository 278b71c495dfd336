// SPDX-License-Identifier: GPL-3.0-or-later
// Overlapping ranges.
#include "core/dump/extents.hpp"
#include <algorithm>
#include <doctest/doctest.h>
#include <random>

using namespace kcrash;

static bool alike(const Extent&, const Extent&) { return true; }

TEST_CASE("extents: after resolving, each byte belongs to the lowest rank that covers it") {
    std::mt19937 random(5);
    for (unsigned turn = 0; turn < 200; ++turn) {
        std::vector<Extent> extents;
        std::vector<const Extent*> owner(200, nullptr);
        for (uint64_t rank = 0; rank < 1 + turn % 20; ++rank) {
            const uint64_t begin = random() % 190, length = random() % 40;
            extents.push_back({begin, std::min<uint64_t>(begin + length, 200), rank * 1000 + begin, rank});
        }
        const auto original = extents;
        for (const Extent& e : original)
            for (uint64_t at = e.begin; at < e.end; ++at)
                if (!owner[at]) owner[at] = &e;
        std::shuffle(extents.begin(), extents.end(), random);
        resolve_overlaps(extents, alike);
        bool right = true;
        for (size_t i = 1; i < extents.size(); ++i) right &= extents[i].begin >= extents[i - 1].end;
        for (uint64_t at = 0; at < 200; ++at) {
            const Extent* found = find_extent(extents, at);
            const bool covered = found && found->begin <= at;
            right &= covered == (owner[at] != nullptr);
            if (covered && owner[at]) right &= found->source + (at - found->begin) == owner[at]->source + (at - owner[at]->begin);
        }
        CHECK_MESSAGE(right, turn);
    }
}

TEST_CASE("extents: behind the last there is nothing") {
    std::vector<Extent> extents{{10, 20, 0, 0}};
    CHECK(find_extent(extents, 5) == &extents[0]);
    CHECK(find_extent(extents, 19) == &extents[0]);
    CHECK(find_extent(extents, 20) == nullptr);
    CHECK(find_extent({}, 0) == nullptr);
}
