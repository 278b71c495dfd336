// SPDX-License-Identifier: GPL-3.0-or-later
// The dead kernel: memory, architecture, symbols, types. Read-only once opened, safe to read from many threads.
#pragma once
#include "arch/architecture.hpp"
#include "core/dump/dump.hpp"
#include "core/dump/vmcoreinfo.hpp"
#include "core/memory/address_space.hpp"
#include "core/memory/physical_memory.hpp"
#include "core/progress.hpp"
#include "kernel/object.hpp"
#include "symbols/debug_info.hpp"
#include "symbols/symbols.hpp"
#include "symbols/types.hpp"
#include "symbols/unwind.hpp"
#include <functional>
#include <map>
#include <mutex>
#include <vector>

namespace kcrash {

class ElfFile;       // symbols/elf_file.hpp
struct FoundFile;    // symbols/debug_files.hpp
struct ModuleSearch; // symbols/debug_files.hpp

// How to open. All paths are the user's words.
struct TargetOptions {
    std::vector<std::string> dump_files;
    std::string vmlinux;                           // empty: the dump's own kallsyms and BTF
    bool force = false;                            // open although vmlinux's build-id is not the dump's
    bool use_cache = true;                         // the index cache
    bool load_modules = true;
    bool zero_excluded = false;
    std::optional<uint64_t> kaslr;                 // --kaslr OFFSET, bytes
    std::map<std::string, uint64_t, std::less<>> machine; // -m name=value
    std::vector<std::string> module_directories;   // --mod
    std::vector<std::string> debug_directories;    // where debug files are searched, besides the usual places
    std::vector<std::string> source_directories;   // --src: where the kernel's source tree is
    ProgressMaker progress;                        // told of what takes long; empty: nobody
};

// Owns everything below it. Opening throws Error; what can be done without goes into warnings() instead.
class Target {
public:
    static std::unique_ptr<Target> open(const TargetOptions& options);
    ~Target();
    struct Lazy; // what is opened on first use: target_open.hpp

    const Dump& dump() const { return *dump_; }
    const VmcoreInfo& vmcoreinfo() const { return vmcoreinfo_; }
    const PhysicalMemory& physical() const { return *physical_; }
    PhysicalMemory& physical() { return *physical_; }
    const Architecture& arch() const { return *arch_; }
    const AddressSpace& kernel() const { return *kernel_; }
    std::unique_ptr<AddressSpace> user_space(PhysicalAddress root) const; // a process's, from its top table
    const KernelFacts& facts() const { return *facts_; }
    const TargetOptions& options() const { return options_; }
    void set_progress(ProgressMaker progress) { options_.progress = std::move(progress); } // who is told from now on
    // In the kernel's half? The other half is each process's own.
    bool kernel_address(uint64_t address) const { return kernel_begin_ ? address >= kernel_begin_ && arch_->canonical(address) : arch_->kernel_address(address); }
    uint64_t kernel_begin() const { return kernel_begin_; } // where the half begins, if that was chosen when the kernel was built; else 0
    uint64_t kernel_offset() const { return kernel_offset_; } // KASLR: run-time minus link address, bytes
    Slide slide() const { return {kernel_offset_, arch_->moved_from}; }
    const std::vector<std::string>& warnings() const { return warnings_; }
    const ElfFile* elf() const { return elf_.get(); } // vmlinux; null: none
    const std::string& vmlinux_path() const { return options_.vmlinux; }

    // Snapshots: a reference is good until the next load_module() call, which only happens between commands.
    const Symbols& symbols() const { return *symbols_; }
    const Types& types() const { return *types_; }
    // mod -s; empty object_file: search for it. LookupError, FileError
    void load_module(std::string_view name, const std::string& object_file, bool list_sections = false);
    void unload_module(std::string_view name);                               // mod -d
    ModuleSearch module_search() const; // --mod, debug folders, the folders of vmlinux and of the dump
    std::vector<std::string> source_search_path() const; // --src, the folder of vmlinux
    // fetch: from debuginfod too. Only who asks for a module's file waits for a network.
    FoundFile find_module_object(const LoadedModule& module, bool fetch = false) const;

    // DWARF of the file that covers the address (or of the kernel); null when there is none. Opened on first use.
    DebugInfo* debug_info(uint64_t address) const;
    DebugInfo* kernel_debug_info() const;
    // Unwind rules for an address, best first: ORC, then CFI, then ARM's tables, which hold at calls only. ORC and those of modules
    // come from the dump.
    std::optional<UnwindRow> orc(uint64_t address) const;
    std::optional<UnwindRow> cfi(uint64_t address) const;
    std::optional<UnwindRow> ehabi(uint64_t address) const;

    // ---- typed access
    Object object(std::string_view type, uint64_t address) const;  // LookupError for an unknown type
    Object object(const Type* type, uint64_t address) const { return {*this, type, address}; }
    // A variable with its type from debug info; `type` is used where none knows it (BTF has no types of most variables).
    Object variable(std::string_view name, std::string_view type = {}) const; // LookupError
    std::optional<Object> try_variable(std::string_view name, std::string_view type = {}) const;
    std::optional<uint64_t> symbol_address(std::string_view name) const { return symbols().address(name); }
    uint64_t require_symbol(std::string_view name) const;           // LookupError
    // Members for hot loops: names newest first. LookupError lists all of them.
    Member member(std::string_view type, std::initializer_list<std::string_view> names) const;
    std::optional<Member> try_member(std::string_view type, std::initializer_list<std::string_view> names) const;
    uint64_t size_of(std::string_view type) const;                  // bytes

    // ---- per-cpu (include/linux/percpu.h): offsets by CPU number; CPUs that the kernel knows as possible
    const std::vector<unsigned>& possible_cpus() const;
    const std::vector<unsigned>& present_cpus() const;
    const std::vector<unsigned>& online_cpus() const;
    uint64_t per_cpu_offset(unsigned cpu) const;                    // LookupError for a cpu beyond
    bool is_per_cpu_symbol(uint64_t address) const;                 // between __per_cpu_start and __per_cpu_end, or a module's
    Object per_cpu(const Object& variable, unsigned cpu) const;

private:
    Target() = default;
    struct Opening; // the steps of open(), target_open.cpp
    void replace_modules(std::vector<LoadedModule> modules, std::string_view changed);
    std::shared_ptr<const ElfFile> open_module_dwarf(const LoadedModule& module) const; // null: none is found
    TargetOptions options_;
    std::unique_ptr<Dump> dump_;
    VmcoreInfo vmcoreinfo_;
    std::unique_ptr<PhysicalMemory> physical_;
    const Architecture* arch_ = nullptr;
    std::unique_ptr<KernelFacts> facts_;
    std::unique_ptr<AddressSpace> kernel_;
    std::shared_ptr<ElfFile> elf_;
    std::shared_ptr<const Symbols> symbols_;
    std::shared_ptr<const Types> types_;
    uint64_t kernel_offset_ = 0, kernel_begin_ = 0;
    std::vector<std::string> warnings_;
    std::unique_ptr<Lazy> lazy_;
};

} // namespace kcrash
