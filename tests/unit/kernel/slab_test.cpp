// SPDX-License-Identifier: GPL-3.0-or-later
// A kernel like 7.3: CPUs have sheaves of free objects and no slabs of their own, each node has a barn with more sheaves.
#include "kernel/slab.hpp"
#include "tests/fixtures/kernel.hpp"
#include <doctest/doctest.h>

using namespace kcrash;

namespace {

constexpr const char* types = R"(
    int 'long unsigned int' 8 unsigned
    int 'unsigned int' 4 unsigned
    ptr 1
    struct list_head 16 next:3:0 prev:3:64
    struct kmem_cache_node 40 nr_partial:1:0 partial:4:64 nr_slabs:1:192 total_objects:1:256
    struct node_barn 32 sheaves_full:4:0 sheaves_empty:4:128
    struct kmem_cache_per_node_ptrs 16 barn:3:0 node:3:64
    array 7 1
    struct kmem_cache 64 cpu_sheaves:3:0 size:2:64 object_size:2:96 offset:2:128 oo:2:160 name:3:192 list:4:256 per_node:8:384
    struct slub_percpu_sheaves 24 main:3:0 spare:3:64 rcu_free:3:128
    array 3 0
    struct slab_sheaf 24 barn_list:4:0 size:2:128 objects:11:192
    struct slab 64 flags:1:0 slab_cache:3:64 slab_list:4:128 freelist:3:256 inuse:2:320:16 objects:2:336:15 frozen:2:351:1
    struct page 64 flags:1:0 compound_info:1:64 page_type:2:384
    enum pagetype 4 PGTY_slab=245
    struct zone 8 spanned_pages:1:0
    array 16 1
    struct pglist_data 64 node_zones:17:0 node_id:2:64 node_start_pfn:1:128 node_spanned_pages:1:192 node_present_pages:1:256
)";

constexpr uint64_t data = fixtures::Kernel::data, caches = data, cache = data + 0x100, name = data + 0x180, node = data + 0x200,
                   barn = data + 0x280, memory_node = data + 0x300, mask = data + 0x380, offsets = data + 0x400, sheaves = data + 0x500,
                   sheaf = data + 0x1000, object = data + 0x8000;

struct Fixture {
    fixtures::Kernel kernel{types};
    void list(uint64_t head, uint64_t entry) {
        kernel.put(head, entry), kernel.put(head + 8, entry);
        kernel.put(entry, head), kernel.put(entry + 8, head);
    }
    void put_sheaf(uint64_t at, std::initializer_list<uint64_t> objects, uint64_t size) {
        kernel.put(at + 16, size, 4);
        for (const uint64_t each : objects) kernel.put(at + 24, each), at += 8;
    }
    Fixture() {
        kernel.symbol("slab_caches", caches, 16), kernel.symbol("contig_page_data", memory_node, 64);
        kernel.symbol("__cpu_possible_mask", mask, 8), kernel.symbol("__per_cpu_offset", offsets, 16);
        kernel.put(mask, 0b11), kernel.put(offsets, 0x100), kernel.put(offsets + 8, 0x200);
        list(caches, cache + 32);
        kernel.put(cache, sheaves), kernel.put(cache + 8, 64, 4), kernel.put(cache + 12, 64, 4), kernel.put(cache + 20, 64, 4);
        kernel.put(cache + 24, name), kernel.put_text(name, "things");
        kernel.put(cache + 48, barn), kernel.put(cache + 56, node);
        list(node + 8, node + 8), list(barn + 16, barn + 16);
        list(barn, sheaf + 0x300);
        // main of CPU 0 and spare of CPU 1; an object each but for the barn's, which has two
        kernel.put(sheaves + 0x100, sheaf), kernel.put(sheaves + 0x200, sheaf + 0x100), kernel.put(sheaves + 0x208, sheaf + 0x200);
        put_sheaf(sheaf, {object}, 1), put_sheaf(sheaf + 0x100, {}, 0), put_sheaf(sheaf + 0x200, {object + 64}, 1);
        put_sheaf(sheaf + 0x300, {object + 128, object + 192}, 2);
    }
};

} // namespace

TEST_CASE_FIXTURE(Fixture, "slab: free objects in the sheaves of CPUs and of a node's barn, in a kernel whose CPUs have no slabs") {
    const auto target = kernel.open();
    const SlabAllocator slabs(*target);
    REQUIRE(slabs.caches().size() == 1);
    CHECK(slabs.caches()[0].name == "things");
    const CacheLists lists = slabs.lists(slabs.caches()[0]);
    CHECK(lists.cpus.empty());
    CHECK(lists.nodes.size() == 1);
    CHECK(lists.warnings.empty());
    const std::unordered_map<uint64_t, std::optional<unsigned>> expected{
        {object, 0}, {object + 64, 1}, {object + 128, std::nullopt}, {object + 192, std::nullopt}};
    CHECK(lists.in_sheaves == expected);
}

TEST_CASE_FIXTURE(Fixture, "slab: a sheaf with an impossible size is told, the others are read") {
    kernel.put(sheaf + 16, 5000, 4);
    const auto target = kernel.open();
    const SlabAllocator slabs(*target);
    const CacheLists lists = slabs.lists(slabs.caches().at(0));
    REQUIRE(lists.warnings.size() == 1);
    CHECK(lists.warnings[0] == "things: the sheaf at 0xffffffff81005000 is unreadable or damaged");
    CHECK(lists.in_sheaves.size() == 3);
}
