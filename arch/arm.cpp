// SPDX-License-Identifier: GPL-3.0-or-later
// arm: 32 bits. Short descriptors, two levels of four-byte entries; or LPAE, three levels of eight-byte entries.
//
//   bit 31             19        11       0        31:30    29          20          11       0
//    |      PGD       |   PTE   |  offset |         | PGD |    PMD    |    PTE    |  offset |
//        12 bits        8 bits    12 bits           2 bits    9 bits      9 bits    12 bits
//
// Short descriptors. The low two bits of a first-level entry say: 1 a table of 256 entries, 2 a section of 1 MB, or with bit 18 a
// supersection of 16 MB, which fills sixteen entries and has more address in bits 23:20 (35:32) and 8:5 (39:36).
// The processor has no accessed and dirty bits there, so Linux keeps its own entry for each of the processor's. Both tables
// lie in one page, half a page apart:
//
//    +0     Linux's, for the even megabyte            (before v2.6.38 the two halves are the other way round:
//    +1024  Linux's, for the odd megabyte              bit 11 of the address of one is always the other's inverted)
//    +2048  the processor's, even   <-- PGD entry 2n
//    +3072  the processor's, odd    <-- PGD entry 2n + 1
//
// Linux's is the one to read: the processor's is zero for a page that is there but was not touched lately, or is PROT_NONE, and for
// one in swap.
//
// LPAE. As in 64-bit ARM: low bits 3 a table or a last-level page, 1 a block; address in bits 39:12. mprotect(PROT_NONE) leaves
// bit 1 and sets bit 57 (L_PTE_NONE).
//
// Low memory, the kernel's image included, is at a fixed distance from PAGE_OFFSET: physical = virtual - PAGE_OFFSET + begin of
// memory. Neither is in vmcoreinfo. The first follows from where swapper_pg_dir is, the second from the dump's own memory; right is
// that pair, and that layout, under which the top table maps itself.
//
// Sources: ARM Architecture Reference Manual, ARMv7-A, B3.5 and B3.6; arch/arm/include/asm/pgtable-2level.h, pgtable-3level.h,
// pgtable.h, ptrace.h; DWARF for the ARM Architecture (IHI 0040).
#include "arch/architecture.hpp"
#include "arch/page_table.hpp"
#include "core/error.hpp"
#include <elf.h>
#include <fmt/format.h>

namespace kcrash {
namespace {

using Kind = DecodedEntry::Kind;

DecodedEntry decode_short(uint64_t entry, const PageTableLevel&, bool last, uint64_t) {
    if (entry == 0) return {Kind::absent, {}};
    if (last) {
        constexpr uint64_t l_pte_present = 1;
        return {entry & l_pte_present ? Kind::page : Kind::swap, PhysicalAddress{entry & 0xfffff000}};
    }
    switch (entry & 3) {
    case 1: return {Kind::table, PhysicalAddress{(entry & 0xfffffc00) ^ 0x800}};
    case 2:
    case 3: // privileged execute-never
        if (!(entry >> 18 & 1)) return {Kind::page, PhysicalAddress{entry & 0xfff00000}};
        return {Kind::page, PhysicalAddress{(entry & 0xff000000) | (entry >> 20 & 0xf) << 32 | (entry >> 5 & 0xf) << 36}, 24};
    default: return {Kind::absent, {}};
    }
}

constexpr uint64_t long_address = 0x000000fffffff000, l_pte_none = uint64_t{1} << 57;

DecodedEntry decode_long(uint64_t entry, const PageTableLevel& level, bool last, uint64_t) {
    if (entry == 0) return {Kind::absent, {}};
    const bool valid = entry & 1, table_bit = entry & 2, none = entry & l_pte_none;
    const uint64_t address = entry & long_address;
    if (last) {
        if (!valid && !(none && table_bit)) return {Kind::swap, {}};
        return {table_bit ? Kind::page : Kind::invalid, PhysicalAddress{address}};
    }
    if (valid && table_bit) return {Kind::table, PhysicalAddress{address}};
    if (!valid && !none) return {level.shift == 21 ? Kind::swap : Kind::absent, {}};
    return {Kind::page, PhysicalAddress{address & ~((uint64_t{1} << level.shift) - 1)}};
}

bool canonical(uint64_t a) { return a >> 32 == 0; }
constexpr uint64_t of_modules = 16 << 20;                 // bytes below PAGE_OFFSET, MODULES_VADDR of arch/arm/include/asm/memory.h
constexpr uint64_t usual_begin = 0xc0000000 - of_modules; // CONFIG_VMSPLIT_3G
bool in_kernel(uint64_t a, uint64_t begin) { return a >= begin && canonical(a); }
bool kernel_address(uint64_t a) { return in_kernel(a, usual_begin); }

constexpr PageTableLayout short_levels{{{{"PGD", 20, 12}, {"PTE", 12, 8}}}, 2, 4, ByteOrder::little, 40, canonical, decode_short, 0, in_kernel, usual_begin};
constexpr PageTableLayout long_levels{{{{"PGD", 30, 2}, {"PMD", 21, 9}, {"PTE", 12, 9}}}, 3, 8, ByteOrder::little, 40, canonical, decode_long, 0, in_kernel, usual_begin};

struct Found {
    PageTableLayout layout; // with its kernel_begin
    PhysicalAddress root;
};

// Where memory may begin: as the user says, else at the ranges of the dump.
std::vector<uint64_t> memory_begins(const PhysicalMemory& memory, const KernelFacts& facts) {
    if (const auto told = facts.option("phys_base")) return {*told};
    std::vector<uint64_t> begins;
    for (const PhysicalRange& range : memory.dump().memory()) begins.push_back(range.begin.value & ~uint64_t{0x1fffff});
    return begins;
}

std::optional<Found> find_tables(const PhysicalMemory& memory, const KernelFacts& facts) {
    const auto top = facts.symbol("swapper_pg_dir");
    if (!top) return std::nullopt;
    const auto lpae = facts.option("lpae");
    // CONFIG_VMSPLIT_3G, 3G_OPT, 2G, 1G of arch/arm/Kconfig. The table is in the image's first megabytes.
    for (const uint64_t offset : {0xc0000000u, 0xb0000000u, 0x80000000u, 0x40000000u}) {
        const uint64_t page_offset = facts.option("page_offset").value_or(offset);
        if (*top < page_offset) continue;
        for (const uint64_t begin : memory_begins(memory, facts)) {
            const PhysicalAddress root{*top - page_offset + begin};
            for (PageTableLayout layout : {short_levels, long_levels}) {
                layout.kernel_begin = page_offset - of_modules;
                if (lpae && (*lpae != 0) != (layout.count == 3)) continue;
                if (maps_to(*make_translator(memory, layout, root), VirtualAddress{*top}, root)) return Found{layout, root};
            }
        }
    }
    return std::nullopt;
}

std::optional<uint64_t> kernel_begin(const PhysicalMemory& memory, const KernelFacts& facts) {
    const auto found = find_tables(memory, facts);
    return found ? std::optional(found->layout.kernel_begin) : std::nullopt;
}

std::unique_ptr<Translator> kernel_translator(const PhysicalMemory& memory, const KernelFacts& facts) {
    if (const auto found = find_tables(memory, facts)) return make_translator(memory, found->layout, found->root);
    if (const auto top = facts.symbol("swapper_pg_dir"))
        throw Error(fmt::format("cannot find the kernel's page tables: none that maps swapper_pg_dir (0x{:x}) to itself; wrong vmlinux, or -m "
                                "phys_base=ADDRESS (where memory begins) or -m page_offset=ADDRESS is needed", *top));
    throw Error("cannot find the kernel's page tables: the dump has no SYMBOL(swapper_pg_dir) in its vmcoreinfo; give its vmlinux");
}

std::unique_ptr<Translator> user_translator(const PhysicalMemory& memory, const KernelFacts& facts, PhysicalAddress root) {
    if (const auto found = find_tables(memory, facts)) return make_translator(memory, found->layout, root);
    if (const auto lpae = facts.option("lpae")) return make_translator(memory, *lpae ? long_levels : short_levels, root);
    throw Error("the dump does not say whether its page tables are LPAE; give -m lpae=1 or -m lpae=0");
}

// Linux's own bits of a last-level entry. Those of LPAE begin at bit 54, where a short one has none.
std::string describe_entry(const KernelFacts&, uint64_t entry) {
    static constexpr std::pair<unsigned, const char*> short_names[] = {
        {0, "PRESENT"}, {1, "YOUNG"}, {6, "DIRTY"}, {7, "RDONLY"}, {8, "USER"}, {9, "XN"}, {10, "SHARED"}, {11, "NONE"}};
    static constexpr std::pair<unsigned, const char*> long_names[] = {
        {0, "VALID"}, {1, "PRESENT"}, {6, "USER"}, {10, "YOUNG"}, {54, "XN"}, {55, "DIRTY"}, {56, "SPECIAL"}, {57, "NONE"}, {58, "RDONLY"}};
    std::string text;
    const auto add = [&](const auto& names) {
        for (auto [bit, word] : names)
            if (entry >> bit & 1) text += (text.empty() ? "" : "|") + std::string(word);
    };
    if (entry >> 32) add(long_names);
    else add(short_names);
    return text.empty() ? "no bits set" : text;
}

// Type in bits 6:2. Since Linux 20aae9eff5ac ("arm/mm: support __HAVE_ARCH_PTE_SWP_EXCLUSIVE"), v6.3, bit 7 is a mark and the offset
// begins at 8; before, at 7. An unknown release is taken for a new one.
SwapEntry swap_entry(const KernelFacts& facts, uint64_t entry) {
    const unsigned release = release_of(facts), first = release && release < 603 ? 7 : 8;
    return {static_cast<unsigned>(entry >> 2 & 0x1f), (entry & 0xffffffff) >> first};
}

enum : unsigned { r0, r1, r2, r3, r4, r5, r6, r7, r8, r9, r10, fp, ip, sp, lr, pc, cpsr = 64, orig_r0 }; // from cpsr on not DWARF's; ours

bool user_mode(const Registers& registers) { return (registers.get(cpsr).value_or(0x13) & 0xf) == 0; }

constexpr unsigned callee_saved[] = {r4, r5, r6, r7, r8, r9, r10, fp};

constexpr unsigned note = 72; // offset of pr_reg in struct elf_prstatus
#define KCRASH_ARM_REGISTERS(AT)                                                                                            \
    {"R0", r0, AT}, {"R1", r1, AT + 4}, {"R2", r2, AT + 8}, {"R3", r3, AT + 12}, {"R4", r4, AT + 16}, {"R5", r5, AT + 20},    \
    {"R6", r6, AT + 24}, {"R7", r7, AT + 28}, {"R8", r8, AT + 32}, {"R9", r9, AT + 36}, {"R10", r10, AT + 40},                \
    {"FP", fp, AT + 44}, {"IP", ip, AT + 48}, {"SP", sp, AT + 52}, {"LR", lr, AT + 56}, {"PC", pc, AT + 60},                  \
    {"PSR", cpsr, AT + 64}, {"ORIG_R0", orig_r0, AT + 68}
constexpr SavedRegister prstatus[] = {KCRASH_ARM_REGISTERS(note)};
constexpr SavedRegister pt_regs[] = {KCRASH_ARM_REGISTERS(0)};
#undef KCRASH_ARM_REGISTERS

constexpr const char* register_lines[] = {
    "    pc : [<{PC:08x}>]    lr : [<{LR:08x}>]    psr: {PSR:08x}",
    "    sp : {SP:08x}  ip : {IP:08x}  fp : {FP:08x}",
    "    r10: {R10:08x}  r9 : {R9:08x}  r8 : {R8:08x}",
    "    r7 : {R7:08x}  r6 : {R6:08x}  r5 : {R5:08x}  r4 : {R4:08x}",
    "    r3 : {R3:08x}  r2 : {R2:08x}  r1 : {R1:08x}  r0 : {R0:08x}",
};

// bl: condition always, and the distance in words from two instructions on.
std::optional<uint64_t> call_target(std::span<const std::byte> code, uint64_t return_address) {
    if (code.size() < 4) return std::nullopt;
    const auto word = load<uint32_t>(code.data(), ByteOrder::little);
    if (word >> 24 != 0xeb) return std::nullopt;
    return (return_address + 4 + static_cast<uint64_t>(sign_extend(word & 0xffffff, 24)) * 4) & 0xffffffff;
}

// A mode that exists (user, or one of the kernel's), addresses of that half, and none of the bits that are always zero.
bool plausible(const Registers& registers, uint64_t kernel_begin) {
    const uint64_t psr = registers.get(cpsr).value_or(0), at = registers.get(pc).value_or(0), stack = registers.get(sp).value_or(0);
    if (psr & 0x00f00000) return false;
    const uint64_t begin = kernel_begin ? kernel_begin : usual_begin;
    const bool kernel_half = in_kernel(at, begin) && in_kernel(stack, begin) && stack % 4 == 0;
    switch (psr & 0x1f) {
    case 0x10: return !(psr & 0xc0) && at && !in_kernel(at, begin) && stack && !in_kernel(stack, begin);
    case 0x13: // supervisor
    case 0x17: // abort
    case 0x1b: return kernel_half;
    default: return false;
    }
}

constexpr Relocation relocations[] = {
    {R_ARM_NONE, Relocation::Kind::none},
    {R_ARM_ABS32, Relocation::Kind::absolute, 4},
    {R_ARM_REL32, Relocation::Kind::relative, 4},
};

} // namespace

extern const Architecture arch_arm;
const Architecture arch_arm = {
    .name = "arm",
    .elf_machine = EM_ARM,
    .order = ByteOrder::little,
    .word_size = 4,
    .code = {.name = "arm", .options = "no-force-thumb", .odd_options = "force-thumb"},
    .pc = pc,
    .sp = sp,
    .fp = fp,
    .lr = lr,
    .syscall = orig_r0,
    .callee_saved = callee_saved,
    .prstatus = prstatus,
    .prstatus_size = 148,
    .pt_regs = pt_regs,
    .pt_regs_size = 72,
    .register_lines = register_lines,
    .kernel_register_lines = register_lines,
    .plausible = plausible,
    .call_size = 4,
    .call_target = call_target,
    .moved_from = 0x40000000,
    .canonical = canonical,
    .kernel_address = kernel_address,
    .kernel_begin = kernel_begin,
    .user_mode = user_mode,
    .kernel_translator = kernel_translator,
    .user_translator = user_translator,
    .walk_lines = {.kernel_top = "PAGE DIRECTORY: {address}", .user_top = "PAGE DIRECTORY: {address}", .kernel_first = nullptr, .virtual_addresses = false},
    .describe_entry = describe_entry,
    .swap_entry = swap_entry,
    .relocations = relocations,
};

} // namespace kcrash
