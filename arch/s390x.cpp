// SPDX-License-Identifier: GPL-3.0-or-later
// s390x: 64-bit z/Architecture, big-endian; region, segment and page tables of two to five levels.
//
//   bit 63         53          42          31          20        12           0
//    | region first | region 2nd | region 3rd |  segment  |  page  |   offset   |
//        11 bits       11 bits      11 bits      11 bits   8 bits     12 bits
//
// An entry has 8 bytes. Those of regions and segments: origin of the next table (bits 63:12; of a page table 63:11), I
// (invalid) 0x20, TT (which kind of table it stands in) 0x0c, and FC 0x400: a page of 2 GB (region third) or 1 MB (segment).
// Those of pages: frame 63:12, I 0x400, P (protected) 0x200, and 0x800 must be zero.
//
// What is odd about it:
//  - How many levels there are is a property of each address space. It stands in a control register, but also in the table
//    itself: TT of every entry, an empty one as well, names the table's kind. So the root alone tells the levels.
//  - A region entry tells which part of the next table exists, in quarters: from TF (0xc0) to TL (0x03).
//  - The kernel and each process have a whole address space of their own: the same number means different memory in both. No
//    address can be told a kernel's by its value.
//  - Since Linux 3.9 the bits of "accessed" and "dirty" are kept by software: a page that was not touched lately is
//    invalid for the machine and present for Linux (bit 0x001 of a page's entry, FC of a segment's). PROT_NONE looks the same.
//  - Until Linux 6.9 the kernel and all memory are mapped one to one: a kernel address is a physical address. Since then
//    ("s390/mm: Uncouple physical vs virtual address spaces", v6.10) the kernel's image has a mapping of its own
//    (KERNELOFFSET and KERNELOFFPHYS of vmcoreinfo) and memory another (IDENTITYBASE). Tables hold physical addresses: only
//    swapper_pg_dir has to be found by them.
//  - The first 8 kB of real memory (the lowcore, through which the machine and the kernel speak to each other) lie
//    elsewhere for each CPU: the prefix register says where. Dumps have absolute addresses, and lowcore_ptr[cpu] leads to the real place.
//
// Sources: z/Architecture Principles of Operation (SA22-7832), chapter 3, "Dynamic address translation";
// arch/s390/include/asm/pgtable.h, lowcore.h, ptrace.h; zSeries ELF ABI supplement (register numbers of DWARF).
#include "arch/architecture.hpp"
#include "arch/page_table.hpp"
#include "core/error.hpp"
#include <algorithm>
#include <charconv>
#include <cstring>
#include <elf.h>
#include <fmt/format.h>

namespace kcrash {
namespace {

constexpr uint64_t table_invalid = 0x20, table_type = 0x0c, format_control = 0x400, page_table_origin = ~uint64_t{0x7ff};
constexpr uint64_t page_invalid = 0x400, page_protected = 0x200, page_reserved = 0x800, page_present = 0x001, no_execute = 0x100;
constexpr uint64_t frame_bits = ~uint64_t{0xfff};
constexpr unsigned segment_shift = 20, region_third_shift = 31, table_bits = 11, quarter = 512; // entries

using Kind = DecodedEntry::Kind;

// Which kind of table the level is, as its entries say it: 0 segment, 1 region third, 2 region second, 3 region first.
unsigned type_of(const PageTableLevel& level) { return (level.shift - segment_shift) / table_bits; }

DecodedEntry decode_table(uint64_t entry, const PageTableLevel& level, bool software) {
    const bool large = (entry & format_control) && level.shift <= region_third_shift;
    if (entry & table_invalid && !(software && large)) return {Kind::absent, {}};
    if ((entry & table_type) >> 2 != type_of(level)) return {Kind::invalid, {}};
    if (large) return {Kind::page, PhysicalAddress{entry & ~((uint64_t{1} << level.shift) - 1)}};
    if (level.shift == segment_shift) return {Kind::table, PhysicalAddress{entry & page_table_origin}};
    DecodedEntry decoded{Kind::table, PhysicalAddress{entry & frame_bits}};
    decoded.first_index = (entry >> 6 & 3) * quarter;
    decoded.end_index = ((entry & 3) + 1) * quarter;
    return decoded;
}

// The kernel's own tables: as the machine reads them.
DecodedEntry decode_kernel(uint64_t entry, const PageTableLevel& level, bool last, uint64_t) {
    if (!last) return decode_table(entry, level, false);
    if (entry & page_invalid) return {Kind::absent, {}};
    return {entry & page_reserved ? Kind::invalid : Kind::page, PhysicalAddress{entry & frame_bits}};
}

// A process's: as Linux reads them. A swapped page has P and not the present bit, an empty entry has neither.
DecodedEntry decode_user(uint64_t entry, const PageTableLevel& level, bool last, uint64_t) {
    if (!last) return decode_table(entry, level, true);
    if (!(entry & page_invalid)) return {entry & page_reserved ? Kind::invalid : Kind::page, PhysicalAddress{entry & frame_bits}};
    if (entry & page_present) return {Kind::page, PhysicalAddress{entry & frame_bits}};
    return {entry & page_protected ? Kind::swap : Kind::absent, {}};
}

bool below_2_gb(uint64_t a) { return a < uint64_t{1} << 31; }
bool below_4_tb(uint64_t a) { return a < uint64_t{1} << 42; }
bool below_8_pb(uint64_t a) { return a < uint64_t{1} << 53; }
bool anywhere(uint64_t) { return true; }

constexpr PageTableLevel levels[] = {{"RFTE", 53, 11}, {"RSTE", 42, 11}, {"RTTE", 31, 11}, {"STE", 20, 11}, {"PTE", 12, 8}};

// The levels of a table whose entries have this type.
PageTableLayout layout_of(unsigned type) {
    static constexpr bool (*limits[])(uint64_t) = {below_2_gb, below_4_tb, below_8_pb, anywhere};
    PageTableLayout layout;
    layout.count = type + 2;
    std::copy(std::end(levels) - layout.count, std::end(levels), layout.levels.begin());
    layout.order = ByteOrder::big;
    layout.physical_bits = 64;
    layout.canonical = limits[type];
    return layout;
}

// The type that the table's entries name: the first valid one, else the first that is not zero. A table that cannot be read
// gets all levels, so that each walk says why.
unsigned type_of_table(const PhysicalMemory& memory, PhysicalAddress root) {
    constexpr unsigned most = 3;
    constexpr size_t at_once = 4096, size = size_t{8} << table_bits;
    std::optional<unsigned> empty;
    for (size_t at = 0; at < size; at += at_once) {
        std::array<std::byte, at_once> part;
        if (memory.try_read(root + at, part) != Fault::none) continue;
        for (size_t i = 0; i < at_once; i += 8) {
            const uint64_t entry = load<uint64_t>(part.data() + i, ByteOrder::big);
            const unsigned type = static_cast<unsigned>(entry >> 2 & 3);
            if (entry && !(entry & table_invalid)) return type;
            if (entry && !empty) empty = type;
        }
    }
    return empty.value_or(most);
}

// A line of vmcoreinfo that is neither SYMBOL nor NUMBER.
std::optional<uint64_t> hexadecimal(const KernelFacts& facts, std::string_view key) {
    const auto text = facts.text(key);
    uint64_t value = 0;
    if (!text) return std::nullopt;
    const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), value, 16);
    return error == std::errc() && end == text->data() + text->size() ? std::optional(value) : std::nullopt;
}

// swapper_pg_dir lies in the kernel's image.
std::unique_ptr<Translator> kernel_translator(const PhysicalMemory& memory, const KernelFacts& facts) {
    const auto top = facts.symbol("swapper_pg_dir");
    if (!top)
        throw Error("cannot find the kernel's page tables: the dump has no SYMBOL(swapper_pg_dir) in its vmcoreinfo; give its vmlinux");
    const auto physical = hexadecimal(facts, "KERNELOFFPHYS"), offset = hexadecimal(facts, "KERNELOFFSET");
    const PhysicalAddress root{physical && offset ? *top - *offset + *physical : *top};
    PageTableLayout layout = layout_of(type_of_table(memory, root));
    layout.decode = decode_kernel;
    return make_translator(memory, layout, root);
}

// One to one until Linux 6.9.
std::optional<uint64_t> direct_map(const KernelFacts& facts) { return hexadecimal(facts, "IDENTITYBASE").value_or(0); }

std::unique_ptr<Translator> user_translator(const PhysicalMemory& memory, const KernelFacts&, PhysicalAddress root) {
    PageTableLayout layout = layout_of(type_of_table(memory, root));
    layout.decode = decode_user;
    return make_translator(memory, layout, root);
}

// What stands at the same place in the entry of a page and of a segment.
std::string describe_entry(const KernelFacts&, uint64_t entry) {
    std::string text;
    if (entry & page_protected) text = "PROTECTION";
    if (entry & no_execute) text += text.empty() ? "NOEXEC" : "|NOEXEC";
    return text.empty() ? "no bits set" : text;
}

// Type in bits 6:2, offset in bits 63:12 (arch/s390/include/asm/pgtable.h: mk_swap_pte).
SwapEntry swap_entry(const KernelFacts&, uint64_t entry) { return {static_cast<unsigned>(entry >> 2 & 0x1f), entry >> 12}; }

bool canonical(uint64_t) { return true; }
bool kernel_address(uint64_t) { return true; } // every number may be one; -u says otherwise

// DWARF numbers: general 0-15, floating point 16-31, control 32-47, access 48-63.
enum : unsigned { r6 = 6, r11 = 11, r14 = 14, r15 = 15, psw_mask = 64, psw_address = 65 };

constexpr uint64_t problem_state = 0x0001000000000000, dat_on = 0x0400000000000000, must_be_zero = 0xb808007e7fffffff;
bool user_mode(const Registers& registers) { return registers.get(psw_mask).value_or(0) & problem_state; }

constexpr unsigned callee_saved[] = {r6, 7, 8, 9, 10, r11, 12, 13};

constexpr const char* general_names[] = {"R0", "R1", "R2", "R3", "R4", "R5", "R6", "R7", "R8", "R9", "R10", "R11", "R12", "R13", "R14", "R15"};

// The PSW and the 16 general registers stand together, in a note and in struct pt_regs alike.
constexpr std::array<SavedRegister, 18> saved_at(unsigned offset) {
    std::array<SavedRegister, 18> saved{{{"PSWM", psw_mask, offset}, {"PSWA", psw_address, offset + 8}}};
    for (unsigned i = 0; i < 16; ++i) saved[i + 2] = {general_names[i], i, offset + 16 + i * 8};
    return saved;
}

constexpr auto prstatus = saved_at(112); // pr_reg in struct elf_prstatus
constexpr auto pt_regs = saved_at(8);    // behind args[1]

constexpr const char* register_lines[] = {
    " PSW:  {PSWM:016x} {PSWA:016x} (user space)",
    " GPRS: {R0:016x} {R1:016x} {R2:016x} {R3:016x}",
    "       {R4:016x} {R5:016x} {R6:016x} {R7:016x}",
    "       {R8:016x} {R9:016x} {R10:016x} {R11:016x}",
    "       {R12:016x} {R13:016x} {R14:016x} {R15:016x}",
};
constexpr const char* kernel_register_lines[] = {
    " PSW:  {PSWM:016x} {PSWA:016x} ({exception}+{offset})", "| PSW:  {PSWM:016x} {PSWA:016x} (unknown)",
    register_lines[1], register_lines[2], register_lines[3], register_lines[4],
};

// brasl: c0 x5 and the distance in halfwords from this instruction.
std::optional<uint64_t> call_target(std::span<const std::byte> code, uint64_t return_address) {
    if (code.size() < 6 || code[0] != std::byte{0xc0} || (code[1] & std::byte{0x0f}) != std::byte{0x05}) return std::nullopt;
    const int64_t distance = sign_extend(load<uint32_t>(code.data() + 2, ByteOrder::big), 32) * 2;
    return return_address - 6 + static_cast<uint64_t>(distance);
}

// The machine's rules for a PSW, and what Linux runs with: translation on, 64-bit addressing, an even address.
bool plausible(const Registers& registers, uint64_t) {
    constexpr uint64_t wide = 0x0000000180000000;
    const uint64_t mask = registers.get(psw_mask).value_or(0), pc = registers.get(psw_address).value_or(0), sp = registers.get(r15).value_or(0);
    if ((mask & wide) != wide || !(mask & dat_on) || mask & must_be_zero) return false;
    return pc && !(pc & 1) && sp && !(sp & 7);
}

// The lowcore has the physical address of the note (struct lowcore: vmcore_info, in the first CPU's prefix area and in absolute
// zero alike). Before it is set, the word holds an offset with bit 0 set.
std::string find_vmcoreinfo(const PhysicalMemory& memory) {
    constexpr PhysicalAddress pointer{0xe0c};
    constexpr std::string_view name("VMCOREINFO\0", 11);
    constexpr size_t most = 64 << 10; // bytes of text
    std::byte bytes[24];
    if (memory.try_read(pointer, std::span(bytes, 8)) != Fault::none) return {};
    const PhysicalAddress note{load<uint64_t>(bytes, ByteOrder::big)};
    if (note.value & 1 || note.value == 0 || memory.try_read(note, bytes) != Fault::none) return {};
    const uint32_t name_size = load<uint32_t>(bytes, ByteOrder::big), size = load<uint32_t>(bytes + 4, ByteOrder::big);
    if (name_size != name.size() || size > most || std::memcmp(bytes + 12, name.data(), name.size()) != 0) return {};
    std::string text(size, '\0');
    if (memory.try_read(note + sizeof bytes, std::as_writable_bytes(std::span(text))) != Fault::none) return {};
    return text;
}

constexpr Relocation relocations[] = {
    {R_390_NONE, Relocation::Kind::none},
    {R_390_64, Relocation::Kind::absolute, 8},
    {R_390_32, Relocation::Kind::absolute, 4},
    {R_390_PC32, Relocation::Kind::relative, 4},
    {R_390_PC64, Relocation::Kind::relative, 8},
};

} // namespace

extern const Architecture arch_s390x;
const Architecture arch_s390x = {
    .name = "s390x",
    .elf_machine = EM_S390,
    .order = ByteOrder::big,
    .word_size = 8,
    .code = {.name = "s390:64-bit"},
    .pc = psw_address,
    .sp = r15,
    .fp = r11,
    .lr = r14,
    .callee_saved = callee_saved,
    .prstatus = prstatus,
    .prstatus_size = 336,
    .pt_regs = pt_regs,
    .pt_regs_size = 160,
    .register_lines = register_lines,
    .kernel_register_lines = kernel_register_lines,
    .plausible = plausible,
    .call_size = 6,
    .call_target = call_target,
    .moved_from = 0,
    .canonical = canonical,
    .kernel_address = kernel_address,
    .user_mode = user_mode,
    .kernel_translator = kernel_translator,
    .user_translator = user_translator,
    .walk_lines = {.step = "{level:>5}: {address} => {entry}", .virtual_addresses = true},
    .direct_map = direct_map,
    .describe_entry = describe_entry,
    .swap_entry = swap_entry,
    .relocations = relocations,
    .find_vmcoreinfo = find_vmcoreinfo,
};

} // namespace kcrash
