// SPDX-License-Identifier: GPL-3.0-or-later
// The caches, and the slab of an address.
#include "kernel/slab.hpp"
#include "core/error.hpp"
#include "kernel/list.hpp"
#include "kernel/mmzone.hpp"
#include "kernel/slab_layout.hpp"
#include <algorithm>
#include <fmt/format.h>

namespace kcrash {

SlabAllocator::Layout::Layout(const Target& target) : pages(target), word(target.arch().word_size) {
    const Types& types = target.types();
    if (!types.has_member("kmem_cache", "red_left_pad") && !types.has_member("kmem_cache", "oo"))
        throw LookupError("this kernel has no SLUB allocator: only SLUB is understood");
    const char* slab = types.find(TypeKind::structure, "slab") && types.has_member("slab", "slab_cache") ? "slab" : "page";
    slab_cache = target.member(slab, {"slab_cache"});
    freelist = target.member(slab, {"freelist"});
    inuse = target.member(slab, {"inuse"});
    objects = target.member(slab, {"objects"});
    frozen = target.member(slab, {"frozen"});
    next = target.try_member(slab, {"next"});
    slab_list = target.member(slab, {"slab_list", "lru"});
    compound_head = target.try_member("page", {"compound_info", "compound_head"});
    page_size = target.size_of("struct page");
    find_mark(target);

    const auto cache = [&](std::initializer_list<std::string_view> names) { return target.member("kmem_cache", names); };
    cache_name = cache({"name"});
    cache_list = cache({"list"});
    cache_size = cache({"size"});
    cache_object_size = cache({"object_size", "objsize"}); // 3b0efdfa1e71 ("mm, sl[aou]b: Extract common fields"), v3.6
    cache_offset = cache({"offset"});
    cache_oo = cache({"oo"});
    cache_red_left = target.try_member("kmem_cache", {"red_left_pad"}); // d86bd1bece6f, v4.6
    cache_random = target.try_member("kmem_cache", {"random"});         // 2482ddec670f, v4.14, if CONFIG_SLAB_FREELIST_HARDENED
    cache_cpu_slab = target.try_member("kmem_cache", {"cpu_slab"});     // gone where every cache has sheaves (v7.0)
    cache_cpu_sheaves = target.try_member("kmem_cache", {"cpu_sheaves"});
    // v7.1: per_node[] holds more than one pointer for each node.
    cache_node = target.member("kmem_cache", {"per_node", "node"});
    node_stride = word;
    if (types.has_member("kmem_cache", "per_node")) {
        node_stride = target.size_of("struct kmem_cache_per_node_ptrs");
        cache_barn = target.try_member("kmem_cache_per_node_ptrs", {"barn"});
        if (cache_barn) cache_barn->offset += cache_node.offset;
        cache_node.offset += target.member("kmem_cache_per_node_ptrs", {"node"}).offset;
    }
    cpu_freelist = target.try_member("kmem_cache_cpu", {"freelist"});
    cpu_slab = target.try_member("kmem_cache_cpu", {"slab", "page"});
    cpu_partial = target.try_member("kmem_cache_cpu", {"partial"});
    node_partial = target.member("kmem_cache_node", {"partial"});
    node_nr_partial = target.try_member("kmem_cache_node", {"nr_partial"});
    node_nr_slabs = target.try_member("kmem_cache_node", {"nr_slabs"});
    node_total = target.try_member("kmem_cache_node", {"total_objects"});
    if (!cache_barn) node_barn = target.try_member("kmem_cache_node", {"barn"});
    sheaf_size = target.try_member("slab_sheaf", {"size"});
    sheaf_objects = target.try_member("slab_sheaf", {"objects"});
    sheaf_link = target.try_member("slab_sheaf", {"barn_list"});
    barn_full = target.try_member("node_barn", {"sheaves_full"});
}

// Three ages of "this page is a slab":
//   a flag bit           until v6.9   enum pageflags has PG_slab
//   a cleared type bit   v6.10, 6.11  46df8e73a4a3 ("mm: free up PG_slab"): page_type counts down from all ones
//   a type byte          since v6.12  4ffca5a96678 ("mm: support only one page_type per page"): PGTY_slab in the top byte
void SlabAllocator::Layout::find_mark(const Target& target) {
    if (const auto type = target.types().enumerator("PGTY_slab")) {
        mark = Mark::type_byte;
        mark_member = target.member("page", {"page_type"});
        mark_value = static_cast<uint64_t>(*type);
        return;
    }
    const Type* flags = target.types().find(TypeKind::enumeration, "pageflags");
    if (flags)
        for (const Enumerator& flag : flags->enumerators)
            if (flag.name == "PG_slab" && flag.value >= 0 && flag.value < 64) {
                mark_member = target.member("page", {"flags"});
                mark_value = uint64_t{1} << flag.value;
                return;
            }
    mark = Mark::type_bit;
    mark_member = target.member("page", {"page_type"});
    mark_value = static_cast<uint64_t>(target.types().enumerator("PG_slab").value_or(0x1000)); // a macro in v6.10
}

bool SlabAllocator::Layout::is_slab(std::span<const std::byte> page, ByteOrder order) const {
    const uint64_t value = mark_member.load(page, order);
    switch (mark) {
    case Mark::flag: return (value & mark_value) != 0;
    case Mark::type_byte: return (value & 0xffffffff) >> 24 == mark_value;
    case Mark::type_bit: return (value & 0xf0000000) == 0xf0000000 && (value & mark_value) == 0;
    }
    return false;
}

SlabAllocator::SlabAllocator(const Target& target)
    : target_(target), layout_(std::make_unique<Layout>(target)), later_(std::make_unique<Later>()) {
    std::vector<std::string> ignored;
    for (const Node& node : read_nodes(target, ignored)) {
        if (node.start_frame && node.spanned) layout_->node_spans.push_back({*node.start_frame, *node.start_frame + *node.spanned, node.id});
        layout_->node_count = std::max(layout_->node_count, node.id + 1);
    }
    const uint64_t head = target.require_symbol("slab_caches");
    const ListNodes list = list_nodes(target.kernel(), layout_->word, head);
    for (const uint64_t node : list.nodes) {
        if (auto cache = read_cache(node - layout_->cache_list.offset)) {
            by_address_.emplace(cache->address, caches_.size());
            caches_.push_back(std::move(*cache));
        } else {
            warnings_.push_back(fmt::format("the kmem_cache at {:#x} is unreadable or damaged", node - layout_->cache_list.offset));
        }
    }
    if (!list.forward.whole()) warnings_.push_back("slab_caches: " + list.forward.describe());
    find_direct_map();
}

SlabAllocator::~SlabAllocator() = default;

std::optional<SlabCache> SlabAllocator::read_cache(uint64_t address) const {
    const AddressSpace& space = target_.kernel();
    const auto load = [&](const Member& member) -> std::optional<uint64_t> {
        uint64_t value = 0;
        if (member.load(space, address, value) != Fault::none) return std::nullopt;
        return value;
    };
    const auto size = load(layout_->cache_size), object_size = load(layout_->cache_object_size), offset = load(layout_->cache_offset),
               oo = load(layout_->cache_oo), name = load(layout_->cache_name);
    if (!size || !object_size || !offset || !oo || *size == 0 || *size > (1u << 26)) return std::nullopt;
    SlabCache cache;
    cache.address = address;
    cache.size = *size;
    cache.object_size = *object_size;
    cache.offset = *offset;
    // struct kmem_cache_order_objects: the order above 16 bits (OO_SHIFT of mm/slub.c), the number of objects below.
    cache.order = static_cast<unsigned>(*oo >> 16 & 0xffff);
    cache.objects = static_cast<unsigned>(*oo & 0xffff);
    if (layout_->cache_red_left) cache.red_left = load(*layout_->cache_red_left).value_or(0);
    if (layout_->cache_random) cache.random = load(*layout_->cache_random).value_or(0);
    if (layout_->cache_cpu_slab) cache.cpu_slab = load(*layout_->cache_cpu_slab);
    if (layout_->cache_cpu_sheaves) cache.cpu_sheaves = load(*layout_->cache_cpu_sheaves);
    const auto pointer = [&](uint64_t base, const Member& member) {
        uint64_t value = 0;
        return Member{.offset = member.offset, .size = layout_->word}.load(space, base, value) == Fault::none ? value : 0;
    };
    for (unsigned node = 0; node < layout_->node_count; ++node) {
        cache.nodes.push_back(pointer(address + node * layout_->node_stride, layout_->cache_node));
        uint64_t barn = 0;
        if (layout_->cache_barn) barn = pointer(address + node * layout_->node_stride, *layout_->cache_barn);
        else if (layout_->node_barn && cache.nodes.back()) barn = pointer(cache.nodes.back(), *layout_->node_barn);
        cache.barns.push_back(barn);
    }
    try {
        if (name) cache.name = space.string(VirtualAddress(*name), 128);
    } catch (const MemoryError&) {
        cache.name = fmt::format("(unreadable name at {:#x})", *name);
    }
    return cache;
}

// Every kmem_cache was itself allocated from the direct map, so their addresses tell where it begins on any architecture.
void SlabAllocator::find_direct_map() {
    std::map<uint64_t, unsigned> votes;
    for (const SlabCache& cache : caches_) {
        Translation place;
        if (target_.kernel().try_translate(VirtualAddress(cache.address), place) == Fault::none) ++votes[cache.address - place.physical.value];
    }
    const auto most = std::max_element(votes.begin(), votes.end(), [](const auto& a, const auto& b) { return a.second < b.second; });
    if (most == votes.end()) return;
    layout_->direct_map = most->first;
    layout_->has_direct_map = true;
}

const SlabCache* SlabAllocator::by_address(uint64_t kmem_cache) const {
    const auto known = by_address_.find(kmem_cache);
    return known == by_address_.end() ? nullptr : &caches_[known->second];
}

const SlabCache* SlabAllocator::by_name(std::string_view name) const {
    for (const SlabCache& cache : caches_)
        if (cache.name == name) return &cache;
    return nullptr;
}

std::optional<Slab> SlabAllocator::make_slab(uint64_t address, std::span<const std::byte> bytes) const {
    const ByteOrder order = target_.kernel().order();
    const SlabCache* cache = by_address(layout_->slab_cache.load(bytes, order));
    const auto frame = layout_->pages.frame(address);
    if (!cache || !frame || !layout_->has_direct_map) return std::nullopt;
    Slab slab;
    slab.address = address;
    slab.cache = cache;
    slab.base = layout_->direct_map + frame->value * target_.physical().page_size();
    slab.objects = static_cast<unsigned>(layout_->objects.load(bytes, order));
    slab.inuse = static_cast<unsigned>(layout_->inuse.load(bytes, order));
    slab.frozen = layout_->frozen.load(bytes, order) != 0;
    slab.freelist = layout_->freelist.load(bytes, order);
    if (slab.objects == 0 || slab.inuse > slab.objects || slab.objects * cache->size > (uint64_t{1} << 26)) return std::nullopt;
    for (const auto& span : layout_->node_spans)
        if (frame->value >= span.begin && frame->value < span.end) slab.node = span.id;
    return slab;
}

std::optional<Slab> SlabAllocator::read_slab(uint64_t slab) const {
    std::vector<std::byte> bytes(layout_->page_size);
    if (target_.kernel().try_read(VirtualAddress(slab), bytes) != Fault::none) return std::nullopt;
    if (!layout_->is_slab(bytes, target_.kernel().order())) return std::nullopt;
    return make_slab(slab, bytes);
}

std::optional<Slab> SlabAllocator::slab_of(uint64_t address) const {
    if (!layout_->has_direct_map || !layout_->pages.known()) return std::nullopt;
    const uint64_t physical = address - layout_->direct_map;
    if (physical >> 52) return std::nullopt; // more than any machine can address
    uint64_t page = layout_->pages.page_address(PageFrame(physical / target_.physical().page_size()));
    uint64_t head = 0;
    if (layout_->compound_head && layout_->compound_head->load(target_.kernel(), page, head) != Fault::none) return std::nullopt;
    if (head & 1) {
        // v7.1 may store a mask of the pages' address instead of the first page's address.
        const bool is_address = head - 1 >= layout_->pages.base() && head - 1 < page && page - head < (uint64_t{1} << 24);
        page = is_address ? head - 1 : page & (head - 1);
    }
    auto slab = read_slab(page);
    if (!slab || address < slab->base || address - slab->base >= slab->objects * slab->cache->size) return std::nullopt;
    return slab;
}

std::optional<SlabPlace> SlabAllocator::locate(uint64_t address) const {
    const auto slab = slab_of(address);
    if (!slab) return std::nullopt;
    SlabPlace place{.slab = *slab};
    place.index = static_cast<unsigned>((address - slab->base) / slab->cache->size);
    place.object = object_address(*slab, place.index);
    place.offset = address - place.object; // wraps in the red zone before the object
    return place;
}

uint64_t SlabAllocator::object_address(const Slab& slab, unsigned index) const {
    return slab.base + index * slab.cache->size + slab.cache->red_left;
}

std::string slab_cache_name(const SlabAllocator& allocator, uint64_t address) {
    const auto slab = allocator.slab_of(address);
    return slab ? slab->cache->name : std::string();
}

} // namespace kcrash
