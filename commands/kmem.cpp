// SPDX-License-Identifier: GPL-3.0-or-later
// kmem: kernel memory.
#include "commands/kmem_parts.hpp"
#include "core/error.hpp"
#include <algorithm>
#include <fmt/format.h>

namespace kcrash {
namespace {

SlabRequest slab_request(Session& session, const Invocation& invocation) {
    SlabRequest request;
    request.objects = invocation.has("S");
    request.roots = invocation.has("r");
    if (const auto cpus = invocation.value("S"); cpus && !cpus->empty()) request.cpus = session.cpus(*cpus);
    for (const std::string& list : invocation.values("I"))
        for (size_t at = 0; at <= list.size();) {
            const size_t end = std::min(list.find(',', at), list.size());
            request.ignored.push_back(list.substr(at, end - at));
            at = end + 1;
        }
    if (invocation.operands.size() > 1) throw UsageError("only one kmem_cache reference is allowed");
    if (!invocation.operands.empty()) request.word = invocation.operands.front();
    return request;
}

void run(Session& session, const Invocation& invocation) {
    const auto modes = std::count_if(invocation.options.begin(), invocation.options.end(), [](const auto& option) { return option.first != "I"; });
    if (modes == 0) throw UsageError("say what: kmem -i, -s, -S, -r, -v, -V or -z; see \"help kmem\"");
    if (modes > 1) throw UsageError("only one of -i -s -S -r -v -V -z at a time");
    if (const auto shared = invocation.value("i")) {
        if (!shared->empty() && *shared != "shared") throw UsageError(fmt::format("invalid option: -i={}; only -i=shared is known", *shared));
        return kmem_usage(session, *shared == "shared");
    }
    if (invocation.has("V")) return kmem_counters(session);
    if (invocation.has("z")) return kmem_zones(session);
    if (invocation.has("v")) {
        std::optional<uint64_t> address;
        if (!invocation.operands.empty()) address = session.address(invocation.operands.front());
        return kmem_vmalloc(session, address);
    }
    kmem_slabs(session, slab_request(session, invocation));
}

const Option options[] = {
    {"i", "=shared", ArgumentKind::text, "how memory was used; with =shared also the pages with several users (slow)", true},
    {"s", {}, ArgumentKind::none, "the slab caches"},
    {"S", "=cpus", ArgumentKind::cpus, "the slab caches with every slab and every object; with =cpus only these cpus' own slabs", true},
    {"r", {}, ArgumentKind::none, "the root slab caches with their children (before Linux 5.9)"},
    {"I", "names", ArgumentKind::text, "with -s, -S, -r: leave these caches out (names with commas)"},
    {"v", {}, ArgumentKind::none, "the areas of vmalloc()"},
    {"V", {}, ArgumentKind::none, "the counters of /proc/vmstat"},
    {"z", {}, ArgumentKind::none, "the memory zones and their counters"},
};

} // namespace

extern const Command kmem_command;
const Command kmem_command{
    .name = "kmem",
    .summary = "kernel memory",
    .synopsis = "-i[=shared] | {-s | -S[=cpus] | -r} [-I names] [name | address | list] | -v [address] | -V | -z",
    .options = options,
    .operands = ArgumentKind::text,
    .needs = needs_target | needs_types,
    .help = "-s counts every slab of a cache, the full ones too, which are on no list: they are found by one pass over all struct\n"
            "pages. ALLOCATED does not count objects that a cpu took off its slab to have them at hand; /proc/slabinfo counts\n"
            "them as active (in JSON: \"cached\"). Free lists are followed with a check of every step.\n"
            "With -s an address shows its object, with -S all objects of its slab: [allocated], free, (cpu N cache), ?unknown?.\n"
            "-i's COMMITTED includes what the cpus had not yet handed in to the common counter.\n\n"
            "Examples:\n"
            "  kmem -i                      who has the memory\n"
            "  kmem -s dentry               one cache\n"
            "  kmem -s ffff888004a31000     which object is at this address, and is it in use?\n"
            "  kmem -S=0,1 filp             cpus 0 and 1 only\n"
            "  kmem -v ffffc90000004000     the vmalloc area around an address\n",
    .run = run,
};

} // namespace kcrash
