// SPDX-License-Identifier: GPL-3.0-or-later
// Memory nodes and zones: include/linux/mmzone.h.
#pragma once
#include "kernel/target.hpp"

namespace kcrash {

struct Zone {
    uint64_t address = 0;
    unsigned node = 0, index = 0;
    std::string name;                                        // "DMA32"
    std::optional<uint64_t> spanned, present, managed;       // pages
    std::optional<uint64_t> start_frame;
    std::vector<std::optional<uint64_t>> watermarks;         // min, low, high: pages
    std::vector<std::optional<int64_t>> counters;            // by enum zone_stat_item; negative readings as they are
    bool populated() const { return present.value_or(spanned.value_or(0)) != 0; }
};

struct Node {
    uint64_t address = 0; // of pglist_data
    unsigned id = 0;
    std::optional<uint64_t> spanned, present, start_frame;   // pages
    std::vector<Zone> zones;
};
// The online nodes. LookupError when this kernel's are unknown. Unreadable nodes are named in `warnings`.
std::vector<Node> read_nodes(const Target& target, std::vector<std::string>& warnings);

// Pages of memory that the nodes have; nothing when unknown.
std::optional<uint64_t> present_pages(const Target& target);

} // namespace kcrash
