// SPDX-License-Identifier: GPL-3.0-or-later
// All slabs of the machine: one pass over all struct pages, in parallel.
#include "core/error.hpp"
#include "core/interrupt.hpp"
#include "kernel/slab_layout.hpp"
#include <algorithm>
#include <atomic>
#include <fmt/format.h>
#include <tbb/parallel_for.h>
#include <unordered_set>

namespace kcrash {
namespace {

// What one task of the pass found.
struct Part {
    std::vector<Slab> slabs;
    uint64_t unreadable = 0, strange = 0;
};

struct Range {
    uint64_t begin, end; // page frames
};

std::vector<Range> chunks_of(const Target& target) {
    constexpr uint64_t chunk = 16384;
    std::vector<Range> chunks;
    const uint64_t page = target.physical().page_size();
    for (const PhysicalRange& range : target.dump().memory())
        for (uint64_t at = range.begin.value / page, end = range.end.value / page; at < end; at += std::min(chunk, end - at))
            chunks.push_back({at, std::min(end, at + chunk)});
    return chunks;
}

} // namespace

void SlabAllocator::scan(SlabCensus& census, const Progress& progress) const {
    if (!layout_->pages.known() || !layout_->has_direct_map)
        throw Error("the slabs cannot be counted: where this kernel keeps its struct pages (mem_map, vmemmap) was not found");
    const std::vector<Range> chunks = chunks_of(target_);
    std::vector<Part> parts(chunks.size());
    const AddressSpace& space = target_.kernel();
    const uint64_t size = layout_->page_size;
    std::atomic<uint64_t> done = 0;
    tbb::parallel_for(size_t{0}, chunks.size(), [&](size_t n) {
        check_interrupt();
        if (progress) progress(done++, chunks.size());
        // As many struct pages at a time as lie in one page, so that a missing page costs no more than itself.
        const uint64_t most = std::max<uint64_t>(1, target_.physical().page_size() / size);
        std::vector<std::byte> bytes(most * size);
        for (uint64_t frame = chunks[n].begin; frame < chunks[n].end;) {
            const uint64_t count = std::min(most - frame % most, chunks[n].end - frame);
            const std::span<std::byte> part(bytes.data(), count * size);
            const uint64_t at = layout_->pages.page_address(PageFrame(frame));
            const Fault fault = space.try_read(VirtualAddress(at), part);
            frame += count;
            if (fault != Fault::none) {
                if (fault != Fault::no_mapping) parts[n].unreadable += count; // no struct page at all is a hole in the memory
                continue;
            }
            for (uint64_t i = 0; i < count; ++i) {
                const auto page = part.subspan(i * size, size);
                if (!layout_->is_slab(page, space.order())) continue;
                if (layout_->compound_head && (layout_->compound_head->load(page, space.order()) & 1)) continue; // not its first page
                if (auto slab = make_slab(at + i * size, page)) parts[n].slabs.push_back(*slab);
                else ++parts[n].strange;
            }
        }
    });
    for (Part& part : parts) {
        census.unreadable_pages += part.unreadable;
        census.strange += part.strange;
        census.slabs.insert(census.slabs.end(), part.slabs.begin(), part.slabs.end());
    }
    std::sort(census.slabs.begin(), census.slabs.end(), [](const Slab& a, const Slab& b) { return a.address < b.address; });
}

// What is allocated of one cache: `inuse` of each slab, without what a CPU took off its own slab to have it at hand.
void SlabAllocator::count(CacheCounts& counts, const SlabCache& cache) const {
    const CacheLists all_lists = lists(cache);
    counts.warnings = all_lists.warnings;
    std::unordered_set<uint64_t> of_cpus;
    for (const CpuSlab& cpu : all_lists.cpus)
        if (cpu.slab != 0) of_cpus.insert(cpu.slab);
    for (const Slab* slab : counts.all) {
        ++counts.slabs;
        counts.objects += slab->objects;
        if (!of_cpus.contains(slab->address)) {
            counts.allocated += slab->inuse;
            continue;
        }
        const SlabObjects found = objects(*slab, CacheLists{.cpus = all_lists.cpus, .nodes = {}, .in_sheaves = {}, .warnings = {}});
        counts.allocated += slab->objects - found.free_count();
        if (!found.broken.empty()) counts.warnings.push_back(fmt::format("{}: slab {:#x}: {}", cache.name, slab->address, found.broken));
    }
    counts.allocated -= std::min<uint64_t>(counts.allocated, all_lists.in_sheaves.size());
    uint64_t free_on_nodes = 0;
    for (const NodeSlabs& node : all_lists.nodes) {
        if (node.nr_slabs) counts.kernel_slabs = counts.kernel_slabs.value_or(0) + *node.nr_slabs;
        if (node.total_objects) counts.kernel_objects = counts.kernel_objects.value_or(0) + *node.total_objects;
        for (const uint64_t partial : node.partial)
            if (const auto slab = read_slab(partial)) free_on_nodes += slab->objects - slab->inuse;
    }
    const uint64_t free = counts.objects - counts.allocated;
    counts.cached = free > free_on_nodes ? free - free_on_nodes : 0;
}

const SlabCensus& SlabAllocator::census(const Progress& progress) const {
    std::call_once(later_->once, [&] {
        SlabCensus census;
        scan(census, progress);
        for (const SlabCache& cache : caches_) census.caches[&cache];
        for (const Slab& slab : census.slabs) census.caches[slab.cache].all.push_back(&slab);
        std::vector<std::pair<const SlabCache*, CacheCounts*>> work;
        for (auto& [cache, counts] : census.caches) work.emplace_back(cache, &counts);
        tbb::parallel_for(size_t{0}, work.size(), [&](size_t i) { count(*work[i].second, *work[i].first); });
        later_->census = std::move(census);
    });
    return later_->census;
}

} // namespace kcrash
