// SPDX-License-Identifier: GPL-3.0-or-later
// Finding and reading struct page.
#include "kernel/page.hpp"
#include "core/error.hpp"
#include "kernel/word.hpp"
#include <algorithm>

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

struct Section {
    uint64_t number;
    uint64_t base; // where the struct page of frame 0 would be, by its own (mm/sparse.c: sparse_encode_mem_map())
};

// Reads struct mem_section. One that cannot be read has no memory.
class Sections {
public:
    explicit Sections(const Target& target)
        : target_(target), map_(target.try_member("mem_section", {"section_mem_map"})),
          section_(target.types().find(TypeKind::structure, "mem_section")) {}

    // Those that have memory; with CONFIG_SPARSEMEM_VMEMMAP all have the same base, and the first few are enough.
    std::vector<Section> read() {
        const auto variable = target_.symbol_address("mem_section");
        uint64_t first = 0;
        if (!variable || !map_ || !section_ || section_->size == 0 || try_word(target_, *variable, first) != Fault::none) return {};
        if (are_there(first)) read_some(*variable, 0, std::min(target_.vmcoreinfo().length("mem_section").value_or(0), most_sections));
        else if (first) read_tables(first);
        return std::move(found_);
    }

private:
    static constexpr uint64_t most_roots = 4096, most_sections = 1 << 20, marks = 0xfff, has_map = 2; // SECTION_HAS_MEM_MAP

    // Is the variable the array of sections, and not a table of them (CONFIG_SPARSEMEM_EXTREME)?
    bool are_there(uint64_t first) const {
        const Type* type = strip(target_.types().of_variable("mem_section"));
        if (!type) return first % target_.arch().word_size != 0; // what has marks is a section
        if (type->kind != TypeKind::array) return false;
        while (type->kind == TypeKind::array && type->target) type = strip(type->target);
        return type->kind == TypeKind::structure;
    }

    // A table of tables of a page.
    void read_tables(uint64_t table) {
        const uint64_t each = target_.physical().page_size() / section_->size;
        for (uint64_t root = 0; root < most_roots; ++root) {
            uint64_t sections = 0;
            if (try_word(target_, table + root * target_.arch().word_size, sections) != Fault::none) return;
            if (sections) read_some(sections, root * each, each);
            if (!found_.empty() && same_) return;
        }
    }

    void read_some(uint64_t at, uint64_t number, uint64_t count) {
        for (uint64_t i = 0; i < count; ++i) {
            uint64_t value = 0;
            if (map_->load(target_.kernel(), at + i * section_->size, value) != Fault::none || !(value & has_map)) continue;
            const uint64_t base = value & ~marks;
            same_ &= found_.empty() || found_.front().base == base;
            found_.push_back({number + i, base});
        }
    }

    const Target& target_;
    std::optional<Member> map_;
    const Type* section_;
    std::vector<Section> found_;
    bool same_ = true;
};

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
    } else if (use_sections()) {
    } else if (const auto number = target.facts().number("VMEMMAP_START")) {
        const auto first = target.arch().vmemmap_frame;
        base_ = *number - (first ? first(target.facts()).value_or(0) : 0) * size_;
    } else {
        for (const char* name : {"mem_map", "vmemmap"}) // the second is a variable on s390x (arch/s390/kernel/setup.c), a macro elsewhere
            if (const auto variable_of = target.symbol_address(name); variable_of && !base_)
                if (try_word(target, *variable_of, base) == Fault::none) base_ = base - first_frame_of_mem_map(target) * size_;
    }
}

// False: there are none, or where they lie is not known.
bool PageMap::use_sections() {
    const std::vector<Section> sections = Sections(target_).read();
    if (sections.empty()) return false;
    const auto differ = [&](const Section& one) { return one.base != sections.front().base; };
    if (std::none_of(sections.begin(), sections.end(), differ)) {
        base_ = sections.front().base;
        return true;
    }
    // Linux 4f5aecdff25f ("crash_core, vmcoreinfo: append 'SECTION_SIZE_BITS' to vmcoreinfo"), v5.13. Nothing else in a dump tells it.
    const uint64_t bits = target_.facts().number("SECTION_SIZE_BITS").value_or(0), page = target_.physical().page_size();
    if (bits < 16 || bits > 40 || uint64_t{1} << bits < page) return false;
    const uint64_t frames = (uint64_t{1} << bits) / page;
    for (const Section& section : sections) {
        const uint64_t begin = section.number * frames;
        if (!runs_.empty() && runs_.back().base == section.base && runs_.back().end == begin) runs_.back().end += frames;
        else runs_.push_back({begin, begin + frames, section.base});
    }
    base_ = UINT64_MAX;
    for (const Run& run : runs_) base_ = std::min(base_, at(run.base, run.begin));
    return true;
}

uint64_t PageMap::page_address(PageFrame frame) const {
    if (runs_.empty()) return at(base_, frame.value);
    const auto behind = std::upper_bound(runs_.begin(), runs_.end(), frame.value, [](uint64_t value, const Run& run) { return value < run.begin; });
    if (behind == runs_.begin() || frame.value >= behind[-1].end) return 0;
    return at(behind[-1].base, frame.value);
}

std::optional<PageFrame> PageMap::frame(uint64_t page) const {
    for (const Run& run : runs_)
        if (const uint64_t begin = at(run.base, run.begin); page >= begin && page - begin < (run.end - run.begin) * size_)
            return PageFrame{run.begin + (page - begin) / size_};
    if (!runs_.empty()) return std::nullopt;
    const uint64_t behind = as_word(page - base_); // bytes
    if (!known() || behind > most_frames * size_) return std::nullopt;
    return PageFrame{behind / size_};
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
