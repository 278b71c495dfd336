// SPDX-License-Identifier: GPL-3.0-or-later
#include "kernel/vmstat.hpp"
#include "core/error.hpp"
#include "core/interrupt.hpp"
#include "kernel/list.hpp"
#include "kernel/page.hpp"
#include "kernel/percpu.hpp"
#include <algorithm>
#include <atomic>
#include <tbb/parallel_for.h>

namespace kcrash {
namespace {

constexpr uint64_t most_counters = 1024;

const Type* find_enum(const Target& target, std::string_view type) { return target.types().find(TypeKind::enumeration, type); }

// The counters of an enum; `last` is the enumerator that only counts them.
std::vector<std::string_view> names_of(const Type* type, std::string_view last) {
    std::vector<std::string_view> names;
    if (!type) return names;
    for (const Enumerator& item : type->enumerators) {
        if (item.name == last || item.value < 0 || static_cast<uint64_t>(item.value) >= most_counters) break;
        if (names.size() <= static_cast<size_t>(item.value)) names.resize(static_cast<size_t>(item.value) + 1);
        auto& name = names[static_cast<size_t>(item.value)];
        name = item.name; // of several names for one value the first is a common base, the last its own
    }
    return names;
}

std::optional<int64_t> load_long(const Target& target, uint64_t address) {
    uint64_t value = 0;
    const unsigned word = target.arch().word_size;
    const Member one{.offset = 0, .size = word};
    if (one.load(target.kernel(), address, value) != Fault::none) return std::nullopt;
    return sign_extend(value, word * 8);
}

std::optional<int64_t> load_symbol(const Target& target, std::initializer_list<std::string_view> names) {
    for (const std::string_view name : names)
        if (const auto address = target.symbol_address(name)) return load_long(target, *address);
    return std::nullopt;
}

CounterTable read_array(const Target& target, std::string_view name, const Type* type, std::string_view last,
                        std::initializer_list<std::string_view> symbols) {
    CounterTable table{name, {}};
    for (const std::string_view symbol : symbols) {
        const auto address = target.symbol_address(symbol);
        if (!address) continue;
        const auto names = names_of(type, last);
        for (size_t i = 0; i < names.size(); ++i) table.counters.push_back({names[i], load_long(target, *address + i * target.arch().word_size)});
        break;
    }
    return table;
}

CounterTable read_events(const Target& target) {
    CounterTable table{"VM_EVENT_STATES", {}};
    const auto states = target.symbol_address("vm_event_states");
    if (!states) return table;
    const auto names = names_of(find_enum(target, "vm_event_item"), "NR_VM_EVENT_ITEMS");
    for (size_t i = 0; i < names.size(); ++i) {
        std::optional<int64_t> sum = 0;
        for (const unsigned cpu : target.possible_cpus()) { // what a CPU counted before it went offline was folded into another's
            const auto base = per_cpu_address(target, *states, cpu);
            const auto part = base ? load_long(target, *base + i * target.arch().word_size) : std::nullopt;
            if (part && sum) *sum += *part;
            else sum = std::nullopt;
        }
        table.counters.push_back({names[i], sum});
    }
    return table;
}

std::optional<int64_t> find(const std::vector<CounterTable>& tables, std::initializer_list<std::string_view> names) {
    for (const std::string_view name : names)
        for (const CounterTable& table : tables)
            for (const Counter& counter : table.counters)
                if (counter.name == name) return counter.value;
    return std::nullopt;
}

// Pages of the block devices' own inodes (nr_blockdev_pages of block/bdev.c).
std::optional<int64_t> buffer_pages(const Target& target) {
    const auto symbol = target.symbol_address("blockdev_superblock");
    const auto inodes = target.try_member("super_block", {"s_inodes"}), link = target.try_member("inode", {"i_sb_list"}),
               mapping = target.try_member("inode", {"i_mapping"}), pages = target.try_member("address_space", {"nrpages"});
    uint64_t super = 0;
    const unsigned word = target.arch().word_size;
    const auto read = pointer_reader(target.kernel(), word);
    if (!symbol || !inodes || !link || !mapping || !pages || read(*symbol, super) != Fault::none || super == 0) return std::nullopt;
    int64_t sum = 0;
    bool whole = true;
    const ListNodes list = list_nodes(target.kernel(), word, super + inodes->offset);
    for (const uint64_t node : list.nodes) {
        uint64_t space = 0, count = 0;
        if (mapping->load(target.kernel(), node - link->offset, space) != Fault::none || pages->load(target.kernel(), space, count) != Fault::none) whole = false;
        else sum += static_cast<int64_t>(count);
    }
    if (!list.forward.whole() || !whole) return std::nullopt;
    return sum;
}

void read_huge(const Target& target, MemoryInfo& info) {
    const auto states = target.symbol_address("hstates");
    const auto order = target.try_member("hstate", {"order"}), total = target.try_member("hstate", {"nr_huge_pages"}),
               free = target.try_member("hstate", {"free_huge_pages"});
    uint32_t count = 0;
    const auto max = target.symbol_address("hugetlb_max_hstate");
    if (!states || !order || !total || !free || !max || target.kernel().try_load(VirtualAddress(*max), count) != Fault::none || count > 64) return;
    info.huge_total = info.huge_free = 0;
    const uint64_t size = target.size_of("struct hstate");
    for (uint32_t i = 0; i < count; ++i) {
        uint64_t shift = 0, pages = 0, unused = 0;
        const uint64_t base = *states + i * size;
        if (order->load(target.kernel(), base, shift) != Fault::none || total->load(target.kernel(), base, pages) != Fault::none ||
            free->load(target.kernel(), base, unused) != Fault::none || shift > 40) {
            info.huge_total = info.huge_free = std::nullopt;
            return;
        }
        *info.huge_total += pages << shift;
        *info.huge_free += unused << shift;
    }
}

void read_swap(const Target& target, MemoryInfo& info) {
    const auto table = target.symbol_address("swap_info"), count = target.symbol_address("nr_swapfiles");
    const auto flags = target.try_member("swap_info_struct", {"flags"}), pages = target.try_member("swap_info_struct", {"pages"});
    const auto used = target.try_member("swap_info_struct", {"inuse_pages"});
    uint32_t areas = 0;
    if (!table || !count || !flags || !pages || !used || target.kernel().try_load(VirtualAddress(*count), areas) != Fault::none || areas > 64) return;
    constexpr uint64_t used_flag = 1; // SWP_USED of include/linux/swap.h: the slot is taken
    info.swap_total = info.swap_used = 0;
    for (uint32_t i = 0; i < areas; ++i) {
        uint64_t area = 0, state = 0, all = 0, in_use = 0;
        if (pointer_reader(target.kernel(), target.arch().word_size)(*table + i * target.arch().word_size, area) != Fault::none || area == 0) continue;
        if (flags->load(target.kernel(), area, state) != Fault::none || pages->load(target.kernel(), area, all) != Fault::none ||
            used->load(target.kernel(), area, in_use) != Fault::none) {
            info.swap_total = info.swap_used = std::nullopt;
            return;
        }
        if (!(state & used_flag)) continue;
        *info.swap_total += all;
        // SWAP_USAGE_OFFLIST_BIT (v6.13) stands above the count.
        *info.swap_used += used->size == 8 ? in_use & ~(uint64_t{1} << 62) : in_use;
    }
}

// vm_commit_limit() of mm/util.c.
void read_commit(const Target& target, MemoryInfo& info) {
    if (const auto counter = target.symbol_address("vm_committed_as")) info.committed = percpu_counter_sum(target, *counter, &info.committed_incomplete);
    uint32_t ratio = 0;
    const auto symbol = target.symbol_address("sysctl_overcommit_ratio");
    if (!symbol || target.kernel().try_load(VirtualAddress(*symbol), ratio) != Fault::none || !info.total || !info.swap_total) return;
    const int64_t kilobytes = load_symbol(target, {"sysctl_overcommit_kbytes"}).value_or(0);
    const uint64_t page = target.physical().page_size();
    const uint64_t memory = static_cast<uint64_t>(*info.total) - std::min<uint64_t>(*info.total, info.huge_total.value_or(0));
    info.commit_limit = (kilobytes > 0 ? static_cast<uint64_t>(kilobytes) / (page / 1024) : memory * ratio / 100) + *info.swap_total;
}

} // namespace

std::vector<std::string_view> zone_counter_names(const Target& target) {
    return names_of(find_enum(target, "zone_stat_item"), "NR_VM_ZONE_STAT_ITEMS");
}

std::vector<CounterTable> read_counters(const Target& target) {
    std::vector<CounterTable> tables;
    tables.push_back(read_array(target, "VM_ZONE_STAT", find_enum(target, "zone_stat_item"), "NR_VM_ZONE_STAT_ITEMS", {"vm_zone_stat", "vm_stat"}));
    tables.push_back(read_array(target, "VM_NODE_STAT", find_enum(target, "node_stat_item"), "NR_VM_NODE_STAT_ITEMS", {"vm_node_stat"}));
    // f19298b9516c ("mm/vmstat: convert NUMA statistics to basic NUMA counters"), v5.14.
    const Type* numa = find_enum(target, "numa_stat_item");
    tables.push_back(read_array(target, "VM_NUMA_STAT", numa, "NR_VM_NUMA_EVENT_ITEMS", {"vm_numa_event", "vm_numa_stat"}));
    tables.push_back(read_events(target));
    std::erase_if(tables, [](const CounterTable& table) { return table.counters.empty(); });
    return tables;
}

std::optional<int64_t> MemoryInfo::cached() const {
    if (!file_pages || !swap_cache || !buffers) return std::nullopt;
    return std::max<int64_t>(0, *file_pages - *swap_cache - *buffers);
}

MemoryInfo read_memory_info(const Target& target) {
    const auto tables = read_counters(target);
    MemoryInfo info;
    // ca79b0c211af ("mm: convert totalram_pages and totalhigh_pages variables to atomic"), v5.0.
    info.total = load_symbol(target, {"_totalram_pages", "totalram_pages"});
    info.free = find(tables, {"NR_FREE_PAGES"});
    info.file_pages = find(tables, {"NR_FILE_PAGES"});
    // b6038942480e ("mm: memcg: add swapcache stat for memcg v2"), v5.12.
    info.swap_cache = find(tables, {"NR_SWAPCACHE"});
    // d42f3245c7e2 ("mm: memcg: convert vmstat slab counters to bytes"), v5.9: only what is exposed is in bytes, not these.
    info.slab_reclaimable = find(tables, {"NR_SLAB_RECLAIMABLE_B", "NR_SLAB_RECLAIMABLE"});
    info.slab_unreclaimable = find(tables, {"NR_SLAB_UNRECLAIMABLE_B", "NR_SLAB_UNRECLAIMABLE"});
    info.shmem = find(tables, {"NR_SHMEM"});
    info.buffers = buffer_pages(target);
    read_huge(target, info);
    read_swap(target, info);
    read_commit(target, info);
    return info;
}

std::optional<uint64_t> count_shared_pages(const Target& target) {
    const PageMap pages(target);
    const auto count = target.try_member("page", {"_refcount.counter", "_count.counter"}), flags = target.try_member("page", {"flags"});
    const auto reserved = target.types().enumerator("PG_reserved");
    if (!pages.known() || !count || !flags || !reserved || *reserved < 0 || *reserved > 63) return std::nullopt;
    const uint64_t page = target.physical().page_size();
    std::atomic<uint64_t> shared{0};
    for (const PhysicalRange& range : target.dump().memory()) {
        constexpr uint64_t chunk = 64; // frames, in no more than one section of memory
        const uint64_t begin = range.begin.value / page, end = range.end.value / page;
        if (begin == end) continue;
        tbb::parallel_for(begin / chunk, (end - 1) / chunk + 1, [&](uint64_t n) {
            check_interrupt();
            const uint64_t first = std::max(begin, n * chunk), n_pages = std::min(end, (n + 1) * chunk) - first;
            std::vector<std::byte> bytes(n_pages * pages.size());
            if (target.kernel().try_read(VirtualAddress(pages.page_address(PageFrame(first))), bytes) != Fault::none) return;
            uint64_t found = 0;
            for (uint64_t i = 0; i < n_pages; ++i) {
                const auto one = std::span<const std::byte>(bytes).subspan(i * pages.size(), pages.size());
                if (flags->load(one, target.kernel().order()) >> *reserved & 1) continue;
                found += static_cast<int32_t>(count->load(one, target.kernel().order())) > 1;
            }
            shared += found;
        });
    }
    return shared;
}

} // namespace kcrash
