// SPDX-License-Identifier: GPL-3.0-or-later
#include "kernel/list.hpp"
#include "core/interrupt.hpp"
#include <algorithm>
#include <fmt/format.h>
#include <unordered_set>

namespace kcrash {

std::string WalkResult::describe() const {
    switch (end) {
    case WalkEnd::unreadable: return fmt::format("the link at {:#x} is {}", at, kcrash::describe(fault));
    case WalkEnd::null: return fmt::format("the link at {:#x} is null", at);
    case WalkEnd::cycle: return fmt::format("the link at {:#x} leads back into the list: a cycle", at);
    case WalkEnd::limit: return fmt::format("more than {} nodes", count);
    case WalkEnd::complete:
    case WalkEnd::stopped: break;
    }
    return "complete";
}

WalkResult walk_links(uint64_t first, uint64_t end, const LinkReader& link, const NodeVisitor& visit, uint64_t limit) {
    WalkResult result;
    std::unordered_set<uint64_t> seen;
    result.at = end; // the first link is the head's
    const auto ended = [&](WalkEnd why) { result.end = why; return result; };
    for (uint64_t node = first; node != end;) {
        check_interrupt();
        if (node == 0) return ended(WalkEnd::null);
        if (end == 0 && (node & 1)) return ended(WalkEnd::complete);
        if (!seen.insert(node).second) return ended(WalkEnd::cycle);
        if (result.count == limit) return ended(WalkEnd::limit);
        ++result.count;
        if (!visit(node)) return ended(WalkEnd::stopped);
        result.at = node;
        uint64_t next = 0;
        result.fault = link(node, next);
        if (result.fault != Fault::none) return ended(WalkEnd::unreadable);
        node = next;
    }
    return result;
}

LinkReader pointer_reader(const AddressSpace& space, unsigned word, uint64_t offset) {
    return [&space, word, offset](uint64_t node, uint64_t& next) {
        std::byte bytes[8];
        const std::span<std::byte> into(bytes, word == 4 ? 4 : 8);
        const Fault fault = space.try_read(VirtualAddress(node + offset), into);
        if (fault == Fault::none) next = load_unsigned(into, space.order());
        return fault;
    };
}

// The first link of a ring is in its head; an unreadable head is a walk that ended there.
static WalkResult walk_ring(uint64_t head, const LinkReader& link, const NodeVisitor& visit) {
    uint64_t first = 0;
    const Fault fault = link(head, first);
    if (fault != Fault::none) return {WalkEnd::unreadable, head, fault, 0};
    return walk_links(first, head, link, visit);
}

WalkResult walk_list(const AddressSpace& space, unsigned word, uint64_t head, const NodeVisitor& visit) {
    return walk_ring(head, pointer_reader(space, word), visit);
}

WalkResult walk_chain(const AddressSpace& space, unsigned word, uint64_t first, const NodeVisitor& visit) {
    return walk_links(first, 0, pointer_reader(space, word), visit);
}

ListNodes list_nodes(uint64_t head, const LinkReader& next, const LinkReader& previous) {
    ListNodes list;
    list.forward = walk_ring(head, next, [&](uint64_t node) { list.nodes.push_back(node); return true; });
    if (list.forward.whole()) return list;
    const std::unordered_set<uint64_t> seen(list.nodes.begin(), list.nodes.end());
    std::vector<uint64_t> rest;
    list.backward = walk_ring(head, previous, [&](uint64_t node) {
        if (seen.contains(node)) return false;
        rest.push_back(node);
        return true;
    });
    std::reverse(rest.begin(), rest.end());
    list.nodes.insert(list.nodes.end(), rest.begin(), rest.end());
    return list;
}

ListNodes list_nodes(const AddressSpace& space, unsigned word, uint64_t head) {
    return list_nodes(head, pointer_reader(space, word), pointer_reader(space, word, word));
}

} // namespace kcrash
