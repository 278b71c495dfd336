// SPDX-License-Identifier: GPL-3.0-or-later
// Walking maple trees.
//
// A node has 256 bytes and is aligned to them. A pointer to a node carries its type in its low byte (bits 6:3): dense 0,
// leaf 1, range 2, range with gaps 3. Leaves hold entries, the others nodes. The pointer in the tree's head has binary 10 in
// bits 1:0 too, since a tree of one entry holds that entry there.
// pivot[i] is the last index of slot[i]; the first index is one more than the pivot before. A node that is not full ends
// with a pivot of 0, or with one that reaches the end of the node's own range. Its last slots may hold other data then.
//
//   range_64:   parent | pivot[15]          | slot[16]            arange_64:  parent | pivot[9] | slot[10] | gap[10] | meta
//
// How many pivots and slots there are is asked of the types. The ranges narrow with each level, so that no cycle is
// possible but in the nodes' own count, which is bounded.
// Facts: include/linux/maple_tree.h, lib/maple_tree.c (Linux 54a611b60590, "Maple Tree: add new data structure", v6.1).
#include "kernel/maple_tree.hpp"
#include "core/error.hpp"
#include "core/interrupt.hpp"
#include "kernel/word.hpp"
#include <fmt/format.h>

namespace kcrash {
namespace {

constexpr unsigned deepest = 16;
constexpr uint64_t most_nodes = 1 << 22;

bool is_node(uint64_t entry) { return (entry & 3) == 2 && entry > 4096; }
bool is_reserved(uint64_t entry) { return (entry & 3) == 2 && entry <= 4096; } // XA_ZERO_ENTRY and the like: no value

struct NodeLayout {
    uint64_t pivots = 0, pivot_count = 0, slots = 0, slot_count = 0; // offsets in bytes and counts
};

class Walker {
public:
    Walker(const Target& target, uint64_t from, uint64_t to, const std::function<bool(const MapleEntry&)>& visit,
           const std::function<void(std::string)>& damage)
        : target_(target), from_(from), to_(to), visit_(visit), damage_(damage), range_(layout("struct maple_range_64")),
          arange_(layout("struct maple_arange_64")), size_(target.size_of("struct maple_node")), word_(target.arch().word_size) {}

    bool node(uint64_t entry, uint64_t first, uint64_t last, unsigned depth) {
        check_interrupt();
        const uint64_t address = entry & ~uint64_t{0xff};
        const unsigned type = entry >> 3 & 0xf;
        if (depth > deepest || ++nodes_ > most_nodes || type == 0 || type > 4) {
            damage_(fmt::format("maple tree node 0x{:x} breaks the rules of the tree", address));
            return true;
        }
        std::vector<std::byte> bytes(size_);
        if (const Fault fault = target_.kernel().try_read(VirtualAddress{address}, bytes); fault != Fault::none) {
            damage_(fmt::format("maple tree node 0x{:x}: {}", address, describe(fault)));
            return true;
        }
        return slots(bytes, type == 3 || type == 4 ? arange_ : range_, type == 1, first, last, depth);
    }

private:
    NodeLayout layout(std::string_view type) const {
        const Type& found = target_.types().require(type);
        const auto pivot = find_member(&found, "pivot"), slot = find_member(&found, "slot");
        if (!pivot || !slot) throw LookupError(fmt::format("{} has no pivot or no slot", type));
        return {pivot->bit_offset / 8, strip(pivot->type)->count, slot->bit_offset / 8, strip(slot->type)->count};
    }

    uint64_t word(const std::vector<std::byte>& bytes, uint64_t offset) const {
        return offset + word_ <= bytes.size() ? load_unsigned(std::span(bytes).subspan(offset, word_), target_.arch().order) : 0;
    }

    bool slots(const std::vector<std::byte>& bytes, const NodeLayout& at, bool leaf, uint64_t first, uint64_t last, unsigned depth) {
        for (uint64_t i = 0; i < at.slot_count; ++i) {
            uint64_t pivot = i < at.pivot_count ? word(bytes, at.pivots + i * word_) : last;
            if (pivot == 0 && i > 0) pivot = last;
            if (pivot < first || pivot > last) pivot = last;
            const uint64_t child = word(bytes, at.slots + i * word_);
            if (child && !(leaf && is_reserved(child)) && pivot >= from_ && first <= to_) {
                if (leaf ? !visit_({first, pivot, child}) : !node(child, first, pivot, depth + 1)) return false;
            }
            if (pivot >= last || pivot >= to_) break;
            first = pivot + 1;
        }
        return true;
    }

    const Target& target_;
    uint64_t from_, to_, nodes_ = 0;
    const std::function<bool(const MapleEntry&)>& visit_;
    const std::function<void(std::string)>& damage_;
    NodeLayout range_, arange_;
    uint64_t size_;
    unsigned word_;
};

} // namespace

void walk_maple_tree(const Target& target, uint64_t maple_tree, uint64_t from, uint64_t to,
                     const std::function<bool(const MapleEntry&)>& visit, const std::function<void(std::string)>& damage) {
    const uint64_t root = target.object("struct maple_tree", maple_tree)["ma_root"].u64();
    if (is_node(root)) Walker(target, from, to, visit, damage).node(root, 0, truncate_to_word(target, ~uint64_t{0}), 0);
    else if (root && !is_reserved(root) && from == 0) visit({0, 0, root});
}

} // namespace kcrash
