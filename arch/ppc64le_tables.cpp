// SPDX-License-Identifier: GPL-3.0-or-later
// The page tables of ppc64le: for the radix or for the hash MMU, pages of 4 or 64 KB.
//
//   pages, MMU        bits of an address that an index has, top level first      offset
//    4 KB radix         13 9 9 9     52 in all; pages of 2 MB and 1 GB             12
//   64 KB radix         13 9 9 5     52;        pages of 2 MB and 1 GB             16
//    4 KB hash           9 9 7 9     46;        pages of 16 MB and 16 GB           12
//   64 KB hash           8 10 10 8   52 (before Linux 4.17 8 7 10 8, 4.12 12 5 5 8); pages of 16 MB and 16 GB   16
//
// The kernel decides for one of the two MMUs when it starts: cur_cpu_spec->mmu_features says which. The sizes stand in variables of
// its own since Linux 4.7 (__pte_index_size and its siblings). What is odd about it:
//  - With the hash MMU the processor knows no page tables: Linux keeps these for itself. Memory (0xc000...) is mapped without
//    any, by arithmetic, and the array of struct page by a list (vmemmap_list) of where its pieces are; only vmalloc's and I/O addresses, and
//    processes, have tables. With radix everything has.
//  - Entries are big-endian on little-endian kernels too, since Linux 4.7: the processor reads those of radix so.
//  - An entry of an upper level that is a page has the same bits as one of the last level: 62 says that it is a page.
//  - Pages of 16 MB and 16 GB of 4 KB kernels fit no level: the entry above them points to a table of their own ("hugepd").
//  - A 64 KB entry may stand for a single 4 KB page of a device (hash, bit 0x2000).
//  - Before Linux 4.7 (hash alone) entries were little-endian and of another form, and tables were named by kernel addresses. The sizes
//    left no trace then: the release decides. 4.5 and 4.6 were different again, and are refused.
//
// The kernel is linked at 0xc000000000000000 and is not moved; a crash kernel runs where it was loaded, as its symbols say (KERNELOFFSET).
//
// Sources: Power ISA 3.0B, book III, 5.7 (radix entries); arch/powerpc/include/asm/book3s/64/{pgtable,hash,hash-4k,hash-64k,radix-4k,
// radix-64k}.h and, before them, pgtable-ppc64*.h.
#include "arch/ppc64le_tables.hpp"
#include "arch/page_table.hpp"
#include "core/error.hpp"
#include <algorithm>
#include <charconv>
#include <fmt/format.h>

namespace kcrash {
namespace {

constexpr uint64_t bit(unsigned n) { return uint64_t{1} << n; }
constexpr uint64_t bits_below(unsigned n) { return bit(n) - 1; }

// ---- entries

constexpr uint64_t present = bit(63), leaf = bit(62), invalidated = bit(61); // _PAGE_PRESENT, _PAGE_PTE, _PAGE_INVALID
constexpr unsigned physical_bits = 53;                                       // above them software's
constexpr uint64_t next_table = 0x0fffffffffffff00, huge_table = 0x0fffffffffffffc0, huge_size = 0x3f;
constexpr unsigned shift_16m = 24, shift_16g = 34;

using Kind = DecodedEntry::Kind;

PhysicalAddress page_of(uint64_t entry, const PageTableLevel& level) {
    return PhysicalAddress{entry & bits_below(physical_bits) & ~bits_below(level.shift)};
}

// Since Linux 4.20 an entry may lose its present bit for a moment, and has another one then (bd0dbb73e013).
DecodedEntry decode_page(uint64_t entry, const PageTableLevel& level) {
    if (entry & (present | invalidated)) return {Kind::page, page_of(entry, level)};
    return {entry & leaf ? Kind::swap : Kind::absent, {}};
}

DecodedEntry decode_radix(uint64_t entry, const PageTableLevel& level, bool last, uint64_t) {
    if (last || entry & leaf) return decode_page(entry, level);
    if (entry == 0) return {Kind::absent, {}};
    return {entry & present ? Kind::table : Kind::invalid, PhysicalAddress{entry & next_table}};
}

// A table for pages that fit no level: 16 MB under a PUD, 16 GB under a PGD.
DecodedEntry to_huge_pages(uint64_t entry, const PageTableLevel& level) {
    DecodedEntry decoded{Kind::table, PhysicalAddress{entry & huge_table}};
    decoded.last_shift = level.shift > shift_16g ? shift_16g : shift_16m;
    if (decoded.last_shift >= level.shift) decoded.kind = Kind::invalid;
    return decoded;
}

constexpr uint64_t one_4k_page = 0x2000; // H_PAGE_4K_PFN, in the last level of 64 KB kernels
DecodedEntry decode_hash(uint64_t entry, const PageTableLevel& level, bool last, uint64_t) {
    constexpr unsigned shift_64k = 16, shift_4k = 12;
    if (last && level.shift == shift_64k && entry & one_4k_page && entry & present)
        return {Kind::page, PhysicalAddress{(entry & bits_below(physical_bits)) >> shift_64k << shift_4k}, shift_4k};
    if (last || entry & leaf) return decode_page(entry, level);
    if (entry == 0) return {Kind::absent, {}};
    if (entry & huge_size) return to_huge_pages(entry, level);
    return {Kind::table, PhysicalAddress{entry & next_table}};
}

// Until Linux 4.4: the frame from bit 30 (64 KB) or 17 (4 KB), present bit 0; a page of an upper level has any of bits 1:0.
template <unsigned frame_shift, unsigned page_shift>
DecodedEntry decode_old(uint64_t entry, const PageTableLevel& level, bool last, uint64_t) {
    constexpr uint64_t old_present = 1, any_page = 3, old_flags = 0xffff; // the hash table's own bits are among these
    if (entry == 0) return {Kind::absent, {}};
    if (!last && !(entry & any_page)) {
        if (entry & huge_size) return to_huge_pages(entry, level);
        return {Kind::table, PhysicalAddress{entry & next_table}};
    }
    if (!(entry & old_present)) return {entry & ~old_flags ? Kind::swap : Kind::absent, {}};
    return {Kind::page, PhysicalAddress{entry >> frame_shift << page_shift & ~bits_below(level.shift)}};
}

// ---- what is told of this kernel

constexpr uint64_t linear = ppc64le_linear, region = uint64_t{0xf} << 60;

// Kernel variables lie in the linear map: their physical address needs no table.
std::optional<uint64_t> word_at(const PhysicalMemory& memory, std::optional<uint64_t> address, unsigned size = 8) {
    std::byte bytes[8];
    const auto into = std::span(bytes).first(size);
    if (!address || (*address & region) != linear || memory.try_read(PhysicalAddress{*address & ~region}, into) != Fault::none) return std::nullopt;
    return load_unsigned(into, ByteOrder::little);
}

std::optional<uint64_t> variable(const PhysicalMemory& memory, const KernelFacts& facts, std::string_view name, unsigned size = 8) {
    return word_at(memory, facts.symbol(name), size);
}

// OFFSET(...) or SIZE(...) of vmcoreinfo.
uint64_t told(const KernelFacts& facts, std::string_view key, uint64_t otherwise) {
    const auto text = facts.text(key);
    uint64_t value = 0;
    if (!text) return otherwise;
    const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), value);
    return error == std::errc() && end == text->data() + text->size() ? value : otherwise;
}

constexpr unsigned first_with_variables = 407;
bool is_old(const KernelFacts& facts) {
    const unsigned release = release_of(facts);
    return release && release < first_with_variables;
}

// ---- layouts

template <unsigned bits> bool below(uint64_t address) { return address < bit(bits); }
template <unsigned bits> bool of_kernel(uint64_t address) { return (address & ~bits_below(bits)) == linear; }

struct Sizes {
    uint64_t pte, pmd, pud, pgd; // bits of the index; pud 0: there is no such level
};

PageTableLayout make_layout(const Sizes& sizes, unsigned page_shift) {
    PageTableLayout layout;
    const auto add = [&](const char* name, uint64_t shift, uint64_t bits) {
        if (bits) layout.levels[layout.count++] = {name, static_cast<unsigned>(shift), static_cast<unsigned>(bits)};
    };
    const uint64_t pmd = page_shift + sizes.pte, pud = pmd + sizes.pmd, pgd = pud + sizes.pud;
    add("PGD", pgd, sizes.pgd);
    add("PUD", pud, sizes.pud);
    add("PMD", pmd, sizes.pmd);
    add("PTE", page_shift, sizes.pte);
    layout.order = ByteOrder::big;
    layout.physical_bits = physical_bits;
    const uint64_t all = pgd + sizes.pgd;
    layout.canonical = all <= 46 ? below<46> : all <= 49 ? below<49> : below<52>;
    return layout;
}

unsigned page_shift_of(const KernelFacts& facts) { return facts.page_size() == 65536 ? 16 : 12; }

// The kernel's own variables; without them (a dump without vmlinux) those of all newer kernels.
Sizes sizes_of(const PhysicalMemory& memory, const KernelFacts& facts, bool radix) {
    const bool large = page_shift_of(facts) == 16;
    if (radix) return {large ? 5u : 9u, 9, 9, 13};
    const auto size = [&](const char* name) { return variable(memory, facts, name).value_or(0); };
    const Sizes own{size("__pte_index_size"), size("__pmd_index_size"), size("__pud_index_size"), size("__pgd_index_size")};
    constexpr uint64_t most = 16;
    const auto possible = [](uint64_t bits) { return bits && bits <= most; };
    if (possible(own.pte) && possible(own.pmd) && possible(own.pud) && possible(own.pgd)) return own;
    return large ? Sizes{8, 10, 10, 8} : Sizes{9, 7, 9, 9};
}

// ---- which of the two

// Radix tables map the kernel's memory, and so themselves; those of hash do not.
bool maps_itself(const PhysicalMemory& memory, const KernelFacts& facts, uint64_t top) {
    PageTableLayout layout = make_layout(sizes_of(memory, facts, true), page_shift_of(facts));
    layout.decode = decode_radix;
    layout.canonical = of_kernel<52>;
    return maps_to(*make_translator(memory, layout, PhysicalAddress{top & ~region}), VirtualAddress{top}, PhysicalAddress{top & ~region});
}

// MMU_FTR_TYPE_RADIX of struct cpu_spec; where cur_cpu_spec is not known (vmcoreinfo does not tell it), the tables. Throws when neither can
// be read.
bool has_radix(const PhysicalMemory& memory, const KernelFacts& facts) {
    constexpr uint64_t usual_offset = 32, usual_bit = 0x40;
    if (const auto chosen = facts.option("radix")) return *chosen;
    if (is_old(facts)) return false;
    const auto spec = variable(memory, facts, "cur_cpu_spec");
    const auto features = spec ? word_at(memory, *spec + told(facts, "OFFSET(cpu_spec.mmu_features)", usual_offset), 4) : std::nullopt;
    if (features) return *features & facts.number("RADIX_MMU").value_or(usual_bit);
    const auto top = facts.symbol("swapper_pg_dir");
    if (word_at(memory, top)) return maps_itself(memory, facts, *top);
    throw Error("cannot tell the radix from the hash MMU: neither cur_cpu_spec nor swapper_pg_dir can be read; give it with -m radix=1 or -m radix=0");
}

PageTableLayout old_layout(const KernelFacts& facts) {
    constexpr unsigned first_refused = 405;
    if (release_of(facts) >= first_refused)
        throw Error("page tables of Linux 4.5 and 4.6 for ppc64le are of a form that is not known");
    const bool large = page_shift_of(facts) == 16;
    PageTableLayout layout = make_layout(large ? Sizes{8, 10, 0, 12} : Sizes{9, 7, 9, 9}, page_shift_of(facts));
    layout.order = ByteOrder::little;
    layout.decode = large ? decode_old<30, 16> : decode_old<17, 12>;
    return layout;
}

// A process's, and with the hash MMU the kernel's too.
PageTableLayout layout_of(const PhysicalMemory& memory, const KernelFacts& facts, bool radix) {
    if (is_old(facts)) return old_layout(facts);
    PageTableLayout layout = make_layout(sizes_of(memory, facts, radix), page_shift_of(facts));
    layout.decode = radix ? decode_radix : decode_hash;
    return layout;
}

// ---- the kernel with the hash MMU

// A piece of the array of struct page.
struct Piece {
    uint64_t begin, physical;
    bool operator<(const Piece& other) const { return begin < other.begin; }
};

class HashTranslator final : public Translator {
public:
    HashTranslator(const PhysicalMemory& memory, const KernelFacts& facts, std::unique_ptr<Translator> tables)
        : tables_(std::move(tables)), page_size_(facts.page_size()), old_(is_old(facts)) {
        if (old_) tables_begin_ = uint64_t{0xd} << 60, vmemmap_ = uint64_t{0xf} << 60;
        else find_regions(memory, facts);
        read_vmemmap(memory, facts);
    }

    Fault try_translate(VirtualAddress at, Translation& result) const override {
        const Place place = place_of(at.value);
        if (place == Place::tables) return tables_->try_translate(at, result);
        return without_tables(at.value, place, result);
    }

    Walk walk(VirtualAddress at) const override {
        const Place place = place_of(at.value);
        if (place == Place::tables) return tables_->walk(at);
        Walk walk;
        walk.fault = without_tables(at.value, place, walk.result);
        return walk;
    }

    PhysicalAddress root() const override { return tables_->root(); }

private:
    enum class Place : uint8_t { nowhere, memory, tables, struct_pages };

    // Linux 0034d395f89d ("powerpc/mm/hash64: Map all the kernel regions in the same 0xc range"), v5.2: before that each region had the first
    // digit of an address for itself.
    void find_regions(const PhysicalMemory& memory, const KernelFacts& facts) {
        const bool large = facts.page_size() == 65536;
        tables_begin_ = variable(memory, facts, "__kernel_virt_start").value_or(large ? 0xc008000000000000 : 0xc000100000000000);
        vmemmap_ = variable(memory, facts, "vmemmap").value_or(large ? 0xc00c000000000000 : 0xc000300000000000);
    }

    Place place_of(uint64_t at) const {
        if (at < linear) return Place::nowhere;
        if (at >= vmemmap_) return Place::struct_pages;
        if (at >= tables_begin_) return Place::tables;
        return (at & region) == linear ? Place::memory : Place::nowhere;
    }

    Fault without_tables(uint64_t at, Place place, Translation& result) const {
        if (place == Place::nowhere) return Fault::noncanonical;
        if (place == Place::memory) {
            result = {PhysicalAddress{at & ~region}, page_size_, 0};
            return Fault::none;
        }
        auto above = std::upper_bound(pieces_.begin(), pieces_.end(), Piece{at, 0});
        if (above == pieces_.begin() || at - std::prev(above)->begin >= piece_size_) return list_fault_;
        const Piece& piece = *std::prev(above);
        result = {PhysicalAddress{piece.physical + (at - piece.begin)}, piece_size_, 0};
        return Fault::none;
    }

    // struct vmemmap_backing { list, phys, virt_addr }, each for a page of mmu_psize_defs[mmu_vmemmap_psize].
    void read_vmemmap(const PhysicalMemory& memory, const KernelFacts& facts) {
        constexpr uint64_t most = bit(22), usual_size = 96; // pieces; bytes of struct mmu_psize_def
        constexpr unsigned least_shift = 12, most_shift = 34, index_most = 15;
        const auto index = variable(memory, facts, "mmu_vmemmap_psize", 4);
        const auto defs = facts.symbol("mmu_psize_defs");
        if (!index || !defs || *index > index_most) return;
        const uint64_t place = *defs + *index * told(facts, "SIZE(mmu_psize_def)", usual_size) + told(facts, "OFFSET(mmu_psize_def.shift)", 0);
        const auto shift = word_at(memory, place, 4);
        auto next = variable(memory, facts, "vmemmap_list");
        if (!shift || *shift < least_shift || *shift > most_shift || !next) return;
        piece_size_ = bit(static_cast<unsigned>(*shift));
        list_fault_ = Fault::no_mapping;
        const uint64_t list = told(facts, "OFFSET(vmemmap_backing.list)", 0), physical = told(facts, "OFFSET(vmemmap_backing.phys)", 8),
                       address = told(facts, "OFFSET(vmemmap_backing.virt_addr)", 16);
        for (uint64_t seen = 0, limit = 1; *next && pieces_.size() < most;) {
            const auto begin = word_at(memory, *next + address), where = word_at(memory, *next + physical);
            next = word_at(memory, *next + list);
            if (!begin || !where || !next || (*next && *next == seen)) {
                list_fault_ = Fault::bad_table; // the rest of the list cannot be found
                break;
            }
            pieces_.push_back({*begin, *where});
            if (pieces_.size() == limit) seen = *next, limit *= 2; // a cycle comes back to one of these
        }
        std::sort(pieces_.begin(), pieces_.end());
    }

    std::unique_ptr<Translator> tables_;
    uint64_t page_size_;
    bool old_;
    uint64_t tables_begin_ = 0, vmemmap_ = 0; // where each region begins; that before it ends there
    std::vector<Piece> pieces_;               // by address
    uint64_t piece_size_ = 0;
    Fault list_fault_ = Fault::bad_table;     // for an address that is in no piece
};

} // namespace

std::unique_ptr<Translator> ppc64le_kernel_translator(const PhysicalMemory& memory, const KernelFacts& facts) {
    const auto top = facts.symbol("swapper_pg_dir");
    if (!top)
        throw Error("cannot find the kernel's page tables: the dump has no SYMBOL(swapper_pg_dir) in its vmcoreinfo; give its vmlinux");
    const PhysicalAddress root{*top & ~region};
    const bool radix = has_radix(memory, facts);
    PageTableLayout layout = layout_of(memory, facts, radix);
    layout.canonical = radix ? of_kernel<52> : nullptr;
    auto tables = make_translator(memory, layout, root);
    if (radix) return tables;
    return std::make_unique<HashTranslator>(memory, facts, std::move(tables));
}

std::unique_ptr<Translator> ppc64le_user_translator(const PhysicalMemory& memory, const KernelFacts& facts, PhysicalAddress root) {
    return make_translator(memory, layout_of(memory, facts, has_radix(memory, facts)), root);
}

std::string ppc64le_describe_entry(const KernelFacts& facts, uint64_t entry) {
    using Word = std::pair<uint64_t, const char*>;
    static constexpr Word words[] = {{present, "PRESENT"}, {invalidated, "INVALID"}, {0x4, "READ"},       {0x2, "WRITE"},  {0x1, "EXEC"},    {0x8, "PRIVILEGED"},
                                     {0x10, "SAO"},        {0x20, "NO_CACHE"},       {0x80, "DIRTY"},     {0x100, "ACCESSED"}, {0x400, "SPECIAL"}};
    static constexpr Word old_words[] = {{0x1, "PRESENT"},   {0x2, "USER"},       {0x200, "RW"},      {0x8, "GUARDED"}, {0x10, "COHERENT"},
                                         {0x20, "NO_CACHE"}, {0x40, "WRITETHRU"}, {0x80, "DIRTY"},    {0x100, "ACCESSED"}};
    std::string text;
    for (const auto& [mask, word] : is_old(facts) ? std::span<const Word>(old_words) : std::span<const Word>(words)) {
        if (!(entry & mask)) continue;
        if (!text.empty()) text += '|';
        text += word;
    }
    return text.empty() ? "no bits set" : text;
}

// Where the type stands leaves no trace in the types:
//   until v4.0    the whole entry is shifted as a frame is; type 6:1, offset from 8
//   v4.1          type 6:2, offset where the frame is
//   v5.19         type 4:0                   03ac1b71fca1 ("powerpc/pgtable: remove _PAGE_BIT_SWAP_TYPE for book3s")
SwapEntry ppc64le_swap_entry(const KernelFacts& facts, uint64_t entry) {
    constexpr unsigned type_bits = 5;
    const unsigned release = release_of(facts), page_shift = page_shift_of(facts);
    if (is_old(facts)) {
        const uint64_t frame = entry >> (page_shift == 16 ? 30 : 17);
        if (release <= 400) return {static_cast<unsigned>(frame >> 1 & 0x3f), frame >> 8};
        return {static_cast<unsigned>(entry >> 2 & bits_below(type_bits)), frame};
    }
    const unsigned type_shift = release && release < 519 ? 2 : 0;
    return {static_cast<unsigned>(entry >> type_shift & bits_below(type_bits)), (entry & bits_below(physical_bits)) >> page_shift};
}

} // namespace kcrash
