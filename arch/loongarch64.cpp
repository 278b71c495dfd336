// SPDX-License-Identifier: GPL-3.0-or-later
// loongarch64: windows onto physical memory, and page tables that hold virtual addresses.
//
//   0x8000... - 0xbfff...  direct mapped windows (DMW): bits 47:0 are the physical address. 0x8 is uncached, 0x9 cached: the
//                          kernel's image and all its memory are at 0x9000...
//   0xffff8000...          mapped by the tables: modules, vmalloc, vmemmap
//
// The tables are software's: the processor's refill handler walks them with lddir and ldpte. An entry above the last level holds
// the *virtual* address, in the cached window, of the next table. There are no empty entries there: one that maps nothing points
// at a table of the kernel (invalid_pmd_table, invalid_pte_table) that maps nothing in turn.
//
//   page size   bits of PGD, (PUD), PMD, PTE, offset
//   4 KB        9, 9, 9, 9, 12  four levels, 48 bits; or 9, 9, 9, 12 three levels, 39 bits
//   16 KB       11, 11, 11, 14  three levels, 47 bits (the default); or 11, 11, 14 two levels, 36 bits
//   64 KB       13, 13, 13, 16  three levels, 55 bits; or 13, 13, 16 two levels, 42 bits
//
//   63    62  61  60               47        12 11..9              8 7 6 5:4 3:2 1 0
//   [RPLV|NX|NR|present_invalid|...| address   | special, protnone.. W P G MAT PLV D V ]
//
//  - PRESENT is bit 7, not V: V is cleared to see who touches the page. PROTNONE is bit 10.
//  - Bit 6 of an entry above the last level says that it is a huge page, and its G is in bit 12.
//  - pte_none() is an entry of no bits but G: entries come in pairs that share G.
//
// How many levels there are is configuration (CONFIG_PGTABLE_*); the number is that of the tables' bits that fit the page size and
// reach the addresses above. Of those the usual ones are taken, unless -m va_bits=N says otherwise.
//
// Sources: LoongArch reference manual volume 1, 5.2 and 5.4; arch/loongarch/include/asm/pgtable-bits.h, pgtable.h, addrspace.h,
// ptrace.h; LoongArch ELF psABI.
#include "arch/architecture.hpp"
#include "arch/page_table.hpp"
#include "core/error.hpp"
#include <fmt/format.h>

namespace kcrash {
namespace {

using Kind = DecodedEntry::Kind;

constexpr uint16_t machine = 258; // EM_LOONGARCH
constexpr uint64_t global = 1 << 6, huge = 1 << 6, present = 1 << 7, prot_none = 1 << 10, present_invalid = uint64_t{1} << 60;
constexpr uint64_t window_bits = (uint64_t{1} << 48) - 1;

bool in_window(uint64_t address) { return address >> 62 == 2; }

// ignored: not used. The page size is in the level: of the last one it is the shift.
DecodedEntry decode(uint64_t entry, const PageTableLevel& level, bool last, uint64_t) {
    const uint64_t address = entry & window_bits & ~uint64_t{0xfff};
    if (last) {
        if ((entry & ~global) == 0) return {Kind::absent, {}};
        if (!(entry & (present | prot_none))) return {Kind::swap, {}};
        return {Kind::page, PhysicalAddress{address & ~((uint64_t{1} << level.shift) - 1)}};
    }
    if (entry == 0) return {Kind::absent, {}};
    if (!(entry & huge)) return {in_window(entry) && !(entry & 0xfff) ? Kind::table : Kind::invalid, PhysicalAddress{address}};
    if (!(entry & (present | prot_none | present_invalid))) return {Kind::swap, {}};
    return {Kind::page, PhysicalAddress{address & ~((uint64_t{1} << level.shift) - 1)}};
}

bool canonical(uint64_t a) { return a < uint64_t{1} << 55 || in_window(a) || a >= ~uint64_t{0} << 55; }
bool kernel_address(uint64_t a) { return a >> 63; }

PageTableLayout make_layout(std::initializer_list<PageTableLevel> levels) {
    PageTableLayout layout;
    for (const PageTableLevel& level : levels) layout.levels[layout.count++] = level;
    layout.physical_bits = 48;
    layout.canonical = canonical;
    layout.decode = decode;
    layout.never_swapped = [](uint64_t address, uint64_t) { return kernel_address(address); };
    return layout;
}

PageTableLayout layout_of(const PhysicalMemory& memory, const KernelFacts& facts) {
    const auto bits = facts.option("va_bits");
    switch (memory.page_size()) {
    case 4096:
        if (bits && *bits == 39) return make_layout({{"PGD", 30, 9}, {"PMD", 21, 9}, {"PTE", 12, 9}});
        return make_layout({{"PGD", 39, 9}, {"PUD", 30, 9}, {"PMD", 21, 9}, {"PTE", 12, 9}});
    case 16384:
        if (bits && *bits == 36) return make_layout({{"PGD", 25, 11}, {"PTE", 14, 11}});
        return make_layout({{"PGD", 36, 11}, {"PMD", 25, 11}, {"PTE", 14, 11}});
    case 65536:
        if (bits && *bits == 42) return make_layout({{"PGD", 29, 13}, {"PTE", 16, 13}});
        return make_layout({{"PGD", 42, 13}, {"PMD", 29, 13}, {"PTE", 16, 13}});
    default: throw Error(fmt::format("loongarch64 has no pages of {} bytes", memory.page_size()));
    }
}

// The windows first, then the tables.
class KernelTranslator final : public Translator {
public:
    explicit KernelTranslator(std::unique_ptr<Translator> tables) : tables_(std::move(tables)) {}
    Fault try_translate(VirtualAddress at, Translation& result) const override {
        if (!in_window(at.value)) return tables_->try_translate(at, result);
        // The page of the window is as large as a cache of translations likes, and no larger than what may be absent.
        result = {PhysicalAddress{at.value & window_bits}, uint64_t{1} << 21, 0};
        return Fault::none;
    }
    Walk walk(VirtualAddress at) const override {
        if (!in_window(at.value)) return tables_->walk(at);
        Walk walk;
        walk.fault = try_translate(at, walk.result);
        return walk;
    }
    PhysicalAddress root() const override { return tables_->root(); }

private:
    std::unique_ptr<Translator> tables_;
};

std::unique_ptr<Translator> kernel_translator(const PhysicalMemory& memory, const KernelFacts& facts) {
    const auto top = facts.symbol("swapper_pg_dir");
    if (!top) throw Error("cannot find the kernel's page tables: the dump has no SYMBOL(swapper_pg_dir) in its vmcoreinfo; give its vmlinux");
    if (!in_window(*top)) throw Error(fmt::format("swapper_pg_dir is at 0x{:x}, which is not in a direct mapped window: wrong vmlinux", *top));
    return std::make_unique<KernelTranslator>(make_translator(memory, layout_of(memory, facts), PhysicalAddress{*top & window_bits}));
}

std::unique_ptr<Translator> user_translator(const PhysicalMemory& memory, const KernelFacts& facts, PhysicalAddress root) {
    return make_translator(memory, layout_of(memory, facts), root);
}

std::string describe_entry(const KernelFacts&, uint64_t entry) {
    static constexpr std::pair<unsigned, const char*> names[] = {
        {0, "VALID"}, {1, "DIRTY"}, {6, "GLOBAL"}, {7, "PRESENT"}, {8, "WRITE"}, {9, "MODIFIED"}, {10, "PROTNONE"}, {11, "SPECIAL"},
        {61, "NO_READ"}, {62, "NO_EXEC"}, {63, "RPLV"}};
    std::string text;
    for (auto [bit, word] : names)
        if (entry >> bit & 1) text += (text.empty() ? "" : "|") + std::string(word);
    static constexpr const char* caches[] = {"SUC", "CC", "WUC", "MAT3"};
    if ((entry >> 2 & 3) == 3) text += (text.empty() ? "" : "|") + std::string("PLV");
    text += (text.empty() ? "" : "|") + std::string(caches[entry >> 4 & 3]);
    return text;
}

// Type in bits 22:16 (bit 23 is a mark since v6.3; no kernel has so many areas), offset from 24.
SwapEntry swap_entry(const KernelFacts&, uint64_t entry) { return {static_cast<unsigned>(entry >> 16 & 0x7f), entry >> 24}; }

enum : unsigned { ra = 1, tp, sp, a0, fp = 22, s0, s8 = 31, pc = 64, orig_a0, badv, crmd, prmd, euen, ecfg, estat }; // from pc on ours

// The privilege level that was left; the notes do not have it.
bool user_mode(const Registers& registers) {
    if (const auto mode = registers.get(prmd)) return (*mode & 3) == 3;
    return !kernel_address(registers.get(pc).value_or(~uint64_t{0}));
}

constexpr unsigned callee_saved[] = {fp, s0, 24, 25, 26, 27, 28, 29, 30, s8};

constexpr unsigned note = 112; // offset of pr_reg in struct elf_prstatus
#define KCRASH_LOONGARCH_REGISTERS(AT)                                                                                             \
    {"R0", 0, AT}, {"R1", 1, AT + 8}, {"R2", 2, AT + 16}, {"R3", 3, AT + 24}, {"R4", 4, AT + 32}, {"R5", 5, AT + 40},                \
    {"R6", 6, AT + 48}, {"R7", 7, AT + 56}, {"R8", 8, AT + 64}, {"R9", 9, AT + 72}, {"R10", 10, AT + 80}, {"R11", 11, AT + 88},      \
    {"R12", 12, AT + 96}, {"R13", 13, AT + 104}, {"R14", 14, AT + 112}, {"R15", 15, AT + 120}, {"R16", 16, AT + 128},                \
    {"R17", 17, AT + 136}, {"R18", 18, AT + 144}, {"R19", 19, AT + 152}, {"R20", 20, AT + 160}, {"R21", 21, AT + 168},               \
    {"R22", 22, AT + 176}, {"R23", 23, AT + 184}, {"R24", 24, AT + 192}, {"R25", 25, AT + 200}, {"R26", 26, AT + 208},               \
    {"R27", 27, AT + 216}, {"R28", 28, AT + 224}, {"R29", 29, AT + 232}, {"R30", 30, AT + 240}, {"R31", 31, AT + 248},               \
    {"ORIG_A0", orig_a0, AT + 256}, {"ERA", pc, AT + 264}, {"BADV", badv, AT + 272}
constexpr SavedRegister prstatus[] = {KCRASH_LOONGARCH_REGISTERS(note)};
constexpr SavedRegister pt_regs[] = {KCRASH_LOONGARCH_REGISTERS(0), {"CRMD", crmd, 280}, {"PRMD", prmd, 288}, {"EUEN", euen, 296}, {"ECFG", ecfg, 304}, {"ESTAT", estat, 312}};
#undef KCRASH_LOONGARCH_REGISTERS

constexpr const char* register_lines[] = {
    " $ 0      : {R0:016x} {R1:016x} {R2:016x} {R3:016x}",     " $ 4      : {R4:016x} {R5:016x} {R6:016x} {R7:016x}",
    " $ 8      : {R8:016x} {R9:016x} {R10:016x} {R11:016x}",   " $12      : {R12:016x} {R13:016x} {R14:016x} {R15:016x}",
    " $16      : {R16:016x} {R17:016x} {R18:016x} {R19:016x}", " $20      : {R20:016x} {R21:016x} {R22:016x} {R23:016x}",
    " $24      : {R24:016x} {R25:016x} {R26:016x} {R27:016x}", " $28      : {R28:016x} {R29:016x} {R30:016x} {R31:016x}",
    " era      : {ERA:016x}", " badv     : {BADV:016x}", " crmd     : {CRMD:016x}", " prmd     : {PRMD:016x}", " euen     : {EUEN:016x}",
    " ecfg     : {ECFG:016x}", " estat    : {ESTAT:016x}",
};

// bl: the low 16 bits of the distance in words are above the high 10.
std::optional<uint64_t> call_target(std::span<const std::byte> code, uint64_t return_address) {
    if (code.size() < 4) return std::nullopt;
    const auto word = load<uint32_t>(code.data(), ByteOrder::little);
    if (word >> 26 != 0x15) return std::nullopt;
    const uint64_t distance = (word >> 10 & 0xffff) | uint64_t{word & 0x3ff} << 16;
    return return_address - 4 + static_cast<uint64_t>(sign_extend(distance, 26)) * 4;
}

std::optional<uint64_t> direct_map(const KernelFacts&) { return 0x9000000000000000; }

// PRMD has three bits, CRMD ten; and the addresses are of the half that PRMD names.
bool plausible(const Registers& registers, uint64_t) {
    const uint64_t before = registers.get(prmd).value_or(~uint64_t{0}), mode = registers.get(crmd).value_or(~uint64_t{0});
    const uint64_t at = registers.get(pc).value_or(0), stack = registers.get(sp).value_or(0);
    if (before > 0xf || mode > 0x3ff || !(mode & 0x18) || registers.get(0).value_or(1) != 0 || stack % 8 || at % 4) return false;
    if ((before & 3) == 3) return at && !kernel_address(at) && stack && !kernel_address(stack);
    return (before & 3) == 0 && kernel_address(at) && kernel_address(stack);
}

constexpr Relocation relocations[] = { // numbers of the LoongArch psABI
    {0, Relocation::Kind::none}, // R_LARCH_NONE
    {1, Relocation::Kind::absolute, 4}, // 32
    {2, Relocation::Kind::absolute, 8}, // 64
    {47, Relocation::Kind::add, 1}, // ADD8
    {48, Relocation::Kind::add, 2}, // ADD16
    {50, Relocation::Kind::add, 4}, // ADD32
    {51, Relocation::Kind::add, 8}, // ADD64
    {52, Relocation::Kind::subtract, 1}, // SUB8
    {53, Relocation::Kind::subtract, 2}, // SUB16
    {55, Relocation::Kind::subtract, 4}, // SUB32
    {56, Relocation::Kind::subtract, 8}, // SUB64
    {99, Relocation::Kind::relative, 4}, // 32_PCREL
    {105, Relocation::Kind::add6, 1}, // ADD6
    {106, Relocation::Kind::subtract6, 1}, // SUB6
    {107, Relocation::Kind::add_uleb}, // ADD_ULEB128
    {108, Relocation::Kind::subtract_uleb}, // SUB_ULEB128
    {109, Relocation::Kind::relative, 8}, // 64_PCREL
};

} // namespace

extern const Architecture arch_loongarch64;
const Architecture arch_loongarch64 = {
    .name = "loongarch64",
    .elf_machine = machine,
    .order = ByteOrder::little,
    .word_size = 8,
    .code = {.name = "Loongarch64"},
    .pc = pc,
    .sp = sp,
    .fp = fp,
    .lr = ra,
    .callee_saved = callee_saved,
    .prstatus = prstatus,
    .prstatus_size = 480,
    .pt_regs = pt_regs,
    .pt_regs_size = 320,
    .register_lines = register_lines,
    .kernel_register_lines = register_lines,
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
    .describe_entry = describe_entry,
    .swap_entry = swap_entry,
    .relocations = relocations,
};

} // namespace kcrash
