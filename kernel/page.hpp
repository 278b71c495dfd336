// SPDX-License-Identifier: GPL-3.0-or-later
// struct page and the frames that it stands for: include/linux/mm_types.h, page-flags.h, asm-generic/memory_model.h.
#pragma once
#include "kernel/target.hpp"
#include <optional>
#include <string>
#include <vector>

namespace kcrash {

// What a struct page says of its frame. Members that could not be read are absent.
struct Page {
    uint64_t address = 0; // of struct page
    PhysicalAddress physical;
    std::optional<uint64_t> flags, mapping, index;
    std::optional<int64_t> count; // _refcount
};

// The array of struct page. Nothing when the kernel does not say where it lies (no vmemmap).
class PageMap {
public:
    explicit PageMap(const Target& target);
    bool known() const { return base_ != 0; }
    uint64_t page_address(PageFrame frame) const { return base_ + frame.value * size_; } // of its struct page
    std::optional<PageFrame> frame(uint64_t page) const; // nothing when the address is before the array
    uint64_t base() const { return base_; }
    uint64_t size() const { return size_; }              // bytes of one struct page
    Page read(PageFrame frame) const;                    // never throws for unreadable memory

private:
    const Target& target_;
    uint64_t base_ = 0, size_ = 0;
};

// The names of the flags that are set, in the order of their bits: "uptodate,lru". From enum pageflags.
std::string page_flag_names(const Target& target, uint64_t flags);

} // namespace kcrash
