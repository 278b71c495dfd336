// SPDX-License-Identifier: GPL-3.0-or-later
// Where the areas hang:
//
//   v2.6.28 to v6.8   vmap_area_list, linked by vmap_area.list
//   since v6.9        vmap_nodes[nr_vmap_nodes].busy.head (d093602919ad, "mm: vmalloc: remove global vmap_area_root rb-tree")
//
// An area that vm_map_ram() made has no vm_struct; since v5.4 its place holds something else until it is made busy.
#include "kernel/vmalloc.hpp"
#include "core/error.hpp"
#include "kernel/list.hpp"
#include "kernel/word.hpp"
#include <algorithm>
#include <fmt/format.h>

namespace kcrash {
namespace {

class Reader {
public:
    explicit Reader(const Target& target) : target_(target) {
        begin_ = target.member("vmap_area", {"va_start"});
        end_ = target.member("vmap_area", {"va_end"});
        link_ = target.member("vmap_area", {"list"});
        vm_ = target.member("vmap_area", {"vm", "private"});
        // VM_VM_AREA: only then the place holds a vm_struct. 688fcbfc06e4 took the flags away in v5.4.
        if (!target.types().has_member("vmap_area", "subtree_max_size")) flags_ = target.try_member("vmap_area", {"flags"});
        caller_ = target.try_member("vm_struct", {"caller"});
        vm_flags_ = target.try_member("vm_struct", {"flags"});
        pages_ = target.try_member("vm_struct", {"nr_pages"});
    }

    void list(uint64_t head, std::vector<VmallocArea>& areas, std::vector<std::string>& warnings) const {
        const ListNodes nodes = list_nodes(target_.kernel(), target_.arch().word_size, head);
        for (const uint64_t node : nodes.nodes) area(node - link_.offset, areas, warnings);
        if (!nodes.forward.whole()) warnings.push_back("vmalloc areas: " + nodes.forward.describe());
    }

private:
    std::optional<uint64_t> load(const std::optional<Member>& member, uint64_t base) const {
        uint64_t value = 0;
        if (!member || base == 0 || member->load(target_.kernel(), base, value) != Fault::none) return std::nullopt;
        return value;
    }

    void area(uint64_t address, std::vector<VmallocArea>& areas, std::vector<std::string>& warnings) const {
        const auto begin = load(begin_, address), end = load(end_, address), vm = load(vm_, address);
        if (!begin || !end || !vm) {
            warnings.push_back(fmt::format("the vmap_area at {:#x} is unreadable", address));
            return;
        }
        constexpr uint64_t has_vm = 4; // VM_VM_AREA of mm/vmalloc.c before v5.4
        if (*vm == 0 || *end <= *begin || (flags_ && !(load(flags_, address).value_or(0) & has_vm))) return;
        areas.push_back({.address = address, .vm = *vm, .begin = *begin, .end = *end, .caller = load(caller_, *vm),
                         .flags = load(vm_flags_, *vm), .pages = load(pages_, *vm)});
    }

    const Target& target_;
    Member begin_, end_, link_, vm_;
    std::optional<Member> flags_, caller_, vm_flags_, pages_;
};

} // namespace

std::vector<VmallocArea> read_vmalloc_areas(const Target& target, std::vector<std::string>& warnings) {
    const Reader reader(target);
    std::vector<VmallocArea> areas;
    if (const auto nodes = target.symbol_address("vmap_nodes")) {
        uint64_t array = 0;
        int32_t count = 0;
        count = target.kernel().load<int32_t>(VirtualAddress(target.require_symbol("nr_vmap_nodes")), "nr_vmap_nodes");
        array = word_at(target, *nodes, "vmap_nodes");
        if (count < 1 || count > 65536) throw CorruptError(fmt::format("nr_vmap_nodes is damaged: {}", count));
        const uint64_t size = target.size_of("struct vmap_node");
        const uint64_t head = target.member("vmap_node", {"busy.head", "busy"}).offset;
        for (int32_t i = 0; i < count; ++i) reader.list(array + static_cast<uint64_t>(i) * size + head, areas, warnings);
    } else if (const auto list = target.symbol_address("vmap_area_list")) {
        reader.list(*list, areas, warnings);
    } else {
        throw LookupError("this kernel's vmalloc areas are unknown (neither vmap_nodes nor vmap_area_list)");
    }
    std::sort(areas.begin(), areas.end(), [](const VmallocArea& a, const VmallocArea& b) { return a.begin < b.begin; });
    return areas;
}

} // namespace kcrash
