// SPDX-License-Identifier: GPL-3.0-or-later
// Names of addresses: vmlinux's symbols, the dump's kallsyms, the modules'.
#pragma once
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace kcrash {

// KASLR: how far the kernel runs from where it was linked, and from which linked address on (Architecture::moved_from): what is
// below has addresses of its own, the per-cpu symbols of x86_64.
struct Slide {
    Slide() = default;
    Slide(uint64_t bytes, uint64_t first = uint64_t{1} << 63) : by(bytes), from(first) {}
    uint64_t to_run_time(uint64_t linked) const { return linked >= from ? linked + by : linked; }
    uint64_t to_linked(uint64_t run_time) const { return run_time - by >= from && (run_time >= from || from == 0) ? run_time - by : run_time; }
    uint64_t by = 0; // bytes, modulo 2^64
    uint64_t from = uint64_t{1} << 63;
};

// Addresses are run-time ones: KASLR and module load addresses are already in.
struct Symbol {
    uint64_t address = 0;
    uint64_t size = 0;         // bytes; 0: not told, reaches to the next symbol
    std::string_view name;     // lives as long as the table
    char type = '?';           // as nm prints it: T t D d B b R r A V W ...
};

// One file's (or one module's) symbols, sorted by address. Immutable; safe from many threads.
// Implementations decide how they are kept (built from ELF, from kallsyms, or mapped from the index cache).
class SymbolTable {
public:
    virtual ~SymbolTable() = default;
    virtual size_t size() const = 0;
    virtual Symbol at(size_t index) const = 0;                         // ascending addresses; equal ones keep the file's order
    virtual size_t first_above(uint64_t address) const = 0;            // index of the first symbol with address > `address`
    virtual std::vector<size_t> find(std::string_view name) const = 0; // all of that name, ascending
    virtual std::string_view source() const = 0;                       // "vmlinux", "kallsyms", "nfs.ko.debug": for mod and messages
};

// A module as the dump has it.
struct LoadedModule {
    std::string name;
    uint64_t address = 0;                           // of its struct module
    struct Range { uint64_t begin, end; char kind; std::string_view name = {}; }; // run-time addresses; kind 't' text 'd' data 'r' rodata 'i' init
                                                    // text; name "RO_AFTER_INIT", empty where a module is one piece
    std::vector<Range> ranges;
    uint64_t base = 0;                              // start of its core text, as mod prints it
    uint64_t size = 0;                              // bytes of core, as mod prints it
    std::vector<std::byte> build_id;                // empty: unknown
    struct Section { std::string name; uint64_t address, size = 0; }; // size: bytes; 0: not told, before a file is loaded
    std::vector<Section> sections;                  // from sect_attrs; empty when the kernel does not keep them
    uint64_t percpu = 0, percpu_size = 0;           // module.percpu: run-time base and bytes
    uint64_t taints = 0;                            // bits
    std::shared_ptr<const SymbolTable> symbols;     // never null once gathered; may be empty
    std::shared_ptr<const SymbolTable> own_symbols; // those that the dump has: what `symbols` was before an object file was loaded
    std::string object_file;                        // loaded .ko or .ko.debug; empty: symbols come from the dump's kallsyms
    bool list_sections = false;                     // mod -g: sym -m shows where sections start and end
};

// A symbol with the module it is from; module is null for the kernel proper.
struct SymbolMatch {
    Symbol symbol;
    const LoadedModule* module = nullptr;
    uint64_t offset = 0; // bytes from the symbol's start, for look-ups by address
};

// An immutable snapshot of all names. Loading a module's symbols makes a new one. Safe from many threads.
class Symbols {
public:
    Symbols(std::shared_ptr<const SymbolTable> kernel, std::vector<LoadedModule> modules);
    const SymbolTable& kernel() const { return *kernel_; }
    std::shared_ptr<const SymbolTable> kernel_table() const { return kernel_; }
    const std::vector<LoadedModule>& modules() const { return modules_; }

    std::optional<SymbolMatch> find(std::string_view name) const;     // the kernel's first, then modules in list order
    std::vector<SymbolMatch> find_all(std::string_view name) const;
    // The symbol whose bytes contain the address. Of aliases: a global (T, D) before a local one, else the first.
    // Nothing outside of kernel and module ranges.
    std::optional<SymbolMatch> containing(uint64_t address) const;
    const LoadedModule* module_of(uint64_t address) const;            // null: not in a module
    bool is_text(uint64_t address) const;                             // in kernel or module text
    std::optional<uint64_t> address(std::string_view name) const;     // find().address
    // "schedule+68" or "schedule"; empty when there is none. With module: "nfs_open+4 [nfs]".
    std::string describe(uint64_t address, bool with_module = true) const;

private:
    std::shared_ptr<const SymbolTable> kernel_;
    std::vector<LoadedModule> modules_;
    std::vector<std::pair<LoadedModule::Range, const LoadedModule*>> ranges_; // sorted by begin
    uint64_t kernel_begin_ = 0, kernel_end_ = 0, text_begin_ = 0, text_end_ = 0, init_begin_ = 0, init_end_ = 0;
};

} // namespace kcrash
