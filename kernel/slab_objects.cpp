// SPDX-License-Identifier: GPL-3.0-or-later
// Free lists. A free object holds the address of the next one, `offset` bytes into it. With CONFIG_SLAB_FREELIST_HARDENED
// that address is mixed:
//
//   v4.14           stored = next ^ random ^ place             2482ddec670f ("mm: add SLUB free list pointer obfuscation")
//   v5.7, stables   stored = next ^ random ^ swab(place)       1ad53d9fa3f6 ("slub: improve bit diffusion for freelist ptr obfuscation")
//
// Nothing in the types tells which, so both are tried: only one of them leads back into the slab, or to 0.
#include "core/error.hpp"
#include "kernel/list.hpp"
#include "kernel/percpu.hpp"
#include "kernel/slab_layout.hpp"
#include <algorithm>
#include <fmt/format.h>

namespace kcrash {

unsigned SlabObjects::count(ObjectState state) const {
    return static_cast<unsigned>(std::count(states.begin(), states.end(), state));
}

namespace {

// The index of an object; nothing when the address is not the start of one.
std::optional<unsigned> index_of(const Slab& slab, uint64_t object) {
    const uint64_t offset = object - slab.base - slab.cache->red_left;
    if (object < slab.base || offset % slab.cache->size != 0 || offset / slab.cache->size >= slab.objects) return std::nullopt;
    return static_cast<unsigned>(offset / slab.cache->size);
}

} // namespace

// The next object of a free list, 0 at its end; nothing when it is unreadable or leads out of the slab.
std::optional<uint64_t> SlabAllocator::next_free(const Slab& slab, uint64_t object) const {
    const uint64_t at = object + slab.cache->offset;
    const Member pointer{.offset = 0, .size = layout_->word};
    uint64_t stored = 0;
    if (pointer.load(target_.kernel(), at, stored) != Fault::none) return std::nullopt;
    if (!layout_->cache_random) return stored == 0 || index_of(slab, stored) ? std::optional(stored) : std::nullopt;
    const uint64_t swapped = layout_->word == 4 ? swap_bytes(static_cast<uint32_t>(at)) : swap_bytes(at);
    for (const uint64_t place : {swapped, at}) {
        const uint64_t next = stored ^ slab.cache->random ^ place;
        if (next == 0 || index_of(slab, next)) return next;
    }
    return std::nullopt;
}

// Marks the objects of one free list; says what is wrong with it, if something is.
std::string SlabAllocator::follow(const Slab& slab, uint64_t first, ObjectState state, std::optional<unsigned> cpu, SlabObjects& objects) const {
    for (uint64_t object = first; object != 0;) {
        const auto index = index_of(slab, object);
        if (!index) return fmt::format("its free list begins outside of the slab at {:#x}", object);
        if (objects.states[*index] != ObjectState::allocated) return fmt::format("its free list comes twice to {:#x}", object);
        objects.states[*index] = state;
        objects.cpus[*index] = cpu;
        const auto next = next_free(slab, object);
        if (!next) return fmt::format("its free list breaks at {:#x}", object);
        object = *next;
    }
    return {};
}

SlabObjects SlabAllocator::objects(const Slab& slab, const CacheLists& all_lists) const {
    SlabObjects objects;
    objects.states.assign(slab.objects, ObjectState::allocated);
    objects.cpus.assign(slab.objects, std::nullopt);
    objects.broken = follow(slab, slab.freelist, ObjectState::free, std::nullopt, objects);
    for (const CpuSlab& cpu : all_lists.cpus)
        if (cpu.slab == slab.address && cpu.freelist != 0) {
            const std::string broken = follow(slab, cpu.freelist, ObjectState::cpu_free, cpu.cpu, objects);
            if (objects.broken.empty()) objects.broken = broken;
        }
    if (!all_lists.in_sheaves.empty())
        for (unsigned index = 0; index < slab.objects; ++index)
            if (const auto sheaf = all_lists.in_sheaves.find(object_address(slab, index)); sheaf != all_lists.in_sheaves.end()) {
                objects.states[index] = ObjectState::sheaf_free;
                objects.cpus[index] = sheaf->second;
            }
    // What a broken list did not reach may be free as well.
    if (!objects.broken.empty())
        for (ObjectState& state : objects.states)
            if (state == ObjectState::allocated) state = ObjectState::unknown;
    return objects;
}

std::optional<CpuSlab> SlabAllocator::read_cpu(const SlabCache& cache, unsigned cpu, CacheLists& lists) const {
    const AddressSpace& space = target_.kernel();
    CpuSlab one{.cpu = cpu, .address = 0, .freelist = 0, .slab = 0, .partial = {}};
    const auto at = per_cpu_address(target_, *cache.cpu_slab, cpu);
    if (at) one.address = *at;
    uint64_t first = 0;
    if (!at || layout_->cpu_freelist->load(space, *at, one.freelist) != Fault::none ||
        layout_->cpu_slab->load(space, *at, one.slab) != Fault::none ||
        (layout_->cpu_partial && layout_->cpu_partial->load(space, *at, first) != Fault::none)) {
        lists.warnings.push_back(fmt::format("{}: its data of cpu {} is unreadable", cache.name, cpu));
        return std::nullopt;
    }
    if (!layout_->next) return one;
    const WalkResult walk = walk_links(first, 0, pointer_reader(space, layout_->word, layout_->next->offset),
                                       [&](uint64_t slab) { one.partial.push_back(slab); return true; }, 1 << 20);
    if (!walk.whole()) lists.warnings.push_back(fmt::format("{}: partial slabs of cpu {}: {}", cache.name, cpu, walk.describe()));
    return one;
}

NodeSlabs SlabAllocator::read_node(const SlabCache& cache, unsigned node, CacheLists& lists) const {
    const AddressSpace& space = target_.kernel();
    NodeSlabs one{.node = node, .address = cache.nodes[node], .nr_partial = {}, .nr_slabs = {}, .total_objects = {}, .partial = {}};
    const auto load = [&](const std::optional<Member>& member) -> std::optional<uint64_t> {
        uint64_t value = 0;
        if (!member || member->load(space, one.address, value) != Fault::none) return std::nullopt;
        return value;
    };
    one.nr_partial = load(layout_->node_nr_partial);
    one.nr_slabs = load(layout_->node_nr_slabs);
    one.total_objects = load(layout_->node_total);
    const ListNodes partial = list_nodes(space, layout_->word, one.address + layout_->node_partial.offset);
    for (const uint64_t link : partial.nodes) one.partial.push_back(link - layout_->slab_list.offset);
    if (!partial.forward.whole())
        lists.warnings.push_back(fmt::format("{}: partial slabs of node {}: {}", cache.name, node, partial.forward.describe()));
    return one;
}

CacheLists SlabAllocator::lists(const SlabCache& cache) const {
    CacheLists lists;
    if (cache.cpu_slab.value_or(0) != 0 && layout_->cpu_slab && layout_->cpu_freelist)
        for (const unsigned cpu : target_.possible_cpus())
            if (auto one = read_cpu(cache, cpu, lists)) lists.cpus.push_back(std::move(*one));
    for (unsigned node = 0; node < cache.nodes.size(); ++node)
        if (cache.nodes[node] != 0) lists.nodes.push_back(read_node(cache, node, lists));
    if (cache.cpu_sheaves.value_or(0) != 0) read_sheaves(cache, lists);
    read_barns(cache, lists);
    return lists;
}

void SlabAllocator::read_sheaf(const SlabCache& cache, uint64_t sheaf, std::optional<unsigned> cpu, CacheLists& lists) const {
    constexpr uint64_t most = 4096; // objects; the kernel makes sheaves of some dozens
    const AddressSpace& space = target_.kernel();
    uint64_t count = 0;
    bool whole = layout_->sheaf_size->load(space, sheaf, count) == Fault::none && count <= most;
    for (uint64_t i = 0; whole && i < count; ++i) {
        uint64_t object = 0;
        whole = pointer_reader(space, layout_->word)(sheaf + layout_->sheaf_objects->offset + i * layout_->word, object) == Fault::none;
        if (whole) lists.in_sheaves.emplace(object, cpu);
    }
    if (!whole) lists.warnings.push_back(fmt::format("{}: the sheaf at {:#x} is unreadable or damaged", cache.name, sheaf));
}

// Linux 2d517aa09bbc ("slab: add opt-in caching layer of percpu sheaves"), v6.18: arrays of free objects, up to three for each CPU.
void SlabAllocator::read_sheaves(const SlabCache& cache, CacheLists& lists) const {
    if (!layout_->sheaf_size || !layout_->sheaf_objects) return;
    for (const unsigned cpu : target_.possible_cpus()) {
        const auto at = per_cpu_address(target_, *cache.cpu_sheaves, cpu);
        if (!at) continue;
        for (const char* name : {"main", "spare", "rcu_free"}) {
            const auto member = target_.try_member("slub_percpu_sheaves", {name});
            uint64_t sheaf = 0;
            if (member && member->load(target_.kernel(), *at, sheaf) == Fault::none && sheaf) read_sheaf(cache, sheaf, cpu, lists);
        }
    }
}

// A node's barn keeps sheaves, full and empty, for the CPUs to change theirs for.
void SlabAllocator::read_barns(const SlabCache& cache, CacheLists& lists) const {
    if (!layout_->sheaf_size || !layout_->sheaf_objects || !layout_->sheaf_link || !layout_->barn_full) return;
    for (unsigned node = 0; node < cache.barns.size(); ++node) {
        if (cache.barns[node] == 0) continue;
        const ListNodes full = list_nodes(target_.kernel(), layout_->word, cache.barns[node] + layout_->barn_full->offset);
        for (const uint64_t link : full.nodes) read_sheaf(cache, link - layout_->sheaf_link->offset, std::nullopt, lists);
        if (!full.forward.whole())
            lists.warnings.push_back(fmt::format("{}: sheaves of node {}: {}", cache.name, node, full.forward.describe()));
    }
}

} // namespace kcrash
