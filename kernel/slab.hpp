// SPDX-License-Identifier: GPL-3.0-or-later
// The SLUB allocator: mm/slab.h, include/linux/slub_def.h.
//
//   kmem_cache --cpu_slab-----> per cpu { freelist, slab, partial -> slab -> slab }     until v6.19
//              --cpu_sheaves--> per cpu { main, spare, rcu_free: sheaf }                since v6.18, for all since v7.0
//              --node[n]------> { nr_partial, partial: slab, slab, ...   nr_slabs, total_objects }
//              --barn---------> { sheaves_full: sheaf, sheaf, ... }                     per node
//
// A full slab hangs on no list: only its struct slab (which lies over the struct page of its first page) still points to
// its cache. So all slabs are found by one pass over all struct pages, in parallel; see SlabAllocator::census().
#pragma once
#include "kernel/target.hpp"
#include <functional>
#include <map>
#include <memory>
#include <unordered_map>

namespace kcrash {

struct SlabCache {
    uint64_t address = 0;      // of kmem_cache
    std::string name;
    uint64_t size = 0;         // bytes from one object to the next
    uint64_t object_size = 0;  // bytes that the user asked for
    uint64_t offset = 0;       // of the free pointer in a free object
    uint64_t red_left = 0;     // bytes before an object (red zone)
    unsigned order = 0;        // of its slabs, as a rule
    unsigned objects = 0;      // of a slab, as a rule
    uint64_t random = 0;       // what free pointers are mixed with
    std::optional<uint64_t> cpu_slab, cpu_sheaves;   // per-cpu pointers
    std::vector<uint64_t> nodes;                     // of kmem_cache_node, by node; 0: none
    std::vector<uint64_t> barns;                     // of node_barn, by node; 0: none
};

struct Slab {
    uint64_t address = 0; // of struct slab (or page)
    const SlabCache* cache = nullptr;
    uint64_t base = 0;    // of its memory
    unsigned objects = 0, inuse = 0;
    bool frozen = false;  // belongs to a cpu
    uint64_t freelist = 0;
    unsigned node = 0;
};

enum class ObjectState : uint8_t {
    allocated,
    free,       // on its slab's free list
    cpu_free,   // on the free list of the cpu whose slab this is
    sheaf_free, // in a sheaf of a cpu or of a node's barn: free for its users, taken from its slab
    unknown,    // the free list is broken: it is one or the other
};

// The objects of one slab. `cpus` is whose free list, for cpu_free and sheaf_free; nothing for a sheaf of a barn.
struct SlabObjects {
    std::vector<ObjectState> states;
    std::vector<std::optional<unsigned>> cpus;
    std::string broken; // not empty: what is wrong with the free list, and where
    unsigned count(ObjectState state) const;
    unsigned free_count() const { return count(ObjectState::free) + count(ObjectState::cpu_free) + count(ObjectState::sheaf_free); }
};

// One CPU's share of a cache.
struct CpuSlab {
    unsigned cpu = 0;
    uint64_t address = 0;          // of kmem_cache_cpu
    uint64_t freelist = 0, slab = 0; // 0: none
    std::vector<uint64_t> partial; // struct slabs
};

// One node's share.
struct NodeSlabs {
    unsigned node = 0;
    uint64_t address = 0; // of kmem_cache_node
    std::optional<uint64_t> nr_partial, nr_slabs, total_objects; // the kernel's own counts; the last two need CONFIG_SLUB_DEBUG
    std::vector<uint64_t> partial;
};

struct CacheLists {
    std::vector<CpuSlab> cpus;
    std::vector<NodeSlabs> nodes;
    std::unordered_map<uint64_t, std::optional<unsigned>> in_sheaves; // free objects in sheaves, and whose: a cpu's, else a barn's
    std::vector<std::string> warnings; // broken lists
};

// Counts of one cache over all of its slabs.
struct CacheCounts {
    uint64_t slabs = 0, objects = 0, allocated = 0;
    uint64_t cached = 0;                   // free objects that /proc/slabinfo counts as active: those of cpus' slabs and sheaves
    std::vector<const Slab*> all;          // ascending addresses
    std::optional<uint64_t> kernel_slabs;  // what the kernel counted; differs when pages are missing
    std::optional<uint64_t> kernel_objects;
    std::vector<std::string> warnings;
};

// All slabs of the machine.
struct SlabCensus {
    std::vector<Slab> slabs; // ascending addresses
    std::unordered_map<const SlabCache*, CacheCounts> caches;
    uint64_t unreadable_pages = 0; // struct pages that are not in the dump
    uint64_t strange = 0;          // pages marked as slab whose cache is not in the list of caches
};

// Where an address lies in the slab memory.
struct SlabPlace {
    Slab slab;
    unsigned index = 0;  // of the object
    uint64_t object = 0; // its address, red zone left out
    uint64_t offset = 0; // of the asked address in the object; may be beyond object_size (padding)
};

// Safe from many threads. Looks at the target. LookupError when this kernel has no SLUB allocator.
class SlabAllocator {
public:
    explicit SlabAllocator(const Target& target);
    ~SlabAllocator();
    const std::vector<SlabCache>& caches() const { return caches_; } // newest first, as the kernel lists them
    const SlabCache* by_address(uint64_t kmem_cache) const;
    const SlabCache* by_name(std::string_view name) const;
    const std::vector<std::string>& warnings() const { return warnings_; }

    // The slab that an address of kernel memory lies in; nothing when it is in none. Cheap: no census. Quiet.
    std::optional<Slab> slab_of(uint64_t address) const;
    std::optional<SlabPlace> locate(uint64_t address) const;
    // Reads one struct slab; nothing when it is none of a known cache.
    std::optional<Slab> read_slab(uint64_t slab) const;

    CacheLists lists(const SlabCache& cache) const;
    // Which objects of a slab are free. The lists of its cache tell what the cpus keep.
    SlabObjects objects(const Slab& slab, const CacheLists& all_lists) const;
    uint64_t object_address(const Slab& slab, unsigned index) const;
    // One pass over all struct pages, when first asked for. `progress` (done, total) is called from many threads.
    using Progress = std::function<void(uint64_t done, uint64_t total)>;
    const SlabCensus& census(const Progress& progress = {}) const;

private:
    struct Layout; // slab_layout.hpp
    struct Later;
    std::optional<SlabCache> read_cache(uint64_t address) const;
    void find_direct_map();
    std::optional<Slab> make_slab(uint64_t address, std::span<const std::byte> bytes) const;
    std::optional<uint64_t> next_free(const Slab& slab, uint64_t object) const;
    std::string follow(const Slab& slab, uint64_t first, ObjectState state, std::optional<unsigned> cpu, SlabObjects& objects) const;
    std::optional<CpuSlab> read_cpu(const SlabCache& cache, unsigned cpu, CacheLists& lists) const;
    NodeSlabs read_node(const SlabCache& cache, unsigned node, CacheLists& lists) const;
    void read_sheaves(const SlabCache& cache, CacheLists& lists) const;
    void read_barns(const SlabCache& cache, CacheLists& lists) const;
    void read_sheaf(const SlabCache& cache, uint64_t sheaf, std::optional<unsigned> cpu, CacheLists& lists) const;
    void scan(SlabCensus& census, const Progress& progress) const;
    void count(CacheCounts& counts, const SlabCache& cache) const;

    const Target& target_;
    std::unique_ptr<Layout> layout_;
    std::vector<SlabCache> caches_;
    std::unordered_map<uint64_t, size_t> by_address_;
    std::vector<std::string> warnings_;
    std::unique_ptr<Later> later_;
};

// The name of the cache whose object an address is in; empty when it is in none. For bt -F, rd -S.
std::string slab_cache_name(const SlabAllocator& allocator, uint64_t address);

} // namespace kcrash
