// SPDX-License-Identifier: GPL-3.0-or-later
// x86_64: four or five levels of page tables, 27 registers, one kernel half.
//
//   bit 56          48          39          30          21          12           0
//    |  PGD (5-level) |  P4D/PGD  |   PUD     |   PMD     |   PTE     |  offset   |
//       9 bits           9 bits      9 bits      9 bits      9 bits      12 bits
//
// An entry has 8 bytes: P bit 0, PS (a page, not a table) bit 7 in PUD (1 GB) and PMD (2 MB), address bits 51:12.
// Three things are odd about it:
//  - An entry without P may still be a page: mprotect(PROT_NONE) clears P and sets bit 8. Since the answer to L1TF
//    (Linux 6b28baca9b1f, "x86/speculation/l1tf: Protect PROT_NONE PTEs against speculation", v4.18) the frame number
//    of every entry without P is stored inverted. Older kernels store it plain. Which of the two it is shows in the
//    entry: bit 50 of the address is set only by inverting, since no machine has that much memory.
//  - With SME the C bit is part of each address: vmcoreinfo's NUMBER(sme_mask) says which, and it is cleared.
//  - With page table isolation a process has two top tables, the kernel's at the even page. mm->pgd is the kernel's,
//    a CR3 from a note may be the user's (bit 12) with a PCID in its low bits: both are cleared.
//
// Sources: Intel SDM volume 3, chapter 4; arch/x86/include/asm/pgtable_types.h; Documentation/x86/x86_64/mm.rst;
// user_regs_struct of arch/x86/include/asm/user_64.h; System V ABI, AMD64 supplement, table 3.36 (DWARF numbers).
#include "arch/architecture.hpp"
#include "arch/page_table.hpp"
#include "core/error.hpp"
#include <elf.h>
#include <fmt/format.h>

namespace kcrash {
namespace {

constexpr uint64_t present = 1, page_size_bit = 1 << 7, prot_none = 1 << 8;
constexpr uint64_t address_bits = 0x000ffffffffff000;
constexpr uint64_t inverted_sign = uint64_t{1} << 50;
constexpr uint64_t kernel_map = 0xffffffff80000000;

DecodedEntry decode(uint64_t entry, const PageTableLevel& level, bool last, uint64_t ignored) {
    using Kind = DecodedEntry::Kind;
    if (entry == 0) return {Kind::absent, {}};
    const bool huge = !last && (entry & page_size_bit) && level.shift <= 30;
    if (!(entry & present)) {
        const bool page = (entry & prot_none) && (last || huge);
        if (!page) return {last || level.shift == 21 ? Kind::swap : Kind::absent, {}};
        if (entry & inverted_sign) entry ^= address_bits;
    } else if (!last && (entry & page_size_bit) && !huge) {
        return {Kind::invalid, {}};
    }
    uint64_t address = entry & address_bits & ~ignored;
    if (last) return {Kind::page, PhysicalAddress{address}};
    if (huge) return {Kind::page, PhysicalAddress{address & ~((uint64_t{1} << level.shift) - 1)}};
    return {Kind::table, PhysicalAddress{address}};
}

bool canonical48(uint64_t a) { return a < (uint64_t{1} << 47) || a >= ~uint64_t{0} << 47; }
bool canonical57(uint64_t a) { return a < (uint64_t{1} << 56) || a >= ~uint64_t{0} << 56; }

constexpr PageTableLayout four_levels{{{{"PGD", 39, 9}, {"PUD", 30, 9}, {"PMD", 21, 9}, {"PTE", 12, 9}}},
                                      4, 8, ByteOrder::little, 52, canonical48, decode, 0};
constexpr PageTableLayout five_levels{{{{"PGD", 48, 9}, {"P4D", 39, 9}, {"PUD", 30, 9}, {"PMD", 21, 9}, {"PTE", 12, 9}}},
                                      5, 8, ByteOrder::little, 52, canonical57, decode, 0};

// cr3 and cr4 of the first CPU in QEMU's note (QEMUCPUState, target/i386/arch_dump.c): the way in without vmcoreinfo.
struct ControlRegisters { uint64_t cr3, cr4; };
std::optional<ControlRegisters> qemu_control_registers(const KernelFacts& facts) {
    constexpr size_t general = 8 + 18 * 8, segments = 10 * 24, cr = general + segments;
    for (const Note& note : facts.notes()) {
        if (note.name != "QEMU" || note.description.size() < cr + 5 * 8) continue;
        return ControlRegisters{load<uint64_t>(note.description.data() + cr + 3 * 8, ByteOrder::little),
                                load<uint64_t>(note.description.data() + cr + 4 * 8, ByteOrder::little)};
    }
    return std::nullopt;
}

std::optional<uint64_t> physical_base(const KernelFacts& facts) {
    if (auto option = facts.option("phys_base")) return option;
    return facts.number("phys_base");
}

// Where VMCOREINFO does not tell, control registers do, or the kernel's own variable (arch/x86/kernel/head64.c, since v4.17).
bool five_levels_in_use(const PhysicalMemory& memory, const KernelFacts& facts) {
    if (auto told = facts.number("pgtable_l5_enabled")) return *told != 0;
    if (const auto registers = qemu_control_registers(facts)) return registers->cr4 >> 12 & 1;
    const auto variable = facts.symbol("__pgtable_l5_enabled"), base = physical_base(facts);
    std::byte bytes[4];
    if (!variable || !base || memory.try_read(PhysicalAddress{*variable - kernel_map + *base}, bytes) != Fault::none) return false;
    return load<uint32_t>(bytes, ByteOrder::little) == 1;
}

PageTableLayout layout(const PhysicalMemory& memory, const KernelFacts& facts) {
    PageTableLayout result = five_levels_in_use(memory, facts) ? five_levels : four_levels;
    result.ignored_bits = facts.number("sme_mask").value_or(0);
    result.never_swapped = [](uint64_t address, uint64_t) { return address >> 63 != 0; };
    return result;
}

std::unique_ptr<Translator> kernel_translator(const PhysicalMemory& memory, const KernelFacts& facts) {
    std::optional<uint64_t> top;
    // Linux 65ade2f872b4 ("x86/boot/64: Rename init_level4_pgt and early_level4_pgt"), v4.13.
    for (const char* name : {"init_top_pgt", "swapper_pg_dir", "init_level4_pgt"})
        if (!top) top = facts.symbol(name);
    const auto base = physical_base(facts);
    if (top && base) return make_translator(memory, layout(memory, facts), PhysicalAddress{*top - kernel_map + *base});
    if (const auto registers = qemu_control_registers(facts))
        return make_translator(memory, layout(memory, facts), PhysicalAddress{registers->cr3 & address_bits & ~uint64_t{0x1000}});
    throw Error(fmt::format("cannot find the kernel's page tables: the dump has no {}; give it with -m phys_base=ADDRESS",
                            top ? "NUMBER(phys_base) in its vmcoreinfo" : "SYMBOL(swapper_pg_dir) in its vmcoreinfo"));
}

std::unique_ptr<Translator> user_translator(const PhysicalMemory& memory, const KernelFacts& facts, PhysicalAddress root) {
    return make_translator(memory, layout(memory, facts), root);
}

std::string describe_entry(const KernelFacts&, uint64_t entry) {
    static constexpr std::pair<unsigned, const char*> names[] = {
        {0, "PRESENT"}, {1, "RW"}, {2, "USER"}, {3, "PWT"}, {4, "PCD"}, {5, "ACCESSED"}, {6, "DIRTY"},
        {7, "PSE"}, {8, "GLOBAL"}, {63, "NX"}};
    std::string text;
    for (auto [bit, word] : names) {
        if (!(entry >> bit & 1)) continue;
        if (bit == 8 && !(entry & present)) word = "PROTNONE";
        if (!text.empty()) text += '|';
        text += word;
    }
    return text.empty() ? "no bits set" : text;
}

// Type in bits 63:59, offset inverted in bits 58:9, above the PROT_NONE bit (arch/x86/include/asm/pgtable_64.h, Linux
// bcd11afa7ade, "x86/speculation/l1tf: Change order of offset/type in swap entry", v4.18). Before, the type stood in bits
// 13:9 and the offset above it: such an entry has its topmost bits clear, an inverted offset has them set.
SwapEntry swap_entry(const KernelFacts&, uint64_t entry) {
    const bool inverted = entry >> 50 & 1;
    if (inverted) return {static_cast<unsigned>(entry >> 59), (~entry << 5) >> 14};
    return {static_cast<unsigned>(entry >> 9 & 0x1f), entry >> 14};
}

bool canonical(uint64_t a) { return canonical57(a); }
bool kernel_address(uint64_t a) { return a >= uint64_t{1} << 63; }

enum : unsigned {
    rax, rdx, rcx, rbx, rsi, rdi, rbp, rsp, r8, r9, r10, r11, r12, r13, r14, r15, rip,
    eflags = 49, es, cs, ss, ds, fs, gs, fs_base = 58, gs_base = 59,
    orig_rax = 64, // no DWARF number; ours
};

bool user_mode(const Registers& registers) { return registers.get(cs).value_or(0) & 3; }

constexpr unsigned callee_saved[] = {rbx, rbp, r12, r13, r14, r15};

constexpr unsigned note = 112; // offset of pr_reg in struct elf_prstatus
constexpr SavedRegister prstatus[] = {
    {"R15", r15, note}, {"R14", r14, note + 8}, {"R13", r13, note + 16}, {"R12", r12, note + 24}, {"RBP", rbp, note + 32},
    {"RBX", rbx, note + 40}, {"R11", r11, note + 48}, {"R10", r10, note + 56}, {"R9", r9, note + 64}, {"R8", r8, note + 72},
    {"RAX", rax, note + 80}, {"RCX", rcx, note + 88}, {"RDX", rdx, note + 96}, {"RSI", rsi, note + 104}, {"RDI", rdi, note + 112},
    {"ORIG_RAX", orig_rax, note + 120}, {"RIP", rip, note + 128}, {"CS", cs, note + 136}, {"RFLAGS", eflags, note + 144},
    {"RSP", rsp, note + 152}, {"SS", ss, note + 160}, {"FS_BASE", fs_base, note + 168}, {"GS_BASE", gs_base, note + 176},
    {"DS", ds, note + 184}, {"ES", es, note + 192}, {"FS", fs, note + 200}, {"GS", gs, note + 208},
};

constexpr SavedRegister pt_regs[] = {
    {"R15", r15, 0}, {"R14", r14, 8}, {"R13", r13, 16}, {"R12", r12, 24}, {"RBP", rbp, 32}, {"RBX", rbx, 40}, {"R11", r11, 48},
    {"R10", r10, 56}, {"R9", r9, 64}, {"R8", r8, 72}, {"RAX", rax, 80}, {"RCX", rcx, 88}, {"RDX", rdx, 96}, {"RSI", rsi, 104},
    {"RDI", rdi, 112}, {"ORIG_RAX", orig_rax, 120}, {"RIP", rip, 128}, {"CS", cs, 136, 2}, {"RFLAGS", eflags, 144}, {"RSP", rsp, 152},
    {"SS", ss, 160, 2}, // the rest of these two words is FRED's (v6.9)
};

#define LINES                                                                                                                         \
    "    RIP: {RIP:016x}  RSP: {RSP:016x}  RFLAGS: {RFLAGS:08x}", "    RAX: {RAX:016x}  RBX: {RBX:016x}  RCX: {RCX:016x}",             \
        "    RDX: {RDX:016x}  RSI: {RSI:016x}  RDI: {RDI:016x}", "    RBP: {RBP:016x}   R8: {R8:016x}   R9: {R9:016x}",                \
        "    R10: {R10:016x}  R11: {R11:016x}  R12: {R12:016x}", "    R13: {R13:016x}  R14: {R14:016x}  R15: {R15:016x}",              \
        "    ORIG_RAX: {ORIG_RAX:016x}  CS: {CS:04x}  SS: {SS:04x}", "|    CS: {CS:04x}  SS: {SS:04x}"
constexpr const char* register_lines[] = {LINES};
constexpr const char* kernel_register_lines[] = {"    [exception RIP: {exception}+{offset}]", "|    [exception RIP: unknown or invalid address]", LINES};
#undef LINES

// e8 and the distance from the next instruction.
std::optional<uint64_t> call_target(std::span<const std::byte> code, uint64_t return_address) {
    if (code.size() < 5 || code[0] != std::byte{0xe8}) return std::nullopt;
    return return_address + static_cast<uint64_t>(sign_extend(load<uint32_t>(code.data() + 1, ByteOrder::little), 32));
}

// Selectors of the kernel (0x10 and 0x18 or none) or of a user (0x33 or 0x23, and 0x2b) with addresses of the same half, and
// flags in which bit 1 is set, bits 3, 5, 15 and those above 21 are not. See arch/x86/include/asm/segment.h.
bool plausible(const Registers& registers, uint64_t) {
    const uint64_t code = registers.get(cs).value_or(0), stack = registers.get(ss).value_or(0), flags = registers.get(eflags).value_or(0);
    const uint64_t pc = registers.get(rip).value_or(0), sp = registers.get(rsp).value_or(0);
    if (!(flags & 2) || flags & ~uint64_t{0x3f7fd7}) return false;
    if (code == 0x10) return (stack == 0x18 || stack == 0) && kernel_address(pc) && kernel_address(sp) && canonical(pc) && canonical(sp);
    if (code == 0xe030) return (stack == 0xe02b || stack == 0) && kernel_address(pc) && kernel_address(sp) && canonical(pc) && canonical(sp); // under Xen
    constexpr uint64_t user_end = uint64_t{1} << 56, interrupts = 1 << 9;
    return (code == 0x33 || code == 0x23) && stack == 0x2b && flags & interrupts && pc && pc < user_end && sp && sp < user_end;
}

constexpr Relocation relocations[] = {
    {R_X86_64_NONE, Relocation::Kind::none},
    {R_X86_64_64, Relocation::Kind::absolute, 8},
    {R_X86_64_32, Relocation::Kind::absolute, 4},
    {R_X86_64_32S, Relocation::Kind::absolute, 4},
    {R_X86_64_PC32, Relocation::Kind::relative, 4},
    {R_X86_64_PC64, Relocation::Kind::relative, 8},
};

} // namespace

extern const Architecture arch_x86_64;
const Architecture arch_x86_64 = {
    .name = "x86_64",
    .elf_machine = EM_X86_64,
    .order = ByteOrder::little,
    .word_size = 8,
    .code = {.name = "i386:x86-64"},
    .pc = rip,
    .sp = rsp,
    .fp = rbp,
    .syscall = orig_rax,
    .callee_saved = callee_saved,
    .prstatus = prstatus,
    .prstatus_size = 336,
    .pt_regs = pt_regs,
    .pt_regs_size = 168,
    .register_lines = register_lines,
    .kernel_register_lines = kernel_register_lines,
    .plausible = plausible,
    .call_size = 5,
    .call_target = call_target,
    .canonical = canonical,
    .kernel_address = kernel_address,
    .user_mode = user_mode,
    .kernel_translator = kernel_translator,
    .user_translator = user_translator,
    .walk_lines = {.kernel_top = "PGD DIRECTORY: {address}", .user_top = nullptr, .kernel_first = "PAGE DIRECTORY: {entry}", .virtual_addresses = false},
    .describe_entry = describe_entry,
    .swap_entry = swap_entry,
    .relocations = relocations,
};

} // namespace kcrash
