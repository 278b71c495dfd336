// SPDX-License-Identifier: GPL-3.0-or-later
// riscv64: Sv39, Sv48 or Sv57: three, four or five levels of page tables that are alike.
//
//   bit 56          47          38          29          20          11       0
//    |  PGD (Sv57)  | P4D / PGD | PUD / PGD |    PMD    |    PTE    |  offset |
//       9 bits          9 bits      9 bits      9 bits      9 bits    12 bits
//
//   63   62:61   60:54   53              10   9:8   7 6 5 4 3 2 1 0
//   [N | PBMT  |       | frame number     | soft | D A G U X W R V ]
//
//  - An entry with any of R, W and X is a page, at every level; with none it is a table. Of a large page's frame number the
//    low bits must be zero.
//  - N (Svnapot) at the last level: this entry and its fifteen neighbours are one page of 64 KB; the low four bits of the frame
//    number say so (1000) and are no part of the address.
//  - An entry without V but with G is a page that mprotect(PROT_NONE) took from its process (_PAGE_PROT_NONE). A large one that is
//    being split has neither, but still its R, W or X (pmd_present() of pgtable.h).
//  - The table that a process has is the kernel's too: the upper half is copied. There is one root, in satp.
//  - The kernel is linked at the last 2 GB (KERNEL_LINK_ADDR); its distance from physical memory is vmcoreinfo's
//    NUMBER(va_kernel_pa_offset) since v6.5, and before that the memory's begin, NUMBER(phys_ram_base), away.
//
// DWARF numbers: x0-x31 are 0-31. The return address of a function is x1, and that of what was interrupted has no number of
// its own: 64 is DWARF's "alternate frame return column", which we take for the program counter.
//
// Sources: RISC-V privileged specification, "Sv39" to "Sv57" and "Svnapot"; arch/riscv/include/asm/pgtable-bits.h, pgtable.h,
// ptrace.h; RISC-V ELF psABI, "DWARF Register Numbers".
#include "arch/architecture.hpp"
#include "arch/page_table.hpp"
#include "core/error.hpp"
#include <elf.h>
#include <fmt/format.h>

namespace kcrash {
namespace {

constexpr uint64_t valid = 1, leaf = 0xe, global = 1 << 5, napot = uint64_t{1} << 63;
constexpr uint64_t frame_bits = (uint64_t{1} << 44) - 1;

DecodedEntry decode(uint64_t entry, const PageTableLevel& level, bool last, uint64_t) {
    using Kind = DecodedEntry::Kind;
    if (entry == 0) return {Kind::absent, {}};
    const bool page = entry & leaf;
    if (!(entry & valid)) {
        const bool splitting = page && !last;
        if (!(entry & global) && !splitting) return {last || level.shift == 21 ? Kind::swap : Kind::absent, {}};
        if (!page) return {Kind::invalid, {}};
    }
    const uint64_t frame = entry >> 10 & frame_bits;
    if (!page) return {last ? Kind::invalid : Kind::table, PhysicalAddress{frame << 12}};
    if (entry & napot) {
        if (!last || (frame & 0xf) != 8) return {Kind::invalid, {}};
        return {Kind::page, PhysicalAddress{(frame & ~uint64_t{0xf}) << 12}, 16};
    }
    const uint64_t address = frame << 12;
    if (address & ((uint64_t{1} << level.shift) - 1)) return {Kind::invalid, {}};
    return {Kind::page, PhysicalAddress{address}};
}

template <unsigned bits> bool canonical_of(uint64_t a) { return a < uint64_t{1} << (bits - 1) || a >= ~uint64_t{0} << (bits - 1); }
bool upper_half(uint64_t address, uint64_t) { return address >> 63; }

constexpr PageTableLayout sv39{{{{"PGD", 30, 9}, {"PMD", 21, 9}, {"PTE", 12, 9}}}, 3, 8, ByteOrder::little, 56, canonical_of<39>, decode, 0, upper_half};
constexpr PageTableLayout sv48{{{{"PGD", 39, 9}, {"PUD", 30, 9}, {"PMD", 21, 9}, {"PTE", 12, 9}}}, 4, 8, ByteOrder::little, 56, canonical_of<48>, decode, 0, upper_half};
constexpr PageTableLayout sv57{{{{"PGD", 48, 9}, {"P4D", 39, 9}, {"PUD", 30, 9}, {"PMD", 21, 9}, {"PTE", 12, 9}}},
                               5, 8, ByteOrder::little, 56, canonical_of<57>, decode, 0, upper_half};

// VA_BITS is in vmcoreinfo since Linux 649d6b1019a2 ("RISC-V: Add arch_crash_save_vmcoreinfo support"), v6.2. Without it: the
// layout whose table maps itself.
std::optional<PageTableLayout> told_layout(const KernelFacts& facts) {
    auto bits = facts.option("va_bits");
    if (!bits) bits = facts.number("VA_BITS");
    if (!bits) return std::nullopt;
    switch (*bits) {
    case 39: return sv39;
    case 48: return sv48;
    case 57: return sv57;
    default: throw Error(fmt::format("VA_BITS is {}: riscv64 has 39, 48 and 57", *bits));
    }
}

constexpr uint64_t link_address = 0xffffffff80000000;

// What to subtract from an address of the kernel's image. Linux f9293ad46d8b ("RISC-V: Add va_kernel_pa_offset to
// vmcoreinfo"), v6.5; before that the image begins where memory does.
std::optional<uint64_t> image_offset(const KernelFacts& facts) {
    if (auto told = facts.number("va_kernel_pa_offset")) return told;
    auto base = facts.option("phys_base");
    if (!base) base = facts.number("phys_ram_base");
    if (!base) return std::nullopt;
    return facts.number("KERNEL_LINK_ADDR").value_or(link_address) - *base;
}

// Where physical memory lies by itself: __va() of asm/page.h. PAGE_OFFSET belongs to the begin of memory.
std::optional<uint64_t> direct_map(const KernelFacts& facts) {
    const auto offset = facts.number("PAGE_OFFSET"), base = facts.number("phys_ram_base");
    return offset && base ? std::optional(*offset - *base) : std::nullopt;
}

// The struct pages begin with that of the begin of memory: vmemmap of asm/pgtable.h.
std::optional<uint64_t> vmemmap_frame(const KernelFacts& facts) {
    const auto base = facts.number("phys_ram_base");
    return base ? std::optional(*base >> 12) : std::nullopt;
}

// The tables; and where a table itself is not in the dump, what it would have said of the image and the direct map. The kernel takes
// the memory of these tables before there is an allocator, /proc/iomem calls it reserved, and kexec leaves reserved memory out.
class KernelTranslator final : public Translator {
public:
    KernelTranslator(std::unique_ptr<Translator> tables, const KernelFacts& facts, uint64_t image_offset)
        : tables_(std::move(tables)), image_(facts.number("KERNEL_LINK_ADDR").value_or(link_address)), image_offset_(image_offset),
          direct_(facts.number("PAGE_OFFSET")), direct_offset_(direct_map(facts).value_or(0)) {}
    Fault try_translate(VirtualAddress at, Translation& result) const override { return known(tables_->try_translate(at, result), at, result); }
    Walk walk(VirtualAddress at) const override {
        Walk walk = tables_->walk(at);
        walk.fault = known(walk.fault, at, walk.result);
        return walk;
    }
    PhysicalAddress root() const override { return tables_->root(); }

private:
    Fault known(Fault fault, VirtualAddress at, Translation& result) const {
        switch (fault) {
        case Fault::excluded:
        case Fault::excluded_or_zero:
        case Fault::not_in_dump:
        case Fault::incomplete: break;
        default: return fault; // a page, or a table that was read and says that there is none
        }
        constexpr uint64_t page = 4096;
        if (at.value >= image_) result = {PhysicalAddress{at.value - image_offset_}, page, 0};
        else if (direct_ && direct_offset_ && at.value >= *direct_ && at.value < image_ - modules_size) result = {PhysicalAddress{at.value - direct_offset_}, page, 0};
        else return fault;
        return Fault::none;
    }

    static constexpr uint64_t modules_size = uint64_t{2} << 30; // below the image
    std::unique_ptr<Translator> tables_;
    uint64_t image_, image_offset_;
    std::optional<uint64_t> direct_;
    uint64_t direct_offset_;
};

std::unique_ptr<Translator> kernel_translator(const PhysicalMemory& memory, const KernelFacts& facts) {
    const auto top = facts.symbol("swapper_pg_dir");
    const auto offset = image_offset(facts);
    if (!top || !offset)
        throw Error(fmt::format("cannot find the kernel's page tables: the dump has no {}",
                                top ? "NUMBER(va_kernel_pa_offset) in its vmcoreinfo; give where the kernel was loaded with -m phys_base=ADDRESS"
                                    : "SYMBOL(swapper_pg_dir) in its vmcoreinfo; give its vmlinux"));
    const PhysicalAddress root{*top - *offset};
    if (const auto layout = told_layout(facts)) return std::make_unique<KernelTranslator>(make_translator(memory, *layout, root), facts, *offset);
    for (const PageTableLayout& layout : {sv57, sv48, sv39})
        if (auto made = make_translator(memory, layout, root); maps_to(*made, VirtualAddress{*top}, root))
            return std::make_unique<KernelTranslator>(std::move(made), facts, *offset);
    throw Error(fmt::format("the kernel's page tables are not at 0x{:x}: give -m phys_base=ADDRESS and -m va_bits=39, 48 or 57", root.value));
}

// A process has as many levels as the kernel.
std::unique_ptr<Translator> user_translator(const PhysicalMemory& memory, const KernelFacts& facts, PhysicalAddress root) {
    if (const auto layout = told_layout(facts)) return make_translator(memory, *layout, root);
    const auto top = facts.symbol("swapper_pg_dir");
    for (const PageTableLayout& layout : {sv57, sv48, sv39}) {
        auto made = make_translator(memory, layout, root);
        Translation result;
        if (top && made->try_translate(VirtualAddress{*top}, result) == Fault::none) return made;
    }
    throw Error("the dump does not say how many levels its page tables have; give -m va_bits=39, 48 or 57");
}

std::string describe_entry(const KernelFacts&, uint64_t entry) {
    static constexpr std::pair<unsigned, const char*> names[] = {
        {0, "PRESENT"}, {1, "READ"}, {2, "WRITE"}, {3, "EXEC"}, {4, "USER"}, {5, "GLOBAL"}, {6, "ACCESSED"}, {7, "DIRTY"}, {8, "SOFT"}};
    std::string text;
    for (auto [bit, word] : names) {
        if (!(entry >> bit & 1)) continue;
        if (bit == 5 && !(entry & valid)) word = "PROTNONE";
        if (!text.empty()) text += '|';
        text += word;
    }
    return text.empty() ? "no bits set" : text;
}

// Linux 51a1007d4113 ("riscv/mm: support __HAVE_ARCH_PTE_SWP_EXCLUSIVE"), v6.3: type in bits 11:7, offset from 12; bit 6 is a mark.
// Before, all of it was one bit lower. An unknown release is taken for a new one.
SwapEntry swap_entry(const KernelFacts& facts, uint64_t entry) {
    const unsigned release = release_of(facts), first = release && release < 603 ? 6 : 7;
    return {static_cast<unsigned>(entry >> first & 0x1f), entry >> (first + 5)};
}

enum : unsigned {
    x0, ra, sp, gp, tp, t0, t1, t2, s0, s1, a0, a1, a2, a3, a4, a5, a6, a7, s2, s3, s4, s5, s6, s7, s8, s9, s10, s11, t3, t4, t5, t6,
    pc = 64, status, badaddr, cause, orig_a0, // not DWARF's; ours
};

bool kernel_address(uint64_t a) { return a >> 63; }
bool canonical(uint64_t a) { return canonical_of<57>(a); }

// sstatus.SPP (bit 8): the mode that was left. The notes have no sstatus.
bool user_mode(const Registers& registers) {
    if (const auto flags = registers.get(status)) return !(*flags & 0x100);
    return !kernel_address(registers.get(pc).value_or(~uint64_t{0}));
}

constexpr unsigned callee_saved[] = {s0, s1, s2, s3, s4, s5, s6, s7, s8, s9, s10, s11};

constexpr unsigned note = 112; // offset of pr_reg in struct elf_prstatus
#define KCRASH_RISCV_REGISTERS(AT)                                                                                             \
    {"PC", pc, AT}, {"RA", ra, AT + 8}, {"SP", sp, AT + 16}, {"GP", gp, AT + 24}, {"TP", tp, AT + 32}, {"T0", t0, AT + 40},      \
    {"T1", t1, AT + 48}, {"T2", t2, AT + 56}, {"S0", s0, AT + 64}, {"S1", s1, AT + 72}, {"A0", a0, AT + 80}, {"A1", a1, AT + 88}, \
    {"A2", a2, AT + 96}, {"A3", a3, AT + 104}, {"A4", a4, AT + 112}, {"A5", a5, AT + 120}, {"A6", a6, AT + 128},                  \
    {"A7", a7, AT + 136}, {"S2", s2, AT + 144}, {"S3", s3, AT + 152}, {"S4", s4, AT + 160}, {"S5", s5, AT + 168},                 \
    {"S6", s6, AT + 176}, {"S7", s7, AT + 184}, {"S8", s8, AT + 192}, {"S9", s9, AT + 200}, {"S10", s10, AT + 208},               \
    {"S11", s11, AT + 216}, {"T3", t3, AT + 224}, {"T4", t4, AT + 232}, {"T5", t5, AT + 240}, {"T6", t6, AT + 248}
constexpr SavedRegister prstatus[] = {KCRASH_RISCV_REGISTERS(note)};
constexpr SavedRegister pt_regs[] = {KCRASH_RISCV_REGISTERS(0), {"STATUS", status, 256}, {"BADADDR", badaddr, 264}, {"CAUSE", cause, 272}, {"ORIG_A0", orig_a0, 280}};
#undef KCRASH_RISCV_REGISTERS

constexpr const char* register_lines[] = {
    "    epc: {PC:016x}   ra: {RA:016x}   sp: {SP:016x}", "     gp: {GP:016x}   tp: {TP:016x}   t0: {T0:016x}",
    "     t1: {T1:016x}   t2: {T2:016x}   s0: {S0:016x}", "     s1: {S1:016x}   a0: {A0:016x}   a1: {A1:016x}",
    "     a2: {A2:016x}   a3: {A3:016x}   a4: {A4:016x}", "     a5: {A5:016x}   a6: {A6:016x}   a7: {A7:016x}",
    "     s2: {S2:016x}   s3: {S3:016x}   s4: {S4:016x}", "     s5: {S5:016x}   s6: {S6:016x}   s7: {S7:016x}",
    "     s8: {S8:016x}   s9: {S9:016x}  s10: {S10:016x}", "    s11: {S11:016x}   t3: {T3:016x}   t4: {T4:016x}",
    "     t5: {T5:016x}   t6: {T6:016x}", " status: {STATUS:016x}  badaddr: {BADADDR:016x}",
    "  cause: {CAUSE:016x}  orig_a0: {ORIG_A0:016x}",
};
constexpr const char* kernel_register_lines[] = {
    "    [exception EPC: {exception}+{offset}]",
    "|    [exception EPC: unknown or invalid address]",
    "    epc: {PC:016x}   ra: {RA:016x}   sp: {SP:016x}", "     gp: {GP:016x}   tp: {TP:016x}   t0: {T0:016x}",
    "     t1: {T1:016x}   t2: {T2:016x}   s0: {S0:016x}", "     s1: {S1:016x}   a0: {A0:016x}   a1: {A1:016x}",
    "     a2: {A2:016x}   a3: {A3:016x}   a4: {A4:016x}", "     a5: {A5:016x}   a6: {A6:016x}   a7: {A7:016x}",
    "     s2: {S2:016x}   s3: {S3:016x}   s4: {S4:016x}", "     s5: {S5:016x}   s6: {S6:016x}   s7: {S7:016x}",
    "     s8: {S8:016x}   s9: {S9:016x}  s10: {S10:016x}", "    s11: {S11:016x}   t3: {T3:016x}   t4: {T4:016x}",
    "     t5: {T5:016x}   t6: {T6:016x}", " status: {STATUS:016x}  badaddr: {BADADDR:016x}",
    "  cause: {CAUSE:016x}  orig_a0: {ORIG_A0:016x}",
};

// jal ra, distance; and auipc before jalr, of which only the second returns: the two are eight bytes, and compressed calls have two.
// Only jal names what it calls by itself.
std::optional<uint64_t> call_target(std::span<const std::byte> code, uint64_t return_address) {
    if (code.size() < 4) return std::nullopt;
    const auto word = load<uint32_t>(code.data() + code.size() - 4, ByteOrder::little);
    if ((word & 0xfff) != 0x0ef) return std::nullopt;
    const uint64_t distance = (word >> 31 & 1) << 20 | (word >> 21 & 0x3ff) << 1 | (word >> 20 & 1) << 11 | (word >> 12 & 0xff) << 12;
    return return_address - 4 + static_cast<uint64_t>(sign_extend(distance, 21));
}

// sstatus with no bits but those that are defined, an address of the half that SPP names, a stack of the same half, and a cause
// that is an exception (0-15, 18, 19) or an interrupt (the sign, with 0-15).
bool plausible(const Registers& registers, uint64_t) {
    const uint64_t flags = registers.get(status).value_or(~uint64_t{0}), why = registers.get(cause).value_or(~uint64_t{0});
    constexpr uint64_t defined = 0x80000003818de762 | 0xf00000000 | uint64_t{0x3f} << 18;
    if (flags & ~defined || !(flags >> 32 & 3)) return false;
    if ((why & ~(uint64_t{1} << 63)) > 31) return false;
    const uint64_t at = registers.get(pc).value_or(0), stack = registers.get(sp).value_or(0);
    if (user_mode(registers)) return at && !kernel_address(at) && stack && !kernel_address(stack) && stack % 8 == 0;
    return kernel_address(at) && kernel_address(stack) && stack % 8 == 0 && at % 2 == 0;
}

constexpr Relocation relocations[] = {
    {R_RISCV_NONE, Relocation::Kind::none},
    {R_RISCV_32, Relocation::Kind::absolute, 4},
    {R_RISCV_64, Relocation::Kind::absolute, 8},
    {R_RISCV_ADD8, Relocation::Kind::add, 1},
    {R_RISCV_ADD16, Relocation::Kind::add, 2},
    {R_RISCV_ADD32, Relocation::Kind::add, 4},
    {R_RISCV_ADD64, Relocation::Kind::add, 8},
    {R_RISCV_SUB8, Relocation::Kind::subtract, 1},
    {R_RISCV_SUB16, Relocation::Kind::subtract, 2},
    {R_RISCV_SUB32, Relocation::Kind::subtract, 4},
    {R_RISCV_SUB64, Relocation::Kind::subtract, 8},
    {R_RISCV_SUB6, Relocation::Kind::subtract6, 1},
    {R_RISCV_SET6, Relocation::Kind::set6, 1},
    {R_RISCV_SET8, Relocation::Kind::set, 1},
    {R_RISCV_SET16, Relocation::Kind::set, 2},
    {R_RISCV_SET32, Relocation::Kind::set, 4},
    {R_RISCV_32_PCREL, Relocation::Kind::relative, 4},
    {60, Relocation::Kind::set_uleb}, // SET_ULEB128
    {61, Relocation::Kind::subtract_uleb}, // SUB_ULEB128
};

} // namespace

extern const Architecture arch_riscv64;
const Architecture arch_riscv64 = {
    .name = "riscv64",
    .elf_machine = EM_RISCV,
    .order = ByteOrder::little,
    .word_size = 8,
    .code = {.name = "riscv:rv64"},
    .pc = pc,
    .sp = sp,
    .fp = s0,
    .lr = ra,
    .callee_saved = callee_saved,
    .prstatus = prstatus,
    .prstatus_size = 376,
    .pt_regs = pt_regs,
    .pt_regs_size = 288,
    .register_lines = register_lines,
    .kernel_register_lines = kernel_register_lines,
    .plausible = plausible,
    .call_size = 4,
    .call_target = call_target,
    .canonical = canonical,
    .kernel_address = kernel_address,
    .user_mode = user_mode,
    .kernel_translator = kernel_translator,
    .user_translator = user_translator,
    .walk_lines = {.kernel_top = nullptr, .user_top = nullptr, .kernel_first = nullptr, .virtual_addresses = false},
    .direct_map = direct_map,
    .vmemmap_frame = vmemmap_frame,
    .describe_entry = describe_entry,
    .swap_entry = swap_entry,
    .relocations = relocations,
};

} // namespace kcrash
