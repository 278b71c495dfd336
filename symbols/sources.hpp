// SPDX-License-Identifier: GPL-3.0-or-later
// The ways to get names, types, rules and lines: each function is one file of this folder.
#pragma once
#include "arch/architecture.hpp"
#include "core/dump/vmcoreinfo.hpp"
#include "core/progress.hpp"
#include "symbols/debug_info.hpp"
#include "symbols/elf_file.hpp"
#include "symbols/symbols.hpp"
#include "symbols/types.hpp"
#include "symbols/unwind.hpp"

namespace kcrash {

// The index cache (keyed by build-id, size, a hash of the section table; and slide is applied on look-up): the kernel's
// sorted symbols mapped from the cache folder. Builds and writes it when missing, if `write`. A damaged one is discarded.
std::shared_ptr<const SymbolTable> cached_symbols(const ElfFile& file, Slide slide, bool use_cache);

// The dump's own kallsyms (kernel/kallsyms.c), from vmcoreinfo (6.0+) or from the symbols given by `locate`.
// Null when the dump does not say where they are. MemoryError, CorruptError.
std::shared_ptr<const SymbolTable> read_kallsyms(const AddressSpace& kernel, const VmcoreInfo& info, const KernelFacts& facts, unsigned word_size);

// ORC (asm/orc_types.h of x86 and loongarch). ip and entry tables as bytes in memory, or as an address range of the dump.
// x86's layout (6.1, 6.3, 6.4, 7.1) is told by the tables' own content, never by a release.
struct OrcRange {
    uint64_t ip_begin, ip_end;       // run-time address of .orc_unwind_ip (int32 each, relative to itself)
    uint64_t entry_begin;            // of .orc_unwind, same count
    uint64_t text_begin, text_end;   // what the table covers
};
// read: target memory. fallback bytes may be given from vmlinux for a kernel whose pages are excluded. Null: there is no such table.
std::unique_ptr<UnwindTable> open_orc(const AddressSpace& kernel, const OrcRange& range, const ElfFile* vmlinux, uint64_t slide,
                                      const TypeSource* types, const Architecture& arch);

// DWARF through libdw. For a module: its run-time section addresses. FileError.
std::unique_ptr<DebugInfo> open_dwarf(std::shared_ptr<const ElfFile> file, const Architecture& arch, Slide slide,
                                      const LoadedModule* module, std::shared_ptr<const Types> kernel_types, bool use_cache = true,
                                      const ProgressMaker& progress = {});

} // namespace kcrash
