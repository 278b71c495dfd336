// SPDX-License-Identifier: GPL-3.0-or-later
// One file's DWARF behind libdw, with run-time addresses: the ground that lines, variables, types and CFI stand on.
#pragma once
#include "arch/architecture.hpp"
#include "symbols/elf_file.hpp"
#include "symbols/symbols.hpp"
#include <elfutils/libdw.h>
#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

namespace kcrash {

// libdw 0.188 loses entries when two threads use one handle: whoever calls anything of libdw holds lock().
// "File addresses" are those that stand in the DWARF: link addresses of vmlinux; of a module, whose DWARF is relocated in
// memory when it is opened, run-time addresses already.
class DwarfFile {
public:
    // FileError when libdw cannot read it or when the file's relocations are not known.
    DwarfFile(std::shared_ptr<const ElfFile> file, const Architecture& arch, Slide slide, const LoadedModule* module);
    ~DwarfFile();
    DwarfFile(const DwarfFile&) = delete;
    DwarfFile& operator=(const DwarfFile&) = delete;

    std::recursive_mutex& lock() const { return lock_; }
    Dwarf* dwarf() const { return dwarf_; }
    const ElfFile& file() const { return *file_; }
    const Architecture& arch() const { return arch_; }
    uint64_t to_file(uint64_t run_time) const { return slide_.to_linked(run_time); }
    uint64_t to_run_time(uint64_t address) const { return slide_.to_run_time(address); }
    // A section's bytes as libdw sees them: uncompressed and relocated. Empty when there is none. Stays.
    std::span<const std::byte> section(std::string_view name) const;

    // ---- under lock()
    // The unit whose code covers a file address; false: none.
    bool unit_at(uint64_t pc, Dwarf_Die& unit) const;
    // The entries around a file address, outermost first: the function, then its blocks and inlined calls. Empty: no function.
    std::vector<Dwarf_Die> scopes_at(uint64_t pc) const;

private:
    struct Function { uint64_t begin, end; Dwarf_Off entry; };
    struct UnitRange { uint64_t begin, end; Dwarf_Off entry; };
    void open_elf();
    void close();
    void enter_units() const;
    void list_units() const;
    const std::vector<Function>& functions_of(Dwarf_Die& unit) const;

    std::shared_ptr<const ElfFile> file_;
    const Architecture& arch_;
    Slide slide_;
    int fd_ = -1;
    std::span<std::byte> mapped_; // the file, when libelf works on our own mapping of it
    Elf* elf_ = nullptr;
    Dwarf* dwarf_ = nullptr;
    mutable std::recursive_mutex lock_;
    mutable bool units_entered_ = false, units_listed_ = false;
    mutable std::vector<UnitRange> units_; // by begin; made when .debug_aranges does not answer
    mutable std::unordered_map<Dwarf_Off, std::vector<Function>> functions_; // of the units that were asked for, by begin
};

// The string of an attribute, through abstract origins; empty: none.
std::string_view dwarf_name(Dwarf_Die& entry);
// Calls visit for each direct child until it returns false. Bounded.
template <typename Visit> void each_child(Dwarf_Die& parent, Visit visit) {
    Dwarf_Die child;
    if (dwarf_child(&parent, &child) != 0) return;
    for (size_t n = 0; n < (size_t{1} << 24); ++n) {
        if (!visit(child)) return;
        Dwarf_Die next;
        if (dwarf_siblingof(&child, &next) != 0) return;
        child = next;
    }
}

} // namespace kcrash
