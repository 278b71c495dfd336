// SPDX-License-Identifier: GPL-3.0-or-later
// What Target keeps for later: opened when first asked for, once, under a lock.
#pragma once
#include "kernel/target.hpp"
#include "symbols/debug_files.hpp"
#include "symbols/elf_file.hpp"
#include "symbols/sources.hpp"
#include <map>
#include <mutex>
#include <set>

namespace kcrash {

struct Target::Lazy {
    std::recursive_mutex lock;
    bool kernel_dwarf_tried = false;
    std::shared_ptr<DebugInfo> kernel_dwarf;
    std::map<std::string, std::shared_ptr<DebugInfo>, std::less<>> module_dwarf; // by module name; null: none found
    std::unique_ptr<ModuleFinder> module_finder;                 // made when the first module's file is searched
    bool kernel_orc_tried = false;
    std::unique_ptr<UnwindTable> kernel_orc;
    std::map<uint64_t, std::unique_ptr<UnwindTable>> module_orc; // by address of struct module
    std::optional<std::vector<std::unique_ptr<UnwindTable>>> ehabi; // the kernel's and all modules'; nothing: not asked for yet
    std::vector<std::vector<std::byte>> owned_bytes;             // BTF read from the dump
    std::shared_ptr<const TypeSource> kernel_btf;                // null: the kernel has none
    std::shared_ptr<const Types> btf_types;                      // BTF alone, for DWARF to share types with; null: none
    bool cpus_read = false;
    std::vector<unsigned> possible, present, online;
    std::vector<uint64_t> cpu_offsets;
    uint64_t per_cpu_begin = 0, per_cpu_end = 0;
};

// The first file of the dump; nothing: it lies behind a network, or is a list of memory's parts.
std::optional<std::string> path_of_dump(const TargetOptions& options);

// Bytes of the kernel's pages: what vmcoreinfo says if that is possible, else the size of the dump's.
uint64_t kernel_page_size(const VmcoreInfo& info, const Dump& dump);

// The answers for an architecture: vmcoreinfo first, then the symbol table.
class TargetFacts final : public KernelFacts {
public:
    TargetFacts(const VmcoreInfo& info, const Dump& dump, const TargetOptions& options)
        : info_(info), dump_(dump), options_(options) {}
    void set_symbols(const SymbolTable* table) { table_ = table; }
    std::optional<uint64_t> number(std::string_view name) const override { return info_.number(name); }
    std::optional<uint64_t> symbol(std::string_view name) const override {
        if (auto told = info_.symbol(name)) return told;
        if (!table_) return std::nullopt;
        const auto found = table_->find(name);
        if (found.empty()) return std::nullopt;
        return table_->at(found.front()).address;
    }
    std::optional<uint64_t> option(std::string_view name) const override {
        const auto it = options_.machine.find(name);
        if (it == options_.machine.end()) return std::nullopt;
        return it->second;
    }
    std::span<const Note> notes() const override { return dump_.notes(); }
    std::optional<std::string_view> text(std::string_view key) const override { return info_.value(key); }
    uint64_t page_size() const override { return kernel_page_size(info_, dump_); }

private:
    const VmcoreInfo& info_;
    const Dump& dump_;
    const TargetOptions& options_;
    const SymbolTable* table_ = nullptr;
};

// DWARF as the last source of types: opened only for what BTF cannot answer, variables' types above all.
std::shared_ptr<const TypeSource> make_dwarf_types(const Target& target, bool kernel_has_btf);

} // namespace kcrash
