// SPDX-License-Identifier: GPL-3.0-or-later
// arm64: pages of 4, 16 or 64 KB, two to five levels of page tables, one table for each half.
//
//   pages of   bits of an address that an index has, top level first       offset
//     4 KB     [4] 9 9 9 9     39 (3 levels), 48 (4), 52 (5, LPA2)            12
//    16 KB     [1 or 5] 11 11 11   36 (2), 47 (3), 48 (4), 52 (4, LPA2)       14
//    64 KB     [6 or 10] 13 13 42 (2), 48 (3), 52 (3, LVA)                    16
//
// Bits 1:0 of an entry: 11 a table, or at the last level a page; 01 a block; x0 nothing. What is odd about it:
//  - The width is configured (NUMBER(VA_BITS)), but a kernel for 52 bits also runs where the processor has only 48 (or, with 16 KB
//    pages, 47): the width in use is 64 - TCR_EL1.T1SZ. With 64 KB pages the tables are those of 52 bits all the same; with others
//    the top level is left out.
//  - An address of 52 bits does not fit into an entry as it is: with 64 KB pages its bits 51:48 stand in bits 15:12; with others,
//    and with addresses of 52 bits (LPA2), bits 51:50 stand in bits 9:8.
//  - Bit 55 alone says which half an address belongs to. Above it may be a tag (MTE): 0xf0 to 0xff in the kernel's half, anything in
//    a user's. The kernel's table is for the upper half, mm->pgd for the lower: neither translates the other's addresses.
//  - A return address may be signed (pointer authentication): the bits of NUMBER(KERNELPACMASK) are all set in the address itself.
//  - A page without access (PROT_NONE) has bits 1:0 10 and bit 58, or bit 11 since Linux 55564814a838 ("arm64/mm: Move
//    PTE_PRESENT_INVALID to overlay PTE_NG"), v6.10; what is in swap has 00. A block without access looks like the rest of a block.
//  - The kernel's image and the direct map are mapped apart: image = physical + kimage_voffset; map = physical - PHYS_OFFSET +
//    PAGE_OFFSET, where PHYS_OFFSET may be below zero.
//
// Sources: Arm Architecture Reference Manual, D8 (translation); arch/arm64/include/asm/pgtable-hwdef.h, pgtable-prot.h, memory.h,
// kernel/vmcore_info.c (crash_core.c before v6.9); Documentation/arch/arm64/memory.rst; uapi/asm/ptrace.h; DWARF for the Arm 64-bit
// Architecture, table of register numbers.
#include "arch/architecture.hpp"
#include "arch/page_table.hpp"
#include "core/error.hpp"
#include <algorithm>
#include <bit>
#include <charconv>
#include <elf.h>
#include <fmt/format.h>

namespace kcrash {
namespace {

// ---- page tables

constexpr uint64_t bit(unsigned n) { return uint64_t{1} << n; }
constexpr uint64_t bits_below(unsigned n) { return n >= 64 ? ~uint64_t{0} : bit(n) - 1; }
constexpr uint64_t valid = bit(0), table_bit = bit(1), old_prot_none = bit(58), old_block_invalid = bit(59), present_invalid = bit(11);

template <unsigned page_shift, bool lpa2> uint64_t output_address(uint64_t entry, unsigned shift) {
    const uint64_t low = ~bits_below(shift);
    if constexpr (lpa2) return (entry & bits_below(50) & low) | (entry >> 8 & 3) << 50;
    uint64_t address = entry & bits_below(48) & low;
    if constexpr (page_shift == 16) address |= (entry >> 12 & 0xf) << 48;
    return address;
}

// below: how many levels there are under this one.
template <unsigned page_shift, bool lpa2> bool may_be_block(unsigned below) {
    if (below == 1) return true;
    if (below == 2) return page_shift != 14 || lpa2; // 1 GB; 64 GB; 4 TB where addresses have 52 bits
    return below == 3 && page_shift == 12 && lpa2;   // 512 GB
}

// Without the valid bit: a page that nobody may touch, or one in swap.
DecodedEntry::Kind kind_of_invalid(uint64_t entry, bool last, bool block) {
    using Kind = DecodedEntry::Kind;
    if (last && entry & table_bit) return entry & (old_prot_none | present_invalid) ? Kind::page : Kind::invalid;
    if (last) return Kind::swap;
    if (!block) return Kind::absent;
    constexpr uint64_t of_a_block = present_invalid | bit(10) | bit(9) | bit(8); // accessed and shareable as every mapping
    if (entry & (old_prot_none | old_block_invalid) || (entry & of_a_block) == of_a_block) return Kind::page;
    return entry & table_bit ? Kind::absent : Kind::swap;
}

template <unsigned page_shift, bool lpa2> DecodedEntry decode(uint64_t entry, const PageTableLevel& level, bool last, uint64_t) {
    using Kind = DecodedEntry::Kind;
    if (entry == 0) return {Kind::absent, {}};
    const unsigned below = (level.shift - page_shift) / (page_shift - 3);
    const bool block = !last && may_be_block<page_shift, lpa2>(below);
    Kind kind = Kind::invalid;
    if (!(entry & valid)) kind = kind_of_invalid(entry, last, block);
    else if (entry & table_bit) kind = last ? Kind::page : Kind::table;
    else if (block) kind = Kind::page;
    const unsigned shift = kind == Kind::table ? page_shift : level.shift;
    return {kind, PhysicalAddress{output_address<page_shift, lpa2>(entry, shift)}};
}

template <unsigned bits> bool canonical_kernel(uint64_t a) { return (a | bits_below(bits) | uint64_t{0xf} << 56) == ~uint64_t{0}; }
template <unsigned bits> bool canonical_user(uint64_t a) { return (a & bits_below(56) & ~bits_below(bits)) == 0; }

struct Width {
    unsigned bits;
    bool (*kernel)(uint64_t);
    bool (*user)(uint64_t);
};
constexpr Width widths[] = {{36, canonical_kernel<36>, canonical_user<36>}, {39, canonical_kernel<39>, canonical_user<39>},
                            {42, canonical_kernel<42>, canonical_user<42>}, {47, canonical_kernel<47>, canonical_user<47>},
                            {48, canonical_kernel<48>, canonical_user<48>}, {52, canonical_kernel<52>, canonical_user<52>}};

struct Granule {
    unsigned page_shift;
    std::array<unsigned, 4> widths; // that kernels can be configured for, ascending; 0: none
    DecodedEntry (*decode)(uint64_t, const PageTableLevel&, bool, uint64_t);
    DecodedEntry (*decode_lpa2)(uint64_t, const PageTableLevel&, bool, uint64_t);
};
constexpr Granule granules[] = {{12, {39, 48, 52, 0}, decode<12, false>, decode<12, true>},
                                {14, {36, 47, 48, 52}, decode<14, false>, decode<14, true>},
                                {16, {42, 48, 52, 0}, decode<16, false>, decode<16, false>}};

const Granule& granule_of(const KernelFacts& facts) {
    const uint64_t page = facts.page_size();
    for (const Granule& granule : granules)
        if (page == bit(granule.page_shift)) return granule;
    throw Error(fmt::format("pages of {} bytes do not exist on arm64", page));
}

struct AddressBits {
    unsigned configured, actual;
};

// Without VA_BITS in vmcoreinfo (kernels before 4.12): the image lies at the beginning of the kernel's half or, since 5.4, in the
// middle of it.
std::optional<unsigned> width_of_image(const KernelFacts& facts, const Granule& granule) {
    const auto image = facts.symbol("_stext") ? facts.symbol("_stext") : facts.symbol("swapper_pg_dir");
    if (!image) return std::nullopt;
    const auto ones = static_cast<unsigned>(std::countl_one(*image));
    for (const unsigned width : granule.widths)
        if (width && (width == 64 - ones || width == 65 - ones)) return width;
    return std::nullopt;
}

AddressBits address_bits(const KernelFacts& facts) {
    const Granule& granule = granule_of(facts);
    auto configured = facts.number("VA_BITS");
    std::optional<uint64_t> actual = facts.option("vabits_actual");
    for (const char* name : {"TCR_EL1_T1SZ", "tcr_el1_t1sz"}) // the second is of kernels that distributions patched before 5.9
        if (const auto told = facts.number(name); told && !actual && *told < 64) actual = 64 - *told;
    if (!configured && actual) configured = actual;
    if (!configured)
        if (const auto guess = width_of_image(facts, granule)) configured = *guess;
    if (!actual) actual = configured;
    const auto known = [&](uint64_t bits) { return std::any_of(std::begin(widths), std::end(widths), [&](const Width& w) { return w.bits == bits; }); };
    if (!configured)
        throw Error("cannot find the kernel's page tables: the dump does not tell how many bits an address has; give it with -m vabits_actual=BITS");
    if (!known(*configured) || !known(*actual))
        throw Error(fmt::format("addresses of {} bits ({} in use) do not exist on arm64", *configured, *actual));
    return {static_cast<unsigned>(*configured), static_cast<unsigned>(*actual)};
}

bool upper_half(uint64_t a) { return a >> 55 & 1; }

PageTableLayout layout(const KernelFacts& facts, bool kernel) {
    static constexpr const char* names[5][5] = {
        {"PTE"}, {"PGD", "PTE"}, {"PGD", "PMD", "PTE"}, {"PGD", "PUD", "PMD", "PTE"}, {"PGD", "P4D", "PUD", "PMD", "PTE"}};
    const Granule& granule = granule_of(facts);
    const AddressBits bits = address_bits(facts);
    const unsigned page = granule.page_shift, index = page - 3;
    const unsigned width = page == 16 ? bits.configured : bits.actual;
    PageTableLayout result;
    result.count = (width - page + index - 1) / index;
    for (unsigned i = 0; i < result.count; ++i) {
        const unsigned shift = page + index * (result.count - 1 - i);
        result.levels[i] = {names[result.count - 1][i], shift, std::min(index, width - shift)};
    }
    for (const Width& one : widths)
        if (one.bits == bits.actual) result.canonical = kernel ? one.kernel : one.user;
    result.decode = bits.actual == 52 ? granule.decode_lpa2 : granule.decode;
    result.never_swapped = [](uint64_t address, uint64_t) { return upper_half(address); };
    return result;
}

// Until 5.3 the direct map was the upper half of the kernel's addresses and the image lay below it; then they changed places
// (Linux 14c127c957c1, "arm64: mm: Flip kernel VA space"), v5.4.
std::optional<uint64_t> page_offset(const KernelFacts& facts) {
    const AddressBits bits = address_bits(facts);
    const auto image = facts.symbol("_stext") ? facts.symbol("_stext") : facts.symbol("swapper_pg_dir");
    if (!image) return std::nullopt;
    const uint64_t middle = ~uint64_t{0} << (std::min(bits.configured, 48u) - 1);
    return *image >= middle ? ~uint64_t{0} << bits.configured : ~uint64_t{0} << (bits.configured - 1);
}

std::optional<uint64_t> direct_map(const KernelFacts& facts) {
    auto physical = facts.option("phys_offset");
    if (!physical) physical = facts.number("PHYS_OFFSET");
    const auto offset = page_offset(facts);
    return physical && offset ? std::optional(*offset - *physical) : std::nullopt;
}

// memstart_addr is signed: it may be below zero.
std::optional<uint64_t> vmemmap_frame(const KernelFacts& facts) {
    auto physical = facts.option("phys_offset");
    if (!physical) physical = facts.number("PHYS_OFFSET");
    if (!physical) return std::nullopt;
    return static_cast<uint64_t>(static_cast<int64_t>(*physical) >> granule_of(facts).page_shift);
}

std::unique_ptr<Translator> kernel_translator(const PhysicalMemory& memory, const KernelFacts& facts) {
    const auto top = facts.symbol("swapper_pg_dir");
    auto offset = facts.option("kimage_voffset");
    if (!offset) offset = facts.number("kimage_voffset");
    if (!top || !offset)
        throw Error(fmt::format("cannot find the kernel's page tables: the dump has no {}; give it with -m kimage_voffset=NUMBER",
                                top ? "NUMBER(kimage_voffset) in its vmcoreinfo" : "SYMBOL(swapper_pg_dir) in its vmcoreinfo"));
    return make_translator(memory, layout(facts, true), PhysicalAddress{*top - *offset});
}

std::unique_ptr<Translator> user_translator(const PhysicalMemory& memory, const KernelFacts& facts, PhysicalAddress root) {
    return make_translator(memory, layout(facts, false), root);
}

std::string describe_entry(const KernelFacts&, uint64_t entry) {
    static constexpr std::pair<uint64_t, const char*> names[] = {
        {bit(6), "USER"}, {bit(7), "RDONLY"}, {bit(8) | bit(9), "SHARED"}, {bit(10), "AF"},   {bit(11), "NG"},
        {bit(53), "PXN"}, {bit(54), "UXN"},   {bit(55), "DIRTY"},          {bit(56), "SPECIAL"}};
    const bool nobodys = !(entry & valid) && entry & (old_prot_none | present_invalid);
    std::string text = entry & valid ? "VALID" : nobodys ? "PROT_NONE" : "";
    for (auto [mask, word] : names) {
        if (!(entry & mask) || (mask == bit(11) && nobodys)) continue; // bit 11 has a second use there
        if (!text.empty()) text += '|';
        text += word;
    }
    return text.empty() ? "no bits set" : text;
}

// Where the type and the offset stand leaves no trace in the types, and any of the three layouts could be meant by any entry: the
// release alone tells. An unknown one is taken for a new one.
//   until v5.18   type 7:2, offset from 8     (v4.0)
//   v5.19         type 7:3, offset from 8     570ef363509b ("arm64/pgtable: support __HAVE_ARCH_PTE_SWP_EXCLUSIVE")
//   v6.10         type 10:6, offset from 12   55564814a838, see above
SwapEntry swap_entry(const KernelFacts& facts, uint64_t entry) {
    const unsigned release = release_of(facts);
    if (release == 0 || release >= 610) return {static_cast<unsigned>(entry >> 6 & 0x1f), entry >> 12 & bits_below(50)};
    if (release >= 519) return {static_cast<unsigned>(entry >> 3 & 0x1f), entry >> 8 & bits_below(50)};
    return {static_cast<unsigned>(entry >> 2 & 0x3f), entry >> 8 & bits_below(50)};
}

bool canonical(uint64_t a) { return canonical_kernel<52>(a) || canonical_user<52>(a); }

// ---- code and registers

// Numbers of DWARF up to 32; pstate, orig_x0 and syscallno have none in the kernel's use of it: ours.
enum : unsigned { x0 = 0, x29 = 29, x30 = 30, sp = 31, pc = 32, pstate = 60, orig_x0, syscallno };

// bl: 100101 and the distance in instructions.
std::optional<uint64_t> call_target(std::span<const std::byte> code, uint64_t return_address) {
    if (code.size() < 4) return std::nullopt;
    const auto instruction = load<uint32_t>(code.data(), ByteOrder::little);
    if (instruction >> 26 != 0x25) return std::nullopt;
    return return_address - 4 + static_cast<uint64_t>(sign_extend(instruction & bits_below(26), 26) * 4);
}

uint64_t signature_bits(const KernelFacts& facts) { return facts.number("KERNELPACMASK").value_or(0); }

constexpr uint64_t mode_mask = 0xf, mode_aarch32 = 0x10;
bool user_mode(const Registers& registers) { return registers.get(pstate) && (*registers.get(pstate) & mode_mask) == 0; }

// Saved state of EL1 or EL2 with addresses of the kernel, or of EL0 with a user's and no interrupt masked.
bool plausible(const Registers& registers, uint64_t) {
    const auto state = registers.get(pstate), at = registers.get(pc), stack = registers.get(sp), frame = registers.get(x29);
    if (!state || !at || !stack || !frame || *at % 4 || *stack % 16 || *state >> 32) return false;
    const uint64_t mode = *state & mode_mask;
    if (mode == 4 || mode == 5 || mode == 8 || mode == 9)
        return !(*state & mode_aarch32) && canonical_kernel<52>(*at) && canonical_kernel<52>(*stack) && canonical_kernel<52>(*frame);
    constexpr uint64_t of_user = 0xf3201c00; // NZCV TCO DIT SS SSBS BTYPE
    constexpr uint64_t lowest = 4096, user_end = bit(52);
    return !(*state & ~of_user) && *at >= lowest && *at < user_end && *stack >= lowest && *stack < user_end;
}

constexpr unsigned callee_saved[] = {19, 20, 21, 22, 23, 24, 25, 26, 27, 28, x29};

// struct user_pt_regs; after it in struct pt_regs orig_x0 and syscallno.
constexpr const char* names[] = {"X0",  "X1",  "X2",  "X3",  "X4",  "X5",  "X6",  "X7",  "X8",  "X9",  "X10", "X11", "X12", "X13", "X14", "X15", "X16", "X17",
                                 "X18", "X19", "X20", "X21", "X22", "X23", "X24", "X25", "X26", "X27", "X28", "X29", "LR",  "SP",  "PC",  "PSTATE"};
template <size_t count> constexpr std::array<SavedRegister, count> block(unsigned start) {
    std::array<SavedRegister, count> registers{};
    for (unsigned i = 0; i < 34; ++i) registers[i] = {names[i], i == 33 ? unsigned{pstate} : i, start + i * 8};
    if (count > 34) registers[34] = {"ORIG_X0", orig_x0, start + 272}, registers[35] = {"SYSCALLNO", syscallno, start + 280, 4};
    return registers;
}
constexpr auto prstatus = block<34>(112); // offset of pr_reg in struct elf_prstatus
constexpr auto pt_regs = block<36>(0);

constexpr ToldField told_fields[] = {{"TCR_EL1", "T1SZ", 16, 6, "TCR_EL1_T1SZ"}};

#define GENERAL                                                                                                                       \
    "    X29: {X29:016x}  X28: {X28:016x}  X27: {X27:016x}", "    X26: {X26:016x}  X25: {X25:016x}  X24: {X24:016x}",                  \
        "    X23: {X23:016x}  X22: {X22:016x}  X21: {X21:016x}", "    X20: {X20:016x}  X19: {X19:016x}  X18: {X18:016x}",              \
        "    X17: {X17:016x}  X16: {X16:016x}  X15: {X15:016x}", "    X14: {X14:016x}  X13: {X13:016x}  X12: {X12:016x}",              \
        "    X11: {X11:016x}  X10: {X10:016x}   X9: {X9:016x}", "     X8: {X8:016x}   X7: {X7:016x}   X6: {X6:016x}",                  \
        "     X5: {X5:016x}   X4: {X4:016x}   X3: {X3:016x}", "     X2: {X2:016x}   X1: {X1:016x}   X0: {X0:016x}"
constexpr const char* register_lines[] = {"     PC: {PC:016x}   LR: {LR:016x}   SP: {SP:016x}", GENERAL,
                                          "    ORIG_X0: {ORIG_X0:016x}  SYSCALLNO: {SYSCALLNO:x}  PSTATE: {PSTATE:08x}", "|    PSTATE: {PSTATE:08x}"};
constexpr const char* kernel_register_lines[] = {"     PC: {PC:016x}  [{exception}+{offset}]", "|     PC: {PC:016x}  [unknown or invalid address]",
                                                 "     LR: {LR:016x}  [{caller}+{caller_offset}]", "|     LR: {LR:016x}  [unknown or invalid address]",
                                                 "     SP: {SP:016x}  PSTATE: {PSTATE:08x}", GENERAL};
#undef GENERAL

constexpr Relocation relocations[] = {
    {R_AARCH64_NONE, Relocation::Kind::none},
    {R_AARCH64_ABS64, Relocation::Kind::absolute, 8},
    {R_AARCH64_ABS32, Relocation::Kind::absolute, 4},
    {R_AARCH64_PREL64, Relocation::Kind::relative, 8},
    {R_AARCH64_PREL32, Relocation::Kind::relative, 4},
};

} // namespace

extern const Architecture arch_arm64;
const Architecture arch_arm64 = {
    .name = "arm64",
    .elf_machine = EM_AARCH64,
    .order = ByteOrder::little,
    .word_size = 8,
    .code = {.name = "aarch64"},
    .pc = pc,
    .sp = sp,
    .fp = x29,
    .lr = x30,
    .syscall = syscallno,
    .callee_saved = callee_saved,
    .prstatus = prstatus,
    .prstatus_size = 392,
    .pt_regs = pt_regs,
    .pt_regs_size = 288,
    .told_fields = told_fields,
    .register_lines = register_lines,
    .kernel_register_lines = kernel_register_lines,
    .plausible = plausible,
    .user_frame_at_end = true,
    .call_size = 4,
    .call_target = call_target,
    .shown_before_return = 4,
    .signature_bits = signature_bits,
    .canonical = canonical,
    .kernel_address = upper_half,
    .user_mode = user_mode,
    .kernel_translator = kernel_translator,
    .user_translator = user_translator,
    .walk_lines = {.virtual_addresses = true},
    .direct_map = direct_map,
    .vmemmap_frame = vmemmap_frame,
    .describe_entry = describe_entry,
    .swap_entry = swap_entry,
    .relocations = relocations,
};

} // namespace kcrash
