// SPDX-License-Identifier: GPL-3.0-or-later
// An architecture is one const record of facts and functions.
//
// To add one: write arch/<name>.cpp with one `const Architecture` (page tables as numbers plus an entry decoder,
// register layouts), name it in arch/architectures.cpp, add page-walk fixtures and a sample.
#pragma once
#include "arch/registers.hpp"
#include "core/bytes.hpp"
#include "core/memory/address_space.hpp"
#include <memory>
#include <optional>
#include <span>
#include <string_view>

namespace kcrash {

// How an arch asks for facts about this kernel; the target answers from vmcoreinfo and symbols.
struct KernelFacts {
    virtual ~KernelFacts() = default;
    virtual std::optional<uint64_t> number(std::string_view name) const = 0;   // vmcoreinfo NUMBER(name)
    virtual std::optional<uint64_t> symbol(std::string_view name) const = 0;   // run-time (relocated) address
    virtual std::optional<uint64_t> option(std::string_view name) const = 0;   // -m name=value of the command line
    virtual std::span<const Note> notes() const = 0;
};

// Where a register lies in a block of saved registers, and the number it has in Registers.
struct SavedRegister {
    const char* name;  // "RIP", as crash prints it
    unsigned number;   // in Registers
    unsigned offset;   // bytes from the start of the block
    unsigned size = 0; // bytes; 0: a word
};

// Where a page went that is in swap: which of the swap areas, and the page's place in it (in pages).
struct SwapEntry {
    unsigned type;
    uint64_t offset;
};

struct Architecture {
    const char* name;                              // "x86_64": utsname.machine
    uint16_t elf_machine;                          // EM_* of elf.h
    ByteOrder order;
    unsigned word_size;                            // bytes
    unsigned pc, sp, fp;                           // register numbers
    std::span<const unsigned> callee_saved;        // registers that a called function leaves as they were
    std::span<const SavedRegister> prstatus;       // in the description of an NT_PRSTATUS note (whole note, not pr_reg)
    size_t prstatus_size;                          // bytes of that description
    std::span<const SavedRegister> pt_regs;        // in struct pt_regs
    size_t pt_regs_size;                           // bytes
    // How crash prints saved registers, as layouts of the report. A line is left out when a register of it is not known;
    // one that begins with '|' stands in for the line before it then.
    std::span<const char* const> register_lines;
    // Could these be registers that the processor saved? For searching a stack for them.
    bool (*plausible)(const Registers& registers);
    uint64_t kernel_map_base;                      // link address that phys_base belongs to (__START_KERNEL_map)
    bool (*canonical)(uint64_t address);
    bool (*kernel_address)(uint64_t address);      // in the kernel's half
    bool (*user_mode)(const Registers& registers); // were these registers saved in user mode?
    // The kernel's page tables. Throws Error naming the fact that is missing.
    std::unique_ptr<Translator> (*kernel_translator)(const PhysicalMemory&, const KernelFacts&);
    // A process's, from the physical address of its top table (mm->pgd).
    std::unique_ptr<Translator> (*user_translator)(const PhysicalMemory&, const KernelFacts&, PhysicalAddress root);
    // The words that describe a last-level entry, as crash prints them: "PRESENT|RW|USER".
    std::string (*describe_entry)(uint64_t entry);
    // An entry that a walk ended at with Fault::swapped.
    SwapEntry (*swap_entry)(uint64_t entry);
};

std::span<const Architecture* const> architectures();
const Architecture* find_architecture(uint16_t elf_machine, ByteOrder order, unsigned word_size); // null: unknown

} // namespace kcrash
