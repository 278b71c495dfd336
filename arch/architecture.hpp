// SPDX-License-Identifier: GPL-3.0-or-later
// An architecture is one const record of facts and functions.
//
// To add one, `name` being that of the kernel's folder or of utsname:
//   arch/<name>.cpp                one `const Architecture`: page tables as numbers plus an entry decoder, register layouts,
//                                  relocations, how crash prints them; and a line in arch/architectures.cpp
//   kernel/stack/stack_<name>.cpp  one `const StackMachine` (kernel/stack/machine.hpp): which stacks there are, where a task that
//                                  sleeps goes on, how frames are chained; and a line in kernel/stack/machines.cpp
//   core/dump/machines.cpp         its names, where they are missing
//   tests/unit/arch/               walks over tables written as text, for every layout; a machine in vmcore-samples/lib/machines.sh
//                                  and a recipe for a real dump, over which the truth tests run
// Nothing else may ask which architecture it is: a fact that is missing belongs into one of the two records.
#pragma once
#include "arch/code_machine.hpp"
#include "arch/registers.hpp"
#include "arch/relocation.hpp"
#include "core/bytes.hpp"
#include "core/memory/address_space.hpp"
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace kcrash {

// How an arch asks for facts about this kernel; the target answers from vmcoreinfo and symbols.
struct KernelFacts {
    virtual ~KernelFacts() = default;
    virtual std::optional<uint64_t> number(std::string_view name) const = 0;   // vmcoreinfo NUMBER(name)
    virtual std::optional<uint64_t> symbol(std::string_view name) const = 0;   // run-time (relocated) address
    virtual std::optional<uint64_t> option(std::string_view name) const = 0;   // -m name=value of the command line
    virtual std::span<const Note> notes() const = 0;
    virtual std::optional<std::string_view> text(std::string_view) const { return std::nullopt; } // vmcoreinfo's, by key
    virtual uint64_t page_size() const { return 4096; }                                           // bytes, of the dump
};

// The kernel's release as a number: "6.1.0-56-cloud-arm64" is 601; 0: unknown. For what leaves no trace in types or symbols, as where a swap
// entry has its type.
unsigned release_of(const KernelFacts& facts);

constexpr unsigned no_register = ~0u;

// Where a register lies in a block of saved registers, and the number it has in Registers.
struct SavedRegister {
    const char* name;  // "RIP", as crash prints it
    unsigned number;   // in Registers
    unsigned offset;   // bytes from the start of the block
    unsigned size = 0; // bytes; 0: a word
};

// A field of a system register that the kernel says in its vmcoreinfo; no dump has the register itself.
struct ToldField {
    const char* reg;      // "TCR_EL1"
    const char* field;    // "T1SZ"
    unsigned first, bits; // where it lies
    const char* number;   // of vmcoreinfo
};

// Where a page went that is in swap: which of the swap areas, and the page's place in it (in pages).
struct SwapEntry {
    unsigned type;
    uint64_t offset;
};

// How vtop tells a walk, as crash does on this architecture: layouts of the report. A line that is null is not printed.
struct WalkLines {
    const char* kernel_top = "PAGE DIRECTORY: {address}"; // the kernel's top table
    const char* user_top = "PAGE DIRECTORY: {address}";   // a process's
    const char* kernel_first = nullptr;                   // the first step of a kernel address, in place of `step`
    const char* step = "{level:>6}: {address} => {entry}";
    bool virtual_addresses = false; // tables have the addresses of the direct map, not physical ones
};

struct Architecture {
    const char* name;                              // "x86_64": as the files are called
    uint16_t elf_machine;                          // EM_* of elf.h
    ByteOrder order;
    unsigned word_size;                            // bytes
    CodeMachine code;                              // for the disassembler
    unsigned pc, sp, fp;                           // register numbers
    unsigned lr = no_register;                     // the register that a call leaves the return address in
    unsigned syscall = no_register;                // the number of a system call, where the kernel keeps it beside the registers
    std::span<const unsigned> callee_saved;        // registers that a called function leaves as they were
    std::span<const SavedRegister> prstatus;       // in the description of an NT_PRSTATUS note (whole note, not pr_reg)
    size_t prstatus_size;                          // bytes of that description
    // A kernel of 32 bits may run in a machine of 64, and a hypervisor's notes are the machine's. Bytes 0: there is no such machine.
    std::span<const SavedRegister> wide_prstatus = {};
    size_t wide_prstatus_size = 0;
    std::span<const SavedRegister> pt_regs;        // in struct pt_regs
    size_t pt_regs_size;                           // bytes
    std::span<const ToldField> told_fields = {};
    // How crash prints saved registers, as layouts of the report: a user's, and those of an interrupted kernel, which has the
    // names of code too: {exception}+{offset} of pc, {caller}+{caller_offset} of lr. A line is left out when a field of it
    // is not known; one that begins with '|' stands in for the line before it then. No kernel_register_lines: the same as a user's.
    std::span<const char* const> register_lines, kernel_register_lines = {};
    // Why the kernel saved these, in crash's words, as {cause} for the lines; null: the registers do not tell. Null: they never do.
    const char* (*cause)(const Registers& registers) = nullptr;
    // Could these be registers that the processor saved? For searching a stack for them. kernel_begin: as below; 0: as usual.
    bool (*plausible)(const Registers& registers, uint64_t kernel_begin);
    bool user_frame_at_end = false;                // registers of a process lie at the very end of its task's stack, nowhere else
    unsigned call_size = 0;                        // bytes of a direct call; 0: calls are not recognised
    // What the direct call in these bytes calls, when it returns to this address; nothing when it is none.
    std::optional<uint64_t> (*call_target)(std::span<const std::byte> code, uint64_t return_address) = nullptr;
    unsigned shown_before_return = 0;              // bytes: crash shows an address this much before a return address
    // Bits that are set in every address of the kernel's code, but not where a return address was signed. Null: none are signed.
    uint64_t (*signature_bits)(const KernelFacts&) = nullptr;
    uint64_t moved_from = uint64_t{1} << 63;       // the lowest linked address that KASLR moves: the kernel's half
    bool (*canonical)(uint64_t address);
    bool (*kernel_address)(uint64_t address);      // in the kernel's half, where that usually is
    // Where the kernel's half begins, if that was chosen when the kernel was built (CONFIG_VMSPLIT). Null: it is the same for all.
    std::optional<uint64_t> (*kernel_begin)(const PhysicalMemory&, const KernelFacts&) = nullptr;
    bool (*user_mode)(const Registers& registers); // were these registers saved in user mode?
    // The kernel's page tables. Throws Error naming the fact that is missing.
    std::unique_ptr<Translator> (*kernel_translator)(const PhysicalMemory&, const KernelFacts&);
    // A process's, from the physical address of its top table (mm->pgd).
    std::unique_ptr<Translator> (*user_translator)(const PhysicalMemory&, const KernelFacts&, PhysicalAddress root);
    WalkLines walk_lines = {};
    // Where physical address 0 lies, or would lie, in the kernel's direct map; arithmetic modulo 2^64. Null or nothing: it is found
    // by other means.
    std::optional<uint64_t> (*direct_map)(const KernelFacts&) = nullptr;
    // The page frame whose struct page is the first of NUMBER(VMEMMAP_START), modulo 2^64. Null: frame 0.
    std::optional<uint64_t> (*vmemmap_frame)(const KernelFacts&) = nullptr;
    // The words that describe a last-level entry, as crash prints them: "PRESENT|RW|USER".
    std::string (*describe_entry)(const KernelFacts&, uint64_t entry);
    // An entry that a walk ended at with Fault::swapped.
    SwapEntry (*swap_entry)(const KernelFacts&, uint64_t entry);
    std::span<const Relocation> relocations = {}; // those that occur in debug sections
    // The text of vmcoreinfo, from where the kernel left it in memory, for a dump that has no note of it; empty when it is not there.
    // Never throws. Null: the kernel leaves no pointer at a known place.
    std::string (*find_vmcoreinfo)(const PhysicalMemory&) = nullptr;
};

std::span<const Architecture* const> architectures();
const Architecture* find_architecture(uint16_t elf_machine, ByteOrder order, unsigned word_size); // null: unknown
// What an NT_PRSTATUS note whose description has so many bytes holds: the architecture's own registers, or those of the 64-bit machine that
// its kernel ran in. Empty: too short for either, or of another machine.
std::span<const SavedRegister> registers_of_note(const Architecture& arch, size_t bytes);
// For a dump that does not say of which machine it is, or says it wrongly: QEMU calls some "Unknown", and all POWER machines
// big-endian. The architecture whose NT_PRSTATUS notes have the size of the dump's and its byte order; or, where no byte order
// fits, whose saved registers make sense. Null: none does, or more than one.
const Architecture* architecture_of_notes(std::span<const Note> notes, const DumpInfo& info);

} // namespace kcrash
