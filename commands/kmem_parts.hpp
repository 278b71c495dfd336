// SPDX-License-Identifier: GPL-3.0-or-later
// What kmem says in its modes. Each is in the file named after it.
#pragma once
#include "commands/session.hpp"

namespace kcrash {

void kmem_usage(Session& session, bool shared);                               // -i: kmem_usage.cpp
void kmem_counters(Session& session);                                         // -V
void kmem_zones(Session& session);                                            // -z
void kmem_vmalloc(Session& session, std::optional<uint64_t> address);         // -v: kmem_vmalloc.cpp

struct SlabRequest {
    bool objects = false;                  // -S
    bool roots = false;                    // -r
    std::optional<std::vector<unsigned>> cpus; // -S=cpus: only these cpus' slabs
    std::vector<std::string> ignored;      // -I
    std::string word;                      // name, address, or "list"
};
void kmem_slabs(Session& session, const SlabRequest& request);                // -s: kmem_slabs.cpp

} // namespace kcrash
