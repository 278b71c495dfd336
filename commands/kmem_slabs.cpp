// SPDX-License-Identifier: GPL-3.0-or-later
// kmem -s, -S, -r: slab caches, their slabs and objects.
#include "commands/kmem_parts.hpp"
#include "commands/shell/progress.hpp"
#include "core/error.hpp"
#include "kernel/slab.hpp"
#include <algorithm>
#include <fmt/format.h>
#include <functional>
#include <unordered_set>

namespace kcrash {
namespace {

class SlabReport {
public:
    SlabReport(Session& session, const SlabRequest& request)
        : session_(session), report_(session.report()), request_(request), slabs_(session.target()) {
        for (const std::string& warning : slabs_.warnings()) report_.note(Severity::warning, warning);
    }
    void run();

private:
    void header() { report_.text("CACHE             OBJSIZE  ALLOCATED     TOTAL  SLABS  SSIZE  NAME", true); }
    void cache_row(const SlabCache& cache, bool open_group);
    void list() const;
    void all_objects(const SlabCache& cache);
    void cpu_slabs(const CacheLists& lists, const CpuSlab& cpu);
    void node_slabs(const SlabCache& cache, const CacheLists& lists, const NodeSlabs& node);
    void slab_header() { report_.text("  SLAB              MEMORY            NODE  TOTAL  ALLOCATED  FREE", true); }
    void one_slab(const Slab& slab, const CacheLists& lists, const char* where, std::optional<unsigned> only = {});
    void unreadable_slab(uint64_t address);
    void address(uint64_t address);
    std::optional<uint64_t> as_address() const;
    void closing_notes();
    // The first call passes over all of memory: with a bar, which is gone before a row is said.
    const SlabCensus& census() {
        Progress progress(session_, "looking for slabs");
        return slabs_.census(std::ref(progress));
    }

    Session& session_;
    Report& report_;
    const SlabRequest& request_;
    SlabAllocator slabs_;
};

void SlabReport::cache_row(const SlabCache& cache, bool open_group) {
    const auto counted = census().caches.find(&cache);
    const CacheCounts none;
    const CacheCounts& counts = counted == census().caches.end() ? none : counted->second;
    const uint64_t size = session_.target().physical().page_size() << std::min(cache.order, 20u);
    const Fields fields{{"cache", AddressValue{cache.address}},
                        {"object_size", cache.object_size},
                        {"allocated", counts.allocated},
                        {"total", counts.objects},
                        {"slabs", counts.slabs},
                        {"slab_size", BytesValue{size}},
                        {"slab_kilobytes", std::to_string(size >> 10) + "k"},
                        {"name", cache.name},
                        {"cached", counts.cached},
                        {"stride", cache.size},
                        {"kernel_slabs", counts.kernel_slabs ? CellValue{*counts.kernel_slabs} : CellValue{Nothing{}}},
                        {"kernel_objects", counts.kernel_objects ? CellValue{*counts.kernel_objects} : CellValue{Nothing{}}}};
    const char* layout = "{cache} {object_size:>8} {allocated:>10} {total:>9} {slabs:>6} {slab_kilobytes:>6}  {name}";
    if (open_group) report_.begin("slab-cache", layout, fields);
    else report_.record("slab-cache", layout, fields);
    for (const std::string& warning : counts.warnings) report_.note(Severity::warning, warning);
    if (counts.kernel_slabs && *counts.kernel_slabs != counts.slabs)
        report_.note(Severity::warning, fmt::format("{}: the kernel counted {} slabs, {} were found", cache.name, *counts.kernel_slabs, counts.slabs));
}

void SlabReport::list() const {
    for (const SlabCache& cache : slabs_.caches())
        report_.record("slab-cache", "{cache} {name}", {{"cache", AddressValue{cache.address}}, {"name", cache.name}});
}

void SlabReport::one_slab(const Slab& slab, const CacheLists& lists, const char* where, std::optional<unsigned> only) {
    const SlabObjects objects = slabs_.objects(slab, lists);
    const uint64_t free = objects.free_count(), unknown = objects.count(ObjectState::unknown);
    report_.begin("slab", "  {slab}  {memory}  {node:>4}  {total:>5}  {allocated:>9}  {free:>4}",
                  {{"slab", AddressValue{slab.address}},
                   {"memory", AddressValue{slab.base}},
                   {"node", uint64_t{slab.node}},
                   {"total", uint64_t{slab.objects}},
                   {"allocated", unknown ? CellValue{uint64_t{slab.inuse}} : CellValue{slab.objects - free}},
                   {"free", unknown ? CellValue{uint64_t{slab.objects - slab.inuse}} : CellValue{free}},
                   {"list", std::string(where)}});
    if (!objects.broken.empty()) report_.note(Severity::warning, fmt::format("slab {:#x}: {}", slab.address, objects.broken));
    report_.text("  FREE / [ALLOCATED]", true);
    const auto found = std::find_if(lists.cpus.begin(), lists.cpus.end(), [&](const CpuSlab& one) { return one.slab == slab.address; });
    const CpuSlab* of_this_cpu = found == lists.cpus.end() ? nullptr : &*found;
    static constexpr const char* names[] = {"allocated", "free", "cpu-free", "sheaf-free", "unknown"};
    for (unsigned index = 0; index < slab.objects; ++index) {
        if (only && *only != index) continue;
        const ObjectState state = objects.states[index];
        // In the slab that a cpu allocates from, an object that another cpu freed waits for that cpu as well.
        const bool owner = state == ObjectState::cpu_free || (state == ObjectState::free && of_this_cpu);
        const std::optional<unsigned> cpu = owner && of_this_cpu ? of_this_cpu->cpu : objects.cpus[index];
        const char* layout = state == ObjectState::allocated ? "  [{object}]"
                             : state == ObjectState::unknown ? "  ?{object}?"
                             : owner                         ? "   {object}  (cpu {cpu} cache)"
                             : state == ObjectState::free    ? "   {object}  "
                             : cpu                           ? "   {object}  (cpu {cpu} sheaf)"
                                                             : "   {object}  (barn sheaf)";
        report_.record("object", layout, {{"object", AddressValue{slabs_.object_address(slab, index)}},
                                          {"state", std::string(names[static_cast<size_t>(state)])},
                                          {"cpu", cpu ? CellValue{uint64_t{*cpu}} : CellValue{Nothing{}}}});
    }
    report_.end();
}

void SlabReport::unreadable_slab(uint64_t address) {
    report_.record("slab", "  {slab}  (unreadable or no slab of this cache)", {{"slab", AddressValue{address}}, {"memory", Missing{"unreadable"}}});
}

void SlabReport::cpu_slabs(const CacheLists& lists, const CpuSlab& cpu) {
    report_.begin("cpu", "CPU {cpu} KMEM_CACHE_CPU:\n  {kmem_cache_cpu}", {{"cpu", uint64_t{cpu.cpu}}, {"kmem_cache_cpu", AddressValue{cpu.address}}});
    report_.text(fmt::format("CPU {} SLAB:", cpu.cpu), true);
    const auto slab = cpu.slab ? slabs_.read_slab(cpu.slab) : std::nullopt;
    if (!cpu.slab) report_.text("  (empty)", true);
    else slab_header();
    if (slab) one_slab(*slab, lists, "cpu");
    else if (cpu.slab) unreadable_slab(cpu.slab);
    report_.text(fmt::format("CPU {} PARTIAL:", cpu.cpu), true);
    if (cpu.partial.empty()) report_.text("  (empty)", true);
    for (const uint64_t address : cpu.partial) {
        slab_header();
        if (const auto partial = slabs_.read_slab(address)) one_slab(*partial, lists, "cpu-partial");
        else unreadable_slab(address);
    }
    report_.end();
}

// crash leaves the full slabs out, because no list of the kernel has them: they are what remains of all slabs of the node.
void SlabReport::node_slabs(const SlabCache& cache, const CacheLists& lists, const NodeSlabs& node) {
    std::unordered_set<uint64_t> listed(node.partial.begin(), node.partial.end());
    uint64_t of_cpus = 0;
    for (const CpuSlab& cpu : lists.cpus) {
        if (cpu.slab) listed.insert(cpu.slab);
        listed.insert(cpu.partial.begin(), cpu.partial.end());
        const auto is_here = [&](uint64_t address) {
            const auto slab = slabs_.read_slab(address);
            return slab && slab->node == node.node;
        };
        of_cpus += cpu.slab && is_here(cpu.slab);
    }
    const auto& counts = census().caches.at(&cache);
    const uint64_t slabs = node.nr_slabs.value_or(static_cast<uint64_t>(
        std::count_if(counts.all.begin(), counts.all.end(), [&](const Slab* slab) { return slab->node == node.node; })));
    report_.begin("node", "KMEM_CACHE_NODE   NODE  SLABS  PARTIAL  PER-CPU\n{kmem_cache_node}  {node:>4}  {slabs:>5}  {partial:>7}  {per_cpu:>7}",
                  {{"kmem_cache_node", AddressValue{node.address}},
                   {"node", uint64_t{node.node}},
                   {"slabs", slabs},
                   {"partial", cell_or_missing(node.nr_partial)},
                   {"per_cpu", of_cpus}});
    report_.text(fmt::format("NODE {} PARTIAL:", node.node), true);
    if (node.partial.empty()) report_.text("  (empty)", true);
    for (const uint64_t address : node.partial) {
        slab_header();
        if (const auto slab = slabs_.read_slab(address)) one_slab(*slab, lists, "partial");
        else unreadable_slab(address);
    }
    report_.text(fmt::format("NODE {} FULL:", node.node), true);
    bool any = false;
    for (const Slab* slab : counts.all) {
        if (slab->node != node.node || listed.contains(slab->address)) continue;
        any = true;
        slab_header();
        one_slab(*slab, lists, "full");
    }
    if (!any) report_.text("  (empty)", true);
    report_.text("", true);
    report_.end();
}

void SlabReport::all_objects(const SlabCache& cache) {
    const CacheLists lists = slabs_.lists(cache);
    for (const std::string& warning : lists.warnings) report_.note(Severity::warning, warning);
    for (const CpuSlab& cpu : lists.cpus) {
        if (request_.cpus && std::find(request_.cpus->begin(), request_.cpus->end(), cpu.cpu) == request_.cpus->end()) continue;
        cpu_slabs(lists, cpu);
    }
    for (const NodeSlabs& node : lists.nodes) node_slabs(cache, lists, node);
}

// The slab of an address: with -s only the object at the address, with -S all of them.
void SlabReport::address(uint64_t at) {
    const auto place = slabs_.locate(at);
    if (!place) throw UsageError(fmt::format("address is not allocated in slab subsystem: {:x}", at));
    header();
    cache_row(*place->slab.cache, true);
    slab_header();
    const CacheLists lists = slabs_.lists(*place->slab.cache);
    one_slab(place->slab, lists, "", request_.objects ? std::nullopt : std::optional(place->index));
    report_.end();
}

std::optional<uint64_t> SlabReport::as_address() const {
    const std::string& word = request_.word;
    const std::string digits = word.starts_with("0x") ? word.substr(2) : word;
    if (digits.empty() || digits.size() > 16 || digits.find_first_not_of("0123456789abcdefABCDEF") != std::string::npos) return std::nullopt;
    const uint64_t value = std::strtoull(digits.c_str(), nullptr, 16);
    return session_.target().kernel_address(value) ? std::optional(value) : std::nullopt;
}

void SlabReport::closing_notes() {
    const SlabCensus& found = census();
    if (found.unreadable_pages > 0)
        report_.note(Severity::warning, fmt::format("{} struct pages are not in the dump: slabs may be missing", found.unreadable_pages));
    if (found.strange > 0)
        report_.note(Severity::warning, fmt::format("{} pages are marked as slabs of no known cache, or contradict themselves", found.strange));
}

void SlabReport::run() {
    if (request_.word == "list") return list();
    const SlabCache* only = request_.word.empty() ? nullptr : slabs_.by_name(request_.word);
    if (!only && !request_.word.empty()) {
        const auto at = as_address();
        if (at) only = slabs_.by_address(*at);
        if (!only && at) return address(*at);
        if (!only) throw UsageError(fmt::format("no slab cache is named \"{}\"; \"kmem -s list\" names them", request_.word));
    }
    bool first = true;
    for (const SlabCache& cache : slabs_.caches()) {
        if (only && only != &cache) continue;
        if (first || request_.objects) header();
        first = false;
        if (std::find(request_.ignored.begin(), request_.ignored.end(), cache.name) != request_.ignored.end()) {
            report_.record("slab-cache", "{cache} [IGNORED]                                    {name}",
                           {{"cache", AddressValue{cache.address}}, {"name", cache.name}, {"ignored", true}});
            continue;
        }
        cache_row(cache, request_.objects);
        if (!request_.objects) continue;
        all_objects(cache);
        report_.end();
    }
    closing_notes();
}

} // namespace

void kmem_slabs(Session& session, const SlabRequest& request) {
    // Linux 272911a4ad18 ("mm: memcg/slab: remove memcg_kmem_get_cache()") and its neighbours, v5.9: caches have no children any more.
    if (request.roots && !session.target().symbol_address("slab_root_caches"))
        throw UsageError("-r needs a kernel whose memory cgroups have caches of their own (slab_root_caches, before Linux 5.9); use -s");
    SlabReport(session, request).run();
}

} // namespace kcrash
