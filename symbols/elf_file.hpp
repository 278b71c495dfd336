// SPDX-License-Identifier: GPL-3.0-or-later
// An ELF file with symbols or debug information: vmlinux, a module, their .debug halves; compressed ones too.
#pragma once
#include "core/bytes.hpp"
#include "core/progress.hpp"
#include "symbols/symbols.hpp"
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace kcrash {

struct ElfSection {
    std::string name;
    uint64_t address = 0; // as linked
    uint64_t offset = 0;  // in the file, bytes
    uint64_t size = 0;    // bytes in the file (uncompressed by us on data())
    uint32_t type = 0;    // SHT_*
    uint64_t flags = 0;   // SHF_*
    size_t index = 0;
};

// Opens gzip, bzip2, xz and zstd files too: what is unpacked goes to the cache folder, or to memory.
// Everything returned lives as long as the file. Safe from many threads for what is const. FileError on damage.
class ElfFile {
public:
    static std::shared_ptr<ElfFile> open(const std::string& path, const ProgressMaker& progress = {}); // of unpacking
    virtual ~ElfFile() = default;
    virtual const std::string& path() const = 0;         // as the user named it
    virtual const std::string& readable_path() const = 0; // an uncompressed file on disk, for libdw: "/proc/self/fd/7" if in memory
    virtual uint16_t machine() const = 0;
    virtual ByteOrder order() const = 0;
    virtual unsigned word_size() const = 0;
    virtual bool relocatable() const = 0;                 // ET_REL: a module
    virtual const std::vector<ElfSection>& sections() const = 0;
    virtual const ElfSection* section(std::string_view name) const = 0; // null: none
    virtual std::span<const std::byte> data(const ElfSection& section) const = 0; // empty for SHT_NOBITS; relocations not applied
    virtual std::vector<std::byte> build_id() const = 0;  // empty: none
    virtual std::optional<std::string> debug_link() const = 0; // .gnu_debuglink's file name
    virtual bool has_dwarf() const = 0;
};

// Symbols of a linked file; `slide` is added to every address in the kernel's half (per-cpu and absolute ones stay).
std::shared_ptr<const SymbolTable> read_symbols(const ElfFile& file, Slide slide);
// Symbols of a relocatable module, at the run-time addresses of its sections.
std::shared_ptr<const SymbolTable> read_module_symbols(const ElfFile& file, const LoadedModule& module);

// Is this an ELF file that is not a core, or a compressed one? Never throws on content. Sorts the command line's arguments.
bool looks_like_vmlinux(const std::string& path);

std::string hex(std::span<const std::byte> bytes); // build-ids in messages

} // namespace kcrash
