// SPDX-License-Identifier: GPL-3.0-or-later
// The tree of an xarray:
//
//     root.xa_head -> node(shift 6) -> slots[64] -> node(shift 0) -> slots[64] -> entry
//
// A node covers 2^shift indexes for each slot. Which pointers are nodes is told by low bits that changed once:
// 3159f943aafd ("xarray: Replace exceptional entries"), v4.20: 10 is a node (or a small internal entry: sibling, retry),
// x1 a value. Before, in the radix tree: 01 is a node, 10 an exceptional entry.
#include "kernel/xarray.hpp"
#include "core/error.hpp"
#include "core/interrupt.hpp"
#include <bit>
#include <unordered_set>

namespace kcrash {
namespace {

struct Layout {
    Member head, shift;
    uint64_t slots = 0;   // offset of slots[] in a node
    uint64_t count = 0;   // slots of a node
    unsigned bits = 0;    // log2(count)
    unsigned word = 8;    // bytes
    bool radix = false;   // the tags of the radix tree

    explicit Layout(const Target& target) : word(target.arch().word_size) {
        radix = target.types().find(TypeKind::structure, "xa_node") == nullptr;
        head = radix ? target.member("radix_tree_root", {"rnode"}) : target.member("xarray", {"xa_head"});
        const char* node = radix ? "radix_tree_node" : "xa_node";
        shift = target.member(node, {"shift"});
        const Member array = target.member(node, {"slots"});
        slots = array.offset;
        count = array.size / word;
        if (count < 2 || count > 4096 || !std::has_single_bit(count))
            throw CorruptError(std::string(node) + " has an impossible number of slots");
        bits = static_cast<unsigned>(std::countr_zero(count));
    }
    bool is_node(uint64_t entry) const { return radix ? (entry & 3) == 1 : (entry & 3) == 2 && entry > 4096; }
    bool is_internal(uint64_t entry) const { return radix ? false : (entry & 3) == 2; }
    uint64_t node(uint64_t entry) const { return entry & ~uint64_t{3}; }
};

class Walker {
public:
    Walker(const Target& target, const std::function<bool(uint64_t, uint64_t)>& visit)
        : target_(target), layout_(target), visit_(visit) {}

    XarrayResult run(uint64_t root) {
        uint64_t head = 0;
        const Fault fault = layout_.head.load(target_.kernel(), root, head);
        if (fault != Fault::none) lose(root, fault);
        else entry(head, 0, 64);
        return result_;
    }

private:
    // Returns false when the visitor had enough. `below`: a node here must have a smaller shift than that.
    bool entry(uint64_t value, uint64_t index, unsigned below) {
        if (value == 0) return true;
        if (layout_.is_node(value)) return node(layout_.node(value), index, below);
        if (layout_.is_internal(value)) return true; // sibling of a larger entry, or being changed
        ++result_.entries;
        return visit_(index, value);
    }

    bool node(uint64_t address, uint64_t index, unsigned below) {
        check_interrupt();
        uint64_t shift = 0;
        Fault fault = layout_.shift.load(target_.kernel(), address, shift);
        std::vector<std::byte> slots(layout_.count * layout_.word);
        if (fault == Fault::none) fault = target_.kernel().try_read(VirtualAddress(address + layout_.slots), slots);
        if (fault != Fault::none || shift >= below || shift > 60 || !seen_.insert(address).second) {
            lose(address, fault);
            return true;
        }
        const std::span<const std::byte> all(slots);
        for (uint64_t slot = 0; slot < layout_.count; ++slot) {
            const uint64_t value = load_unsigned(all.subspan(slot * layout_.word, layout_.word), target_.kernel().order());
            if (!entry(value, index + (slot << shift), static_cast<unsigned>(shift))) return false;
        }
        return true;
    }

    void lose(uint64_t at, Fault fault) {
        if (result_.lost_nodes++ == 0) {
            result_.fault = fault;
            result_.lost_at = at;
        }
    }

    const Target& target_;
    Layout layout_;
    const std::function<bool(uint64_t, uint64_t)>& visit_;
    XarrayResult result_;
    std::unordered_set<uint64_t> seen_; // a node hangs in one place only: what hangs twice would multiply without end
};

} // namespace

XarrayResult walk_xarray(const Target& target, uint64_t root, const std::function<bool(uint64_t, uint64_t)>& visit) {
    return Walker(target, visit).run(root);
}

uint64_t idr_root(const Target& target, uint64_t idr) {
    return idr + target.member("idr", {"idr_rt"}).offset;
}

} // namespace kcrash
