// SPDX-License-Identifier: GPL-3.0-or-later
// i386: two levels of page tables of four-byte entries, or with PAE three of eight-byte entries.
//
//   bit 31          21          11       0        31:30    29          20          11       0
//    |    PGD     |    PTE     |  offset |         | PGD |    PMD    |    PTE    |  offset |
//       10 bits      10 bits     12 bits           2 bits    9 bits      9 bits    12 bits
//
//  - Without PAE an entry of the PGD with PS (bit 7) is a page of 4 MB; its bits 20:13 are bits 39:32 of the address (PSE-36).
//  - With PAE the top table has four entries, of which only P and the address count; a PMD entry with PS is a page of 2 MB.
//  - An entry without P but with bit 8 is a page that mprotect(PROT_NONE) took from its process. With PAE, since the answer to
//    L1TF (see x86_64.cpp), its frame number is stored inverted; without PAE it never is (asm/pgtable-2level.h).
//  - Every address of low memory is its physical address plus PAGE_OFFSET, the kernel's image included: KASLR moves both.
//    PAGE_OFFSET is a matter of configuration (CONFIG_VMSPLIT_*) and so is PAE: vmcoreinfo does not name the first. That layout and
//    that offset are right under which the top table maps itself.
//
// An exception in the kernel pushes neither SP nor SS. Since v5.4 the entry code makes room for them and the frame is complete
// (Linux 3c88c692c287, "x86/stackframe/32: Provide consistent pt_regs"); before, they are what the stack held there.
//
// Sources: Intel SDM volume 3, chapter 4; arch/x86/include/asm/pgtable-2level.h, pgtable-3level.h; user_regs_struct of
// asm/user_32.h; ptrace.h; System V ABI, Intel386 supplement, table 2.14 (DWARF numbers).
#include "arch/architecture.hpp"
#include "arch/page_table.hpp"
#include "core/error.hpp"
#include <elf.h>
#include <fmt/format.h>

namespace kcrash {
namespace {

constexpr uint64_t present = 1, page_size_bit = 1 << 7, prot_none = 1 << 8;
constexpr uint64_t pae_address = 0x000ffffffffff000, inverted_sign = uint64_t{1} << 50;

using Kind = DecodedEntry::Kind;

DecodedEntry decode_two(uint64_t entry, const PageTableLevel&, bool last, uint64_t) {
    if (entry == 0) return {Kind::absent, {}};
    const bool huge = !last && (entry & page_size_bit);
    if (!(entry & present) && !((last || huge) && (entry & prot_none))) return {last ? Kind::swap : Kind::absent, {}};
    if (huge) return {Kind::page, PhysicalAddress{(entry & 0xffc00000) | (entry >> 13 & 0xff) << 32}};
    return {last ? Kind::page : Kind::table, PhysicalAddress{entry & 0xfffff000}};
}

DecodedEntry decode_pae(uint64_t entry, const PageTableLevel& level, bool last, uint64_t) {
    if (entry == 0) return {Kind::absent, {}};
    const bool top = level.shift == 30, huge = !last && !top && (entry & page_size_bit);
    if (!(entry & present)) {
        if (top || !(entry & prot_none) || (!last && !huge)) return {top ? Kind::absent : Kind::swap, {}};
        if (entry & inverted_sign) entry ^= pae_address;
    }
    const uint64_t address = entry & pae_address;
    if (last) return {Kind::page, PhysicalAddress{address}};
    if (huge) return {Kind::page, PhysicalAddress{address & ~uint64_t{0x1fffff}}};
    return {Kind::table, PhysicalAddress{address}};
}

bool canonical(uint64_t a) { return a >> 32 == 0; }
constexpr uint64_t usual_begin = 0xc0000000; // CONFIG_VMSPLIT_3G
bool in_kernel(uint64_t a, uint64_t begin) { return a >= begin && canonical(a); }
bool kernel_address(uint64_t a) { return in_kernel(a, usual_begin); }

constexpr PageTableLayout two_levels{{{{"PGD", 22, 10}, {"PTE", 12, 10}}}, 2, 4, ByteOrder::little, 40, canonical, decode_two, 0, in_kernel, usual_begin};
constexpr PageTableLayout pae_levels{{{{"PGD", 30, 2}, {"PMD", 21, 9}, {"PTE", 12, 9}}}, 3, 8, ByteOrder::little, 52, canonical, decode_pae, 0, in_kernel, usual_begin};

// CONFIG_VMSPLIT_3G, 3G_OPT, 2G, 2G_OPT, 1G of arch/x86/Kconfig.
constexpr uint64_t page_offsets[] = {0xc0000000, 0xb0000000, 0x80000000, 0x78000000, 0x40000000};

struct Found {
    PageTableLayout layout; // with its kernel_begin
    PhysicalAddress root;
};

// Under which layout, at which offset, does the kernel's top table map itself?
std::optional<Found> find_tables(const PhysicalMemory& memory, const KernelFacts& facts) {
    const auto top = facts.symbol("swapper_pg_dir");
    if (!top) return std::nullopt;
    const auto pae = facts.option("pae");
    for (const uint64_t offset : page_offsets) {
        const uint64_t page_offset = facts.option("page_offset").value_or(offset);
        if (*top < page_offset) continue;
        const PhysicalAddress root{*top - page_offset};
        for (PageTableLayout layout : {pae_levels, two_levels}) {
            layout.kernel_begin = page_offset;
            if (pae && (*pae != 0) != (layout.count == 3)) continue;
            if (maps_to(*make_translator(memory, layout, root), VirtualAddress{*top}, root)) return Found{layout, root};
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
        throw Error(fmt::format("cannot find the kernel's page tables: none that maps swapper_pg_dir (0x{:x}) to itself; "
                                "wrong vmlinux or KASLR offset, or -m page_offset=ADDRESS is needed", *top));
    throw Error("cannot find the kernel's page tables: the dump has no SYMBOL(swapper_pg_dir) in its vmcoreinfo; give its vmlinux");
}

std::unique_ptr<Translator> user_translator(const PhysicalMemory& memory, const KernelFacts& facts, PhysicalAddress root) {
    if (const auto found = find_tables(memory, facts)) return make_translator(memory, found->layout, root);
    if (const auto pae = facts.option("pae")) return make_translator(memory, *pae ? pae_levels : two_levels, root);
    throw Error("the dump does not say whether its page tables are PAE; give -m pae=1 or -m pae=0");
}

std::string describe_entry(const KernelFacts&, uint64_t entry) {
    static constexpr std::pair<unsigned, const char*> names[] = {
        {0, "PRESENT"}, {1, "RW"}, {2, "USER"}, {3, "PWT"}, {4, "PCD"}, {5, "ACCESSED"}, {6, "DIRTY"}, {7, "PSE"}, {8, "GLOBAL"}, {63, "NX"}};
    std::string text;
    for (auto [bit, word] : names) {
        if (!(entry >> bit & 1)) continue;
        if (bit == 8 && !(entry & present)) word = "PROTNONE";
        if (!text.empty()) text += '|';
        text += word;
    }
    return text.empty() ? "no bits set" : text;
}

// Two levels: type in bits 5:1, offset from 9. PAE: since Linux eee4818baac0 ("x86/speculation/l1tf: Change order of
// offset/type in swap entry", v4.18) as x86_64, type in 63:59, offset inverted in 58:9; before, all of it in the upper word.
SwapEntry swap_entry(const KernelFacts&, uint64_t entry) {
    if (!(entry >> 32)) return {static_cast<unsigned>(entry >> 1 & 0x1f), entry >> 9};
    if (entry & inverted_sign) return {static_cast<unsigned>(entry >> 59), (~entry << 5) >> 14};
    return {static_cast<unsigned>(entry >> 32 & 0x1f), entry >> 37};
}

enum : unsigned {
    eax, ecx, edx, ebx, esp, ebp, esi, edi, eip, eflags,
    es = 40, cs, ss, ds, fs, gs,
    orig_eax = 64, // no DWARF number; ours
};

bool user_mode(const Registers& registers) { return registers.get(cs).value_or(0) & 3; }

constexpr unsigned callee_saved[] = {ebx, ebp, esi, edi};

constexpr unsigned note = 72; // offset of pr_reg in struct elf_prstatus
constexpr SavedRegister prstatus[] = {
    {"EBX", ebx, note}, {"ECX", ecx, note + 4}, {"EDX", edx, note + 8}, {"ESI", esi, note + 12}, {"EDI", edi, note + 16}, {"EBP", ebp, note + 20},
    {"EAX", eax, note + 24}, {"DS", ds, note + 28, 2}, {"ES", es, note + 32, 2}, {"FS", fs, note + 36, 2}, {"GS", gs, note + 40, 2},
    {"ORIG_EAX", orig_eax, note + 44}, {"EIP", eip, note + 48}, {"CS", cs, note + 52, 2}, {"EFLAGS", eflags, note + 56}, {"ESP", esp, note + 60},
    {"SS", ss, note + 64, 2},
};

// Of x86_64's struct elf_prstatus.
constexpr unsigned wide_note = 112;
constexpr SavedRegister wide_prstatus[] = {
    {"EBP", ebp, wide_note + 32}, {"EBX", ebx, wide_note + 40}, {"EAX", eax, wide_note + 80}, {"ECX", ecx, wide_note + 88},
    {"EDX", edx, wide_note + 96}, {"ESI", esi, wide_note + 104}, {"EDI", edi, wide_note + 112}, {"EIP", eip, wide_note + 128},
    {"CS", cs, wide_note + 136, 2}, {"EFLAGS", eflags, wide_note + 144}, {"ESP", esp, wide_note + 152}, {"SS", ss, wide_note + 160, 2},
    {"DS", ds, wide_note + 184, 2}, {"ES", es, wide_note + 192, 2}, {"FS", fs, wide_note + 200, 2}, {"GS", gs, wide_note + 208, 2},
};

constexpr SavedRegister pt_regs[] = {
    {"EBX", ebx, 0}, {"ECX", ecx, 4}, {"EDX", edx, 8}, {"ESI", esi, 12}, {"EDI", edi, 16}, {"EBP", ebp, 20}, {"EAX", eax, 24}, {"DS", ds, 28, 2},
    {"ES", es, 32, 2}, {"FS", fs, 36, 2}, {"GS", gs, 40, 2}, {"ORIG_EAX", orig_eax, 44}, {"EIP", eip, 48}, {"CS", cs, 52, 2},
    {"EFLAGS", eflags, 56}, {"ESP", esp, 60}, {"SS", ss, 64, 2},
};

constexpr const char* register_lines[] = {
    "    EAX: {EAX:08x}  EBX: {EBX:08x}  ECX: {ECX:08x}  EDX: {EDX:08x} ",
    "    DS:  {DS:04x}      ESI: {ESI:08x}  ES:  {ES:04x}      EDI: {EDI:08x}",
    "    SS:  {SS:04x}      ESP: {ESP:08x}  EBP: {EBP:08x}  GS:  {GS:04x}",
    "    CS:  {CS:04x}      EIP: {EIP:08x}  ERR: {ORIG_EAX:08x}  EFLAGS: {EFLAGS:08x} ",
    "|    CS:  {CS:04x}      EIP: {EIP:08x}  EFLAGS: {EFLAGS:08x} ",
};
constexpr const char* kernel_register_lines[] = {
    "    [exception EIP: {exception}+{offset}]",
    "|    [exception EIP: unknown or invalid address]",
    "    EAX: {EAX:08x}  EBX: {EBX:08x}  ECX: {ECX:08x}  EDX: {EDX:08x}  EBP: {EBP:08x} ",
    "    DS:  {DS:04x}      ESI: {ESI:08x}  ES:  {ES:04x}      EDI: {EDI:08x}  GS:  {GS:04x}",
    "    CS:  {CS:04x}      EIP: {EIP:08x}  ERR: {ORIG_EAX:08x}  EFLAGS: {EFLAGS:08x} ",
    "|    CS:  {CS:04x}      EIP: {EIP:08x}  EFLAGS: {EFLAGS:08x} ",
};

// e8 and the distance from the next instruction.
std::optional<uint64_t> call_target(std::span<const std::byte> code, uint64_t return_address) {
    if (code.size() < 5 || code[0] != std::byte{0xe8}) return std::nullopt;
    return (return_address + load<uint32_t>(code.data() + 1, ByteOrder::little)) & 0xffffffff;
}

// Selectors of the kernel (0x60, 0x68) or of a user (0x73, 0x7b), flags in which bit 1 is set, bits 3, 5, 15 and those above 21
// are not. See arch/x86/include/asm/segment.h.
bool plausible(const Registers& registers, uint64_t kernel_begin) {
    const uint64_t code = registers.get(cs).value_or(0), stack = registers.get(ss).value_or(0), flags = registers.get(eflags).value_or(0);
    const uint64_t at = registers.get(eip).value_or(0), sp = registers.get(esp).value_or(0);
    if (!(flags & 2) || flags & ~uint64_t{0x3f7fd7}) return false;
    const uint64_t begin = kernel_begin ? kernel_begin : usual_begin;
    if (code == 0x60) return in_kernel(at, begin);
    constexpr uint64_t interrupts = 1 << 9;
    return code == 0x73 && stack == 0x7b && flags & interrupts && at && !in_kernel(at, begin) && sp && !in_kernel(sp, begin);
}

constexpr Relocation relocations[] = {
    {R_386_NONE, Relocation::Kind::none},
    {R_386_32, Relocation::Kind::absolute, 4},
    {R_386_PC32, Relocation::Kind::relative, 4},
};

} // namespace

extern const Architecture arch_i386;
const Architecture arch_i386 = {
    .name = "i386",
    .elf_machine = EM_386,
    .order = ByteOrder::little,
    .word_size = 4,
    .code = {.name = "i386"},
    .pc = eip,
    .sp = esp,
    .fp = ebp,
    .syscall = orig_eax,
    .callee_saved = callee_saved,
    .prstatus = prstatus,
    .prstatus_size = 144,
    .wide_prstatus = wide_prstatus,
    .wide_prstatus_size = 336,
    .pt_regs = pt_regs,
    .pt_regs_size = 68,
    .register_lines = register_lines,
    .kernel_register_lines = kernel_register_lines,
    .plausible = plausible,
    .call_size = 5,
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
