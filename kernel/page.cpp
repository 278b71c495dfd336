// SPDX-License-Identifier: GPL-3.0-or-later
// Finding and reading struct page.
#include "kernel/page.hpp"
#include "core/error.hpp"
#include "kernel/word.hpp"

namespace kcrash {
namespace {

constexpr uint64_t most_frames = uint64_t{1} << 40; // addresses of 52 bits

// ARCH_PFN_OFFSET: 0, but on arm the begin of memory, as the kernel found it (Linux e26a9e00afc4, "ARM: Better virt_to_page()
// handling", v3.15).
uint64_t first_frame_of_mem_map(const Target& target) {
    const auto variable = target.symbol_address("__pv_phys_pfn_offset");
    uint64_t frame = 0;
    return variable && try_word(target, *variable, frame) == Fault::none ? frame : 0;
}

// Each section of memory has the place that frame 0 would have by its own struct pages (mm/sparse.c:
// sparse_encode_mem_map()). With CONFIG_SPARSEMEM_VMEMMAP that is one place for all. Nothing: they differ, or there is none.
std::optional<uint64_t> base_by_sections(const Target& target) {
    constexpr uint64_t most_roots = 4096, flags = 0xfff; // the low bits are marks of the section
    const auto roots = target.symbol_address("mem_section");
    const auto map = target.try_member("mem_section", {"section_mem_map"});
    const Type* section = target.types().find(TypeKind::structure, "mem_section");
    uint64_t table = 0;
    if (!roots || !map || !section || section->size == 0 || try_word(target, *roots, table) != Fault::none || !table) return std::nullopt;
    if (table % target.arch().word_size) return std::nullopt; // a section itself
    std::optional<uint64_t> base;
    for (uint64_t root = 0; root < most_roots; ++root) { // CONFIG_SPARSEMEM_EXTREME: a table of tables of a page
        uint64_t sections = 0, value = 0;
        if (try_word(target, table + root * target.arch().word_size, sections) != Fault::none) break;
        for (uint64_t i = 0; sections && i < target.physical().page_size() / section->size; ++i) {
            if (map->load(target.kernel(), sections + i * section->size, value) != Fault::none || !(value & 2)) continue; // SECTION_HAS_MEM_MAP
            if (base && *base != (value & ~flags)) return std::nullopt;
            base = value & ~flags;
        }
        if (base) break;
    }
    return base;
}

} // namespace

PageMap::PageMap(const Target& target) : target_(target) {
    const Type* page = target.types().find(TypeKind::structure, "page");
    if (!page || page->size == 0) return;
    size_ = page->size;
    // x86: a variable, randomised (CONFIG_DYNAMIC_MEMORY_LAYOUT). Else what the sections say: the constant in vmcoreinfo belongs to a frame
    // that has changed (riscv: to 0 where memory begins at 2 GB), and is for dumps that lack them. Flat memory has mem_map.
    uint64_t base = 0;
    if (const auto variable = target.symbol_address("vmemmap_base")) {
        if (try_word(target, *variable, base) == Fault::none) base_ = base;
    } else if (const auto found = base_by_sections(target)) {
        base_ = *found;
    } else if (const auto number = target.facts().number("VMEMMAP_START")) {
        const auto first = target.arch().vmemmap_frame;
        base_ = *number - (first ? first(target.facts()).value_or(0) : 0) * size_;
    } else {
        for (const char* name : {"mem_map", "vmemmap"}) // the second is a variable on s390x (arch/s390/kernel/setup.c), a macro elsewhere
            if (const auto variable_of = target.symbol_address(name); variable_of && !base_)
                if (try_word(target, *variable_of, base) == Fault::none) base_ = base - first_frame_of_mem_map(target) * size_;
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
    // Linux 53fbef56e07d ("mm: introduce memdesc_flags_t"), v6.18: a struct of one word.
    const Object flags = page["flags"];
    result.flags = flags.has("f") ? flags["f"].try_u64() : flags.try_u64();
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
