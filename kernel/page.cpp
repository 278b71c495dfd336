// SPDX-License-Identifier: GPL-3.0-or-later
// Finding and reading struct page.
#include "kernel/page.hpp"
#include "core/error.hpp"
#include "kernel/word.hpp"

namespace kcrash {
namespace {

constexpr uint64_t most_frames = uint64_t{1} << 40; // addresses of 52 bits

} // namespace

PageMap::PageMap(const Target& target) : target_(target) {
    const Type* page = target.types().find(TypeKind::structure, "page");
    if (!page || page->size == 0) return;
    size_ = page->size;
    // x86: a variable, randomised (CONFIG_DYNAMIC_MEMORY_LAYOUT); others tell the constant in vmcoreinfo; flat memory has mem_map.
    uint64_t base = 0;
    if (const auto variable = target.symbol_address("vmemmap_base")) {
        if (try_word(target, *variable, base) == Fault::none) base_ = base;
    } else if (const auto number = target.facts().number("VMEMMAP_START")) {
        const auto first = target.arch().vmemmap_frame;
        base_ = *number - (first ? first(target.facts()).value_or(0) : 0) * size_;
    } else {
        for (const char* name : {"mem_map", "vmemmap"}) // the second is a variable on s390x (arch/s390/kernel/setup.c), a macro elsewhere
            if (const auto variable_of = target.symbol_address(name); variable_of && !base_)
                if (try_word(target, *variable_of, base) == Fault::none) base_ = base;
    }
}

std::optional<PageFrame> PageMap::frame(uint64_t page) const {
    if (!known() || page - base_ > most_frames * size_) return std::nullopt;
    return PageFrame{(page - base_) / size_};
}

Page PageMap::read(PageFrame frame) const {
    const Object page = target_.object("struct page", page_address(frame));
    Page result;
    result.address = page.address();
    result.physical = PhysicalAddress{frame.value * target_.physical().page_size()};
    result.flags = page["flags"].try_u64();
    result.mapping = page["mapping"].try_u64();
    // Linux acc53a0b4c15 ("mm: rename page->index to page->__folio_index"), v6.16.
    result.index = page.any({"__folio_index", "index"}).try_u64();
    // Linux 0139aa7b7fa1 ("mm: rename _count, field of the struct page, to _refcount"), v4.7.
    if (const auto count = page.any({"_refcount", "_count"})["counter"].try_u64()) result.count = static_cast<int32_t>(*count);
    return result;
}

std::string page_flag_names(const Target& target, uint64_t flags) {
    const Type* names = target.types().find(TypeKind::enumeration, "pageflags");
    if (!names) return {};
    const auto end = target.types().enumerator("__NR_PAGEFLAGS");
    std::string text;
    uint64_t named = 0;
    for (const Enumerator& flag : names->enumerators) {
        const uint64_t bit = flag.value >= 0 && flag.value < 64 ? uint64_t{1} << flag.value : 0;
        if ((end && flag.value >= *end) || !(flags & bit) || (named & bit) || !flag.name.starts_with("PG_")) continue;
        named |= bit; // of several names for one bit the first is its own, the others are uses of it
        if (!text.empty()) text += ',';
        text += flag.name.substr(3);
    }
    return text;
}

} // namespace kcrash
