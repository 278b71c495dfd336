// SPDX-License-Identifier: GPL-3.0-or-later
#include "kernel/mmzone.hpp"
#include "core/error.hpp"
#include "kernel/list.hpp"
#include "kernel/word.hpp"
#include <algorithm>
#include <fmt/format.h>

namespace kcrash {
namespace {

constexpr unsigned most_nodes = 4096, most_zones = 64, most_counters = 256;

std::optional<uint64_t> load(const Target& target, uint64_t base, std::string_view type, std::initializer_list<std::string_view> names) {
    const auto member = target.try_member(type, names);
    uint64_t value = 0;
    if (!member || member->load(target.kernel(), base, value) != Fault::none) return std::nullopt;
    return value;
}

// Addresses of the nodes' pglist_data: node_data[] by node number, or the one node of a kernel without NUMA.
std::vector<uint64_t> node_addresses(const Target& target) {
    if (const auto table = target.symbol_address("node_data")) {
        const Type* mask = target.types().find(TypeKind::typedef_type, "nodemask_t");
        const uint64_t limit = mask ? std::min<uint64_t>(strip(mask)->size * 8, most_nodes) : 1;
        const auto online = target.types().enumerator("N_ONLINE");
        const auto states = target.symbol_address("node_states");
        const unsigned width = target.arch().word_size * 8;
        std::vector<uint64_t> nodes;
        for (uint64_t node = 0; node < limit; ++node) {
            uint64_t bits = ~uint64_t{0}, address = 0;
            if (states && online && mask)
                (void)try_word(target, *states + static_cast<uint64_t>(*online) * strip(mask)->size + node / width * (width / 8), bits);
            if (!(bits >> node % width & 1)) continue;
            const auto read = pointer_reader(target.kernel(), target.arch().word_size);
            if (read(*table + node * target.arch().word_size, address) == Fault::none && address != 0) nodes.push_back(address);
        }
        return nodes;
    }
    if (const auto only = target.symbol_address("contig_page_data")) return {*only};
    throw LookupError("this kernel's memory nodes are unknown (neither node_data nor contig_page_data)");
}

void read_counters(const Target& target, Zone& zone) {
    const auto items = target.types().enumerator("NR_VM_ZONE_STAT_ITEMS");
    const auto table = target.try_member("zone", {"vm_stat"});
    if (!items || !table || *items <= 0 || *items > most_counters) return;
    for (int64_t i = 0; i < *items; ++i) {
        uint64_t value = 0;
        const Member one{.offset = table->offset + static_cast<uint64_t>(i) * target.arch().word_size, .size = target.arch().word_size};
        if (one.load(target.kernel(), zone.address, value) == Fault::none) zone.counters.emplace_back(static_cast<int64_t>(value));
        else zone.counters.emplace_back(std::nullopt);
    }
}

Zone read_zone(const Target& target, uint64_t address, unsigned node, unsigned index) {
    Zone zone;
    zone.address = address;
    zone.node = node;
    zone.index = index;
    zone.spanned = load(target, address, "zone", {"spanned_pages"});
    zone.present = load(target, address, "zone", {"present_pages"});
    zone.managed = load(target, address, "zone", {"managed_pages"});
    zone.start_frame = load(target, address, "zone", {"zone_start_pfn"});
    // Linux a9214443c2b5 ("mm: move zone watermark accesses behind an accessor"), v5.0, renamed
    if (const auto marks = target.try_member("zone", {"_watermark", "watermark"}))
        for (unsigned i = 0; i < 3; ++i) {
            uint64_t value = 0;
            const Member one{.offset = marks->offset + i * target.arch().word_size, .size = target.arch().word_size};
            const bool read = one.load(target.kernel(), address, value) == Fault::none;
            zone.watermarks.push_back(read ? std::optional(value) : std::nullopt);
        }
    if (const auto name = load(target, address, "zone", {"name"})) {
        try {
            zone.name = target.kernel().string(VirtualAddress(*name), 32);
        } catch (const MemoryError&) {
            zone.name = "(unreadable)";
        }
    }
    read_counters(target, zone);
    return zone;
}

} // namespace

std::vector<Node> read_nodes(const Target& target, std::vector<std::string>& warnings) {
    const Member zones = target.member("pglist_data", {"node_zones"});
    const uint64_t zone_size = target.size_of("struct zone");
    const unsigned limit = static_cast<unsigned>(std::min<uint64_t>(zone_size ? zones.size / zone_size : 0, most_zones));
    std::vector<Node> nodes;
    for (const uint64_t address : node_addresses(target)) {
        Node node;
        node.address = address;
        node.id = static_cast<unsigned>(load(target, address, "pglist_data", {"node_id"}).value_or(nodes.size()));
        node.spanned = load(target, address, "pglist_data", {"node_spanned_pages"});
        node.present = load(target, address, "pglist_data", {"node_present_pages"});
        node.start_frame = load(target, address, "pglist_data", {"node_start_pfn"});
        if (!node.present) warnings.push_back(fmt::format("memory node {} at {:#x} is unreadable", node.id, address));
        for (unsigned i = 0; i < limit; ++i) node.zones.push_back(read_zone(target, address + zones.offset + i * zone_size, node.id, i));
        nodes.push_back(std::move(node));
    }
    return nodes;
}

std::optional<uint64_t> present_pages(const Target& target) {
    try {
        uint64_t pages = 0;
        for (const uint64_t node : node_addresses(target)) {
            const auto present = load(target, node, "pglist_data", {"node_present_pages"});
            if (!present) return std::nullopt;
            pages += *present;
        }
        if (pages == 0) return std::nullopt; // every machine has memory: the nodes could not be read
        return pages;
    } catch (const LookupError&) {
        return std::nullopt;
    }
}

} // namespace kcrash
