// SPDX-License-Identifier: GPL-3.0-or-later
// Where the allocator's members are in this kernel: shared by the files of kernel/slab, not by others.
#pragma once
#include "kernel/page.hpp"
#include "kernel/slab.hpp"
#include <mutex>

namespace kcrash {

struct SlabAllocator::Layout {
    explicit Layout(const Target& target);
    bool is_slab(std::span<const std::byte> page, ByteOrder order) const;

    PageMap pages;
    unsigned word;
    uint64_t direct_map = 0;   // kernel virtual address of physical 0; arithmetic modulo 2^64
    bool has_direct_map = false;
    struct NodeSpan { uint64_t begin, end; unsigned id; };
    std::vector<NodeSpan> node_spans; // page frames
    unsigned node_count = 1;

    // struct slab over struct page: bb192ed9aa71 ("mm/slub: Convert most struct page to struct slab by spatch"), v5.17
    std::optional<Member> compound_head;
    Member slab_cache, freelist, inuse, objects, frozen, slab_list;
    uint64_t page_size = 64; // bytes of struct page

    // How a page says that it is a slab.
    enum class Mark : uint8_t { flag, type_byte, type_bit } mark = Mark::flag;
    Member mark_member;
    uint64_t mark_value = 0;

    // struct kmem_cache
    Member cache_name, cache_list, cache_size, cache_object_size, cache_offset, cache_oo, cache_node;
    std::optional<Member> cache_red_left, cache_random, cache_cpu_slab, cache_cpu_sheaves;
    uint64_t node_stride = 8;

    // struct kmem_cache_cpu, struct kmem_cache_node
    std::optional<Member> cpu_freelist, cpu_slab, cpu_partial;
    std::optional<Member> next; // of a cpu's partial slabs; gone with them
    Member node_partial;
    std::optional<Member> node_nr_partial, node_nr_slabs, node_total;
    std::optional<Member> cache_barn, node_barn; // the one or the other

    // struct slab_sheaf, struct node_barn
    std::optional<Member> sheaf_size, sheaf_objects, sheaf_link, barn_full;

private:
    void find_mark(const Target& target);
};

struct SlabAllocator::Later {
    std::once_flag once;
    SlabCensus census;
};

} // namespace kcrash
