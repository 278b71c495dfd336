// SPDX-License-Identifier: GPL-3.0-or-later
// Maple trees: include/linux/maple_tree.h.
#pragma once
#include "kernel/target.hpp"
#include <functional>
#include <string>

namespace kcrash {

// One entry: the index range that it stands for, both ends inclusive, and the stored pointer.
struct MapleEntry {
    uint64_t first, last;
    uint64_t value;
};

// Visits the entries whose range meets [from, to] in ascending order; stops when the visitor returns false. Each branch that
// cannot be read, or breaks the rules of the tree, is told to `damage` and left out. Never hangs: depth and nodes are bounded.
void walk_maple_tree(const Target& target, uint64_t maple_tree, uint64_t from, uint64_t to,
                     const std::function<bool(const MapleEntry&)>& visit, const std::function<void(std::string)>& damage);

} // namespace kcrash
