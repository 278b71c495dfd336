// SPDX-License-Identifier: GPL-3.0-or-later
// Memory of the dumped machine by physical address: pages of the dump, decompressed and cached.
#pragma once
#include "core/dump/dump.hpp"
#include <atomic>
#include <memory>

namespace kcrash {

// Safe from many threads. Looks at the dump, which must outlive it. The cache is bounded (bytes).
class PhysicalMemory {
public:
    explicit PhysicalMemory(const Dump& dump, size_t cache_bytes = size_t{64} << 20);
    ~PhysicalMemory();

    // Fills all of `into`, across pages, or says why the first unreadable page cannot be read. On a fault the
    // bytes from that page on are unspecified; nothing is ever zero-filled, unless zero_excluded is set.
    Fault try_read(PhysicalAddress at, std::span<std::byte> into) const;
    // As try_read, but throws MemoryError.
    void read(PhysicalAddress at, std::span<std::byte> into, std::string_view what = {}) const;

    // Of the kernel, in bytes. The dump's pages may be larger: QEMU stores those of arm64 by 64 KB.
    uint64_t page_size() const { return page_size_; }
    void set_page_size(uint64_t bytes) { page_size_ = bytes; }
    const Dump& dump() const { return dump_; }
    // The user's own wish (--zero_excluded, set zero_excluded on): excluded pages read as zeroes.
    void set_zero_excluded(bool on) { zero_excluded_ = on; }
    bool zero_excluded() const { return zero_excluded_; }

private:
    struct Cache;
    Fault try_read_within(uint64_t frame, size_t offset, std::span<std::byte> into) const;
    Fault try_read_until(uint64_t& at, std::span<std::byte> into) const; // `at` ends at the first unreadable byte
    const Dump& dump_;
    uint64_t page_size_;
    std::unique_ptr<Cache> cache_;
    std::atomic<bool> zero_excluded_{false};
};

} // namespace kcrash
