// SPDX-License-Identifier: GPL-3.0-or-later
// Reading by virtual address, with a small cache of translations.
//
// Two direct-mapped tables: one for mappings of 2 MB and more, found by address / 2 MB, and one for smaller ones. The
// kernel's direct map lies in the first, so that a walk of its lists translates without touching a page table. Entries are
// guarded by a sequence number (odd while being written): readers never wait, and take a torn entry for a miss.
#include "core/memory/address_space.hpp"
#include "core/error.hpp"
#include <algorithm>
#include <array>
#include <atomic>

namespace kcrash {
namespace {

constexpr unsigned small_shift = 12, large_shift = 21;

class Entry {
public:
    bool get(uint64_t key, Translation& result) const {
        const uint32_t before = sequence_.load(std::memory_order_acquire);
        if (before == 0 || before & 1 || key_.load(std::memory_order_acquire) != key) return false;
        Translation found;
        found.physical.value = physical_.load(std::memory_order_acquire);
        found.page_size = page_size_.load(std::memory_order_acquire);
        found.entry = entry_.load(std::memory_order_acquire);
        if (sequence_.load(std::memory_order_relaxed) != before) return false;
        result = found;
        return true;
    }

    void put(uint64_t key, const Translation& translation) {
        uint32_t before = sequence_.load(std::memory_order_relaxed);
        if (before & 1 || !sequence_.compare_exchange_strong(before, before + 1, std::memory_order_acquire))
            return;                                 // somebody writes it
        key_.store(key, std::memory_order_release); // release: not before the sequence is odd
        physical_.store(translation.physical.value, std::memory_order_release);
        page_size_.store(translation.page_size, std::memory_order_release);
        entry_.store(translation.entry, std::memory_order_release);
        sequence_.store(before + 2, std::memory_order_release);
    }

private:
    std::atomic<uint32_t> sequence_{0};
    std::atomic<uint64_t> key_{0}, physical_{0}, page_size_{0}, entry_{0};
};

} // namespace

struct AddressSpace::Cache {
    // Holds the start of the mapping, so that one entry serves all its addresses.
    bool get(uint64_t at, Translation& result) const {
        if (!large[at >> large_shift & (large.size() - 1)].get(at >> large_shift, result) &&
            !small[at >> small_shift & (small.size() - 1)].get(at >> small_shift, result))
            return false;
        result.physical += at & (result.page_size - 1);
        return true;
    }

    void put(uint64_t at, Translation translation) {
        const uint64_t size = translation.page_size;
        if (size < uint64_t{1} << small_shift || (size & (size - 1)) != 0) return;
        translation.physical = translation.physical - (at & (size - 1));
        if (size >= uint64_t{1} << large_shift) large[at >> large_shift & (large.size() - 1)].put(at >> large_shift, translation);
        else small[at >> small_shift & (small.size() - 1)].put(at >> small_shift, translation);
    }

    std::array<Entry, 512> large;
    std::array<Entry, 1024> small;
};

AddressSpace::AddressSpace(const PhysicalMemory& memory, std::unique_ptr<const Translator> translator, ByteOrder order,
                           std::string name)
    : memory_(memory), translator_(std::move(translator)), order_(order), name_(std::move(name)),
      cache_(std::make_unique<Cache>()) {}

AddressSpace::~AddressSpace() = default;

Fault AddressSpace::try_translate(VirtualAddress at, Translation& result) const {
    if (cache_->get(at.value, result)) return Fault::none;
    const Fault fault = translator_->try_translate(at, result);
    if (fault == Fault::none) cache_->put(at.value, result);
    return fault;
}

PhysicalAddress AddressSpace::translate(VirtualAddress at) const {
    Translation result;
    if (const Fault fault = try_translate(at, result); fault != Fault::none) throw MemoryError(fault, at.value, name_);
    return result.physical;
}

Fault AddressSpace::try_read_until(VirtualAddress& at, std::span<std::byte> into) const {
    while (!into.empty()) {
        Translation where;
        if (const Fault fault = try_translate(at, where); fault != Fault::none) return fault;
        if (where.page_size == 0) return Fault::bad_table;
        const uint64_t left = where.page_size - at.value % where.page_size;
        size_t n = static_cast<size_t>(std::min<uint64_t>(into.size(), left));
        const size_t page_left = memory_.page_size() - (where.physical.value & (memory_.page_size() - 1));
        n = std::min(n, page_left); // so that `at` names the page that cannot be read
        if (const Fault fault = memory_.try_read(where.physical, into.first(n)); fault != Fault::none) return fault;
        into = into.subspan(n);
        at += n;
        if (at.value == 0 && !into.empty()) return Fault::noncanonical; // the address space ended
    }
    return Fault::none;
}

Fault AddressSpace::try_read(VirtualAddress at, std::span<std::byte> into) const { return try_read_until(at, into); }

void AddressSpace::read(VirtualAddress at, std::span<std::byte> into, std::string_view what) const {
    const Fault fault = try_read_until(at, into);
    if (fault != Fault::none) throw MemoryError(fault, at.value, name_, what);
}

std::string AddressSpace::string(VirtualAddress at, size_t max, std::string_view what) const {
    constexpr size_t at_once = 256;
    std::string text;
    while (text.size() < max) {
        char bytes[at_once];
        const size_t to_page_end = 4096 - at.value % 4096;
        const size_t n = std::min({at_once, max - text.size(), to_page_end});
        const Fault fault = try_read(at, std::as_writable_bytes(std::span(bytes, n)));
        if (fault != Fault::none && text.empty()) throw MemoryError(fault, at.value, name_, what);
        if (fault != Fault::none) break;
        const size_t length = static_cast<size_t>(std::find(bytes, bytes + n, '\0') - bytes);
        text.append(bytes, length);
        if (length != n) break;
        at += n;
        if (at.value == 0) break; // the address space ended
    }
    return text;
}

} // namespace kcrash
