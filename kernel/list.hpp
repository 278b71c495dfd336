// SPDX-License-Identifier: GPL-3.0-or-later
// Linked lists of the kernel: include/linux/list.h, llist.h, list_nulls.h.
#pragma once
#include "core/memory/address_space.hpp"
#include <functional>
#include <string>
#include <vector>

namespace kcrash {

enum class WalkEnd : uint8_t {
    complete,   // came back to the head, or to the end of a chain
    stopped,    // the visitor had enough
    unreadable, // the link of node `at` cannot be read: `fault` says why
    null,       // the link of node `at` is null, where a ring must go on
    cycle,      // the link of node `at` leads to a node that was seen before
    limit,      // more nodes than any list has
};

struct WalkResult {
    WalkEnd end = WalkEnd::complete;
    uint64_t at = 0;    // the node whose link ended the walk
    Fault fault = Fault::none;
    uint64_t count = 0; // nodes visited
    bool whole() const { return end == WalkEnd::complete || end == WalkEnd::stopped; }
    // "the link at 0xffff888004a31000 is excluded from the dump by makedumpfile", for messages.
    std::string describe() const;
};

// Reads the link of a node: the address of the next node.
using LinkReader = std::function<Fault(uint64_t node, uint64_t& next)>;
using NodeVisitor = std::function<bool(uint64_t node)>; // false: stop

// Follows links from `first` until `end` (the head of a ring, 0 for a chain). Visits every node once; never hangs.
// An odd address ends a chain: list_nulls.h marks its end so. Never throws.
WalkResult walk_links(uint64_t first, uint64_t end, const LinkReader& link, const NodeVisitor& visit,
                      uint64_t limit = uint64_t{1} << 26);

// Reads one pointer of `word` bytes.
LinkReader pointer_reader(const AddressSpace& space, unsigned word, uint64_t offset = 0);

// The nodes of a list_head ring, without its head.
WalkResult walk_list(const AddressSpace& space, unsigned word, uint64_t head, const NodeVisitor& visit);
// The nodes of an hlist or llist from its first one.
WalkResult walk_chain(const AddressSpace& space, unsigned word, uint64_t first, const NodeVisitor& visit);

// All nodes of a ring that can be reached: forward, and where that breaks also backward from the head.
struct ListNodes {
    std::vector<uint64_t> nodes; // in the ring's order
    WalkResult forward;          // whole(): then there was no need to go backward
    WalkResult backward;
};
ListNodes list_nodes(uint64_t head, const LinkReader& next, const LinkReader& previous);
ListNodes list_nodes(const AddressSpace& space, unsigned word, uint64_t head);

} // namespace kcrash
