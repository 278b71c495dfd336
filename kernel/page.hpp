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

// The array of struct page, or the arrays: without vmemmap each section of memory may have its own. Nothing when the kernel does not say
// where they lie.
class PageMap {
public:
    explicit PageMap(const Target& target);
    bool known() const { return base_ != 0; }
    uint64_t page_address(PageFrame frame) const;        // of its struct page; 0: no section has this frame
    std::optional<PageFrame> frame(uint64_t page) const; // nothing when the address is before the array, or in none
    uint64_t base() const { return base_; }              // no struct page is below it
    uint64_t size() const { return size_; }              // bytes of one struct page
    Page read(PageFrame frame) const;                    // never throws for unreadable memory

private:
    struct Run { // of frames whose struct pages are one array
        uint64_t begin, end, base;
    };
    bool use_sections();
    // A base may be below 0: words of 32 bits go round.
    uint64_t as_word(uint64_t value) const { return target_.arch().word_size == 4 ? value & 0xffffffff : value; }
    uint64_t at(uint64_t base, uint64_t frame) const { return as_word(base + frame * size_); }
    const Target& target_;
    uint64_t base_ = 0, size_ = 0;
    std::vector<Run> runs_; // ascending; empty: there is one array for all
};

// The names of the flags that are set, in the order of their bits: "uptodate,lru". From enum pageflags.
std::string page_flag_names(const Target& target, uint64_t flags);

} // namespace kcrash
