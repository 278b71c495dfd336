// SPDX-License-Identifier: GPL-3.0-or-later
#include "kernel/list.hpp"
#include <doctest/doctest.h>
#include <map>

using namespace kcrash;

// A ring of nodes 1..n around head 100, whose links can be bent or lost.
struct Ring {
    std::map<uint64_t, uint64_t> next, previous;
    explicit Ring(uint64_t n) {
        for (uint64_t i = 0; i <= n; ++i) {
            const uint64_t here = i == 0 ? 100 : 10 * i, there = i == n ? 100 : 10 * (i + 1);
            next[here] = there;
            previous[there] = here;
        }
    }
    static LinkReader reader(const std::map<uint64_t, uint64_t>& links) {
        return [&links](uint64_t node, uint64_t& to) {
            const auto link = links.find(node);
            if (link == links.end()) return Fault::excluded;
            to = link->second;
            return Fault::none;
        };
    }
    ListNodes nodes() const { return list_nodes(100, reader(next), reader(previous)); }
};

using Nodes = std::vector<uint64_t>;

TEST_CASE("list: a whole ring is walked once, in its order") {
    const ListNodes list = Ring(4).nodes();
    CHECK(list.nodes == Nodes{10, 20, 30, 40});
    CHECK(list.forward.whole());
}

TEST_CASE("list: a node that was excluded from the dump costs nothing, for the rest is found backward") {
    Ring ring(4);
    ring.next.erase(20);
    ring.previous.erase(20);
    const ListNodes list = ring.nodes();
    CHECK(list.nodes == Nodes{10, 20, 30, 40});
    CHECK(list.forward.end == WalkEnd::unreadable);
    CHECK(list.forward.describe() == "the link at 0x14 is " + std::string(describe(Fault::excluded)));
}

TEST_CASE("list: a cycle ends the walk and the nodes behind it are found backward") {
    Ring ring(5);
    ring.next[30] = 20;
    const ListNodes list = ring.nodes();
    CHECK(list.nodes == Nodes{10, 20, 30, 40, 50});
    CHECK(list.forward.end == WalkEnd::cycle);
    CHECK(list.forward.describe() == "the link at 0x1e leads back into the list: a cycle");
}

TEST_CASE("list: a cycle in both directions still ends") {
    Ring ring(4);
    ring.next[30] = 10;
    ring.previous[20] = 40;
    CHECK(ring.nodes().nodes.size() == 4);
}

TEST_CASE("list: a null link in a ring is broken, in a chain it is the end") {
    Ring ring(2);
    ring.next[20] = 0;
    CHECK(ring.nodes().forward.end == WalkEnd::null);
    Nodes seen;
    const WalkResult walk = walk_links(10, 0, Ring::reader(ring.next), [&](uint64_t node) { seen.push_back(node); return true; });
    CHECK(walk.end == WalkEnd::complete);
    CHECK(seen == Nodes{10, 20});
}

TEST_CASE("list: an odd address ends a chain, as list_nulls.h has it") {
    const std::map<uint64_t, uint64_t> links{{10, 21}};
    CHECK(walk_links(10, 0, Ring::reader(links), [](uint64_t) { return true; }).whole());
}

TEST_CASE("list: an unreadable head is not an empty list") {
    Ring ring(0);
    CHECK(ring.nodes().forward.whole());
    ring.next.clear();
    CHECK(ring.nodes().forward.end == WalkEnd::unreadable);
}
