// SPDX-License-Identifier: GPL-3.0-or-later
// The page cache: sets of eight pages, of which the least recently used makes room.
//
// A page's set follows from its frame number; locks are shared by sets, so that threads rarely meet. Pages are
// decompressed outside of any lock, into a buffer of the thread, and enter the cache only when they are whole: a failed page
// never does.
#include "core/memory/physical_memory.hpp"
#include "core/error.hpp"
#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <mutex>

namespace kcrash {
namespace {

constexpr size_t ways = 8, locks = 64;

struct Slot {
    uint64_t frame = 0;
    uint64_t used = 0; // when, in the ticks of the lock; 0: empty
    std::unique_ptr<std::byte[]> bytes;
};

struct alignas(64) Lock {
    std::mutex mutex;
    uint64_t ticks = 0;
};

struct Set {
    std::array<Slot, ways> slots;

    Slot* find(uint64_t frame) {
        for (Slot& slot : slots)
            if (slot.used != 0 && slot.frame == frame) return &slot;
        return nullptr;
    }
    Slot& oldest() {
        return *std::min_element(slots.begin(), slots.end(), [](const Slot& a, const Slot& b) { return a.used < b.used; });
    }
};

} // namespace

struct PhysicalMemory::Cache {
    explicit Cache(size_t pages, size_t page_bytes)
        : page_size(page_bytes), sets(std::bit_ceil(std::max<size_t>(pages / ways, 1))) {}

    size_t set_of(uint64_t frame) const { return (frame * 0x9e3779b97f4a7c15u >> 32) & (sets.size() - 1); }

    bool copy(uint64_t frame, size_t offset, std::span<std::byte> into) {
        const size_t set = set_of(frame);
        Lock& lock = guards[set % locks];
        const std::lock_guard held(lock.mutex);
        Slot* slot = sets[set].find(frame);
        if (!slot) return false;
        slot->used = ++lock.ticks;
        std::memcpy(into.data(), slot->bytes.get() + offset, into.size());
        return true;
    }

    void add(uint64_t frame, const std::byte* page) {
        const size_t set = set_of(frame);
        Lock& lock = guards[set % locks];
        const std::lock_guard held(lock.mutex);
        if (sets[set].find(frame)) return; // another thread was quicker
        Slot& slot = sets[set].oldest();
        if (!slot.bytes) slot.bytes = std::make_unique<std::byte[]>(page_size);
        std::memcpy(slot.bytes.get(), page, page_size);
        slot.frame = frame;
        slot.used = ++lock.ticks;
    }

    const size_t page_size;
    std::vector<Set> sets;
    std::array<Lock, locks> guards;
};

PhysicalMemory::PhysicalMemory(const Dump& dump, size_t cache_bytes)
    : dump_(dump), page_size_(dump.info().page_size), cache_(std::make_unique<Cache>(cache_bytes / dump.info().page_size, dump.info().page_size)) {}

PhysicalMemory::~PhysicalMemory() = default;

// Reads within one page.
Fault PhysicalMemory::try_read_within(uint64_t frame, size_t offset, std::span<std::byte> into) const {
    if (cache_->copy(frame, offset, into)) return Fault::none;
    thread_local std::vector<std::byte> page;
    page.resize(cache_->page_size);
    const Fault fault = dump_.try_read_page(PageFrame(frame), page);
    if (fault == Fault::none) {
        if (!dump_.info().live) cache_->add(frame, page.data());
        std::memcpy(into.data(), page.data() + offset, into.size());
        return fault;
    }
    if (fault == Fault::not_in_dump && into.size() < cache_->page_size) return dump_.try_read_part(PageFrame(frame), offset, into);
    if (!zero_excluded_ || (fault != Fault::excluded && fault != Fault::excluded_or_zero)) return fault;
    std::fill(into.begin(), into.end(), std::byte{0});
    return Fault::none;
}

Fault PhysicalMemory::try_read_until(uint64_t& at, std::span<std::byte> into) const {
    const uint64_t size = cache_->page_size;
    while (!into.empty()) {
        const size_t offset = at & (size - 1);
        const size_t n = std::min<size_t>(into.size(), size - offset);
        if (const Fault fault = try_read_within(at / size, offset, into.first(n)); fault != Fault::none) return fault;
        into = into.subspan(n);
        at += n;
        if (at == 0 && !into.empty()) return Fault::not_in_dump; // the address space ended
    }
    return Fault::none;
}

Fault PhysicalMemory::try_read(PhysicalAddress at, std::span<std::byte> into) const { return try_read_until(at.value, into); }

void PhysicalMemory::read(PhysicalAddress at, std::span<std::byte> into, std::string_view what) const {
    const Fault fault = try_read_until(at.value, into);
    if (fault != Fault::none) throw MemoryError(fault, at.value, "physical", what);
}

} // namespace kcrash
