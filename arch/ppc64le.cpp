// SPDX-License-Identifier: GPL-3.0-or-later
// ppc64le: POWER servers, little-endian: the record, registers and code. Its page tables are in ppc64le_tables.cpp.
//
// The kernel is linked at 0xc000000000000000 and is not moved; a crash kernel runs where it was loaded, as its symbols say (KERNELOFFSET).
//
// Sources: Power ISA 3.0B; arch/powerpc/include/asm/ptrace.h; 64-bit ELF V2 ABI for Power (DWARF numbers).
#include "arch/ppc64le_tables.hpp"
#include <array>
#include <elf.h>

namespace kcrash {
namespace {

constexpr uint64_t bit(unsigned n) { return uint64_t{1} << n; }
constexpr uint64_t linear = ppc64le_linear, region = uint64_t{0xf} << 60;

std::optional<uint64_t> direct_map(const KernelFacts&) { return linear; }
bool canonical(uint64_t address) { return address < bit(52) || address >= linear; }
bool kernel_address(uint64_t address) { return address >= linear; }

// ---- code and registers

// Numbers of DWARF; what has none in the kernel's use of it: ours, from 80 on.
enum : unsigned { r1 = 1, r31 = 31, ccr = 64, lr = 65, ctr = 66, xer = 76, nip = 80, msr, orig_r3, softe, trap, dar, dsisr, result };

constexpr uint64_t sf = bit(63), pr = 0x4000, little_endian = 1;
bool user_mode(const Registers& registers) { return registers.get(msr).value_or(0) & pr; }

bool plausible(const Registers& registers, uint64_t) {
    const auto state = registers.get(msr), pc = registers.get(nip), sp = registers.get(r1);
    if (!state || !pc || !sp || !(*state & sf) || !(*state & little_endian) || *pc % 4 || *sp % 16 || !*pc || !*sp) return false;
    if (*state & pr) return *pc < bit(52) && *sp < bit(52);
    return (*pc & region) == linear && (*sp & region) == linear;
}

// The vector that was taken. The low bits are the kernel's own.
const char* cause(const Registers& registers) {
    static constexpr std::pair<uint64_t, const char*> names[] = {
        {0x100, "System Reset"},         {0x200, "Machine Check"},           {0x300, "Data Access"},           {0x380, "Data SLB Access"},
        {0x400, "Instruction Access"},   {0x480, "Instruction SLB Access"},  {0x500, "Hardware Interrupt"},    {0x600, "Alignment"},
        {0x700, "Program Check"},        {0x800, "FPU Unavailable"},         {0x900, "Decrementer"},           {0x980, "Hypervisor Decrementer"},
        {0xa00, "Doorbell"},             {0xc00, "System Call"},             {0xd00, "Single Step"},           {0xe40, "Emulation Assist"},
        {0xe60, "HMI"},                  {0xe80, "Hypervisor Doorbell"},     {0xf00, "Performance Monitor"},   {0xf20, "Altivec Unavailable"},
        {0xf40, "VSX Unavailable"},      {0x1300, "Instruction Breakpoint"}, {0x1500, "Denormalisation"},      {0x1700, "Altivec Assist"},
        {0x3000, "System Call Vectored"}};
    const uint64_t vector = registers.get(trap).value_or(0) & ~uint64_t{0xf};
    for (const auto& [number, name] : names)
        if (number == vector) return name;
    return nullptr;
}

// bl: 18 in the first six bits, the distance, AA 0, LK 1.
std::optional<uint64_t> call_target(std::span<const std::byte> code, uint64_t return_address) {
    if (code.size() < 4) return std::nullopt;
    const auto instruction = load<uint32_t>(code.data(), ByteOrder::little);
    if ((instruction & 0xfc000003) != 0x48000001) return std::nullopt;
    return return_address - 4 + static_cast<uint64_t>(sign_extend(instruction & 0x03fffffc, 26));
}

constexpr unsigned callee_saved[] = {2, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, r31};

constexpr const char* general_names[] = {"R0",  "R1",  "R2",  "R3",  "R4",  "R5",  "R6",  "R7",  "R8",  "R9",  "R10", "R11", "R12", "R13", "R14", "R15",
                                         "R16", "R17", "R18", "R19", "R20", "R21", "R22", "R23", "R24", "R25", "R26", "R27", "R28", "R29", "R30", "R31"};

// struct user_pt_regs: in a note and in struct pt_regs alike.
constexpr std::array<SavedRegister, 44> saved_at(unsigned offset) {
    std::array<SavedRegister, 44> saved{};
    for (unsigned i = 0; i < 32; ++i) saved[i] = {general_names[i], i, offset + i * 8};
    constexpr std::pair<const char*, unsigned> others[] = {{"NIP", nip}, {"MSR", msr}, {"OR3", orig_r3},   {"CTR", ctr},   {"LR", lr},   {"XER", xer},
                                                           {"CCR", ccr}, {"MQ", softe}, {"TRAP", trap}, {"DAR", dar}, {"DSISR", dsisr}, {"RESULT", result}};
    for (unsigned i = 0; i < 12; ++i) saved[32 + i] = {others[i].first, others[i].second, offset + (32 + i) * 8};
    return saved;
}
constexpr auto prstatus = saved_at(112); // pr_reg in struct elf_prstatus
constexpr auto pt_regs = saved_at(0);

#define GENERAL                                                                                                                          \
    " R0:  {R0:016x}    R1:  {R1:016x}    R2:  {R2:016x}   ", " R3:  {R3:016x}    R4:  {R4:016x}    R5:  {R5:016x}   ",                   \
        " R6:  {R6:016x}    R7:  {R7:016x}    R8:  {R8:016x}   ", " R9:  {R9:016x}    R10: {R10:016x}    R11: {R11:016x}   ",             \
        " R12: {R12:016x}    R13: {R13:016x}    R14: {R14:016x}   ", " R15: {R15:016x}    R16: {R16:016x}    R17: {R17:016x}   ",          \
        " R18: {R18:016x}    R19: {R19:016x}    R20: {R20:016x}   ", " R21: {R21:016x}    R22: {R22:016x}    R23: {R23:016x}   ",          \
        " R24: {R24:016x}    R25: {R25:016x}    R26: {R26:016x}   ", " R27: {R27:016x}    R28: {R28:016x}    R29: {R29:016x}   ",          \
        " R30: {R30:016x}    R31: {R31:016x}   ", " NIP: {NIP:016x}    MSR: {MSR:016x}    OR3: {OR3:016x}",                                \
        " CTR: {CTR:016x}    LR:  {LR:016x}    XER: {XER:016x}", " CCR: {CCR:016x}    MQ:  {MQ:016x}    DAR: {DAR:016x}",                  \
        " DSISR: {DSISR:016x}     Syscall Result: {RESULT:016x}"
constexpr const char* register_lines[] = {" {cause} [{TRAP:x}] exception frame:", GENERAL};
constexpr const char* kernel_register_lines[] = {" {cause} [{TRAP:x}] exception frame:", GENERAL, " [NIP  : {exception}+{offset}]", " [LR   : {caller}+{caller_offset}]"};
#undef GENERAL

constexpr Relocation relocations[] = {
    {R_PPC64_NONE, Relocation::Kind::none},
    {R_PPC64_ADDR64, Relocation::Kind::absolute, 8},
    {R_PPC64_ADDR32, Relocation::Kind::absolute, 4},
    {R_PPC64_REL64, Relocation::Kind::relative, 8},
    {R_PPC64_REL32, Relocation::Kind::relative, 4},
};

} // namespace

extern const Architecture arch_ppc64le;
const Architecture arch_ppc64le = {
    .name = "ppc64le",
    .elf_machine = EM_PPC64,
    .order = ByteOrder::little,
    .word_size = 8,
    .code = {.name = "powerpc:common64"},
    .pc = nip,
    .sp = r1,
    .fp = r31,
    .lr = lr,
    .callee_saved = callee_saved,
    .prstatus = prstatus,
    .prstatus_size = 504,
    .pt_regs = pt_regs,
    .pt_regs_size = 352,
    .register_lines = register_lines,
    .kernel_register_lines = kernel_register_lines,
    .cause = cause,
    .plausible = plausible,
    .call_size = 4,
    .call_target = call_target,
    .moved_from = linear,
    .canonical = canonical,
    .kernel_address = kernel_address,
    .user_mode = user_mode,
    .kernel_translator = ppc64le_kernel_translator,
    .user_translator = ppc64le_user_translator,
    .walk_lines = {.virtual_addresses = true},
    .direct_map = direct_map,
    .describe_entry = ppc64le_describe_entry,
    .swap_entry = ppc64le_swap_entry,
    .relocations = relocations,
};

} // namespace kcrash
