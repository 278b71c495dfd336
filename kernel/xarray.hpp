// SPDX-License-Identifier: GPL-3.0-or-later
// Arrays of pointers by index: include/linux/xarray.h, the radix tree before it, and the IDR on top of both.
#pragma once
#include "kernel/target.hpp"
#include <functional>

namespace kcrash {

struct XarrayResult {
    uint64_t entries = 0;
    uint64_t lost_nodes = 0;  // nodes that could not be read, or contradict themselves
    Fault fault = Fault::none; // of the first lost node
    uint64_t lost_at = 0;      // address of the first lost node
};

// Visits the entries of the xarray (radix_tree_root) at `root` in ascending order of index; false stops. Value entries are
// given as they stand (bit 0 set). Bounded by the nodes' own shifts, which must fall. LookupError for an unknown layout.
XarrayResult walk_xarray(const Target& target, uint64_t root,
                         const std::function<bool(uint64_t index, uint64_t entry)>& visit);

// The address of the xarray inside a struct idr.
uint64_t idr_root(const Target& target, uint64_t idr);

} // namespace kcrash
