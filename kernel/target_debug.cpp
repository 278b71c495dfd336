// SPDX-License-Identifier: GPL-3.0-or-later
// What Target opens only when it is asked for: DWARF and unwind tables of the kernel and of modules.
#include "core/error.hpp"
#include "core/interrupt.hpp"
#include "kernel/target_open.hpp"
#include "symbols/debug_files.hpp"
#include <fmt/format.h>

namespace kcrash {

DebugInfo* Target::kernel_debug_info() const {
    std::lock_guard guard(lazy_->lock);
    if (lazy_->kernel_dwarf_tried) return lazy_->kernel_dwarf.get();
    if (!elf_) return nullptr;
    std::shared_ptr<const ElfFile> file = elf_;
    const bool split = !file->has_dwarf();
    const FoundFile half = split ? find_debug_half(*elf_, options_.debug_directories, &options_.progress) : FoundFile(); // Ctrl-C ends it: asked again
    lazy_->kernel_dwarf_tried = true;
    if (split) {
        if (half.path.empty()) return nullptr;
        file = ElfFile::open(half.path, options_.progress);
    }
    lazy_->kernel_dwarf = open_dwarf(file, *arch_, slide(), nullptr, lazy_->btf_types, options_.use_cache, options_.progress);
    return lazy_->kernel_dwarf.get();
}

DebugInfo* Target::debug_info(uint64_t address) const {
    const LoadedModule* module = symbols().module_of(address);
    if (!module) return kernel_debug_info();
    std::lock_guard guard(lazy_->lock);
    const auto known = lazy_->module_dwarf.find(module->name);
    if (known != lazy_->module_dwarf.end()) return known->second.get();
    std::shared_ptr<DebugInfo>& slot = lazy_->module_dwarf[module->name]; // null from here on if a file cannot be read
    try {
        const auto file = open_module_dwarf(*module);
        if (file && file->has_dwarf()) slot = open_dwarf(file, *arch_, slide(), module, lazy_->btf_types);
    } catch (const Interrupted&) {
        lazy_->module_dwarf.erase(module->name); // the next one asks again
        throw;
    }
    return slot.get();
}

// A file that the user loaded may have its debug half on a server; for others nobody waits for a network.
std::shared_ptr<const ElfFile> Target::open_module_dwarf(const LoadedModule& module) const {
    std::shared_ptr<const ElfFile> file;
    if (!module.object_file.empty()) file = ElfFile::open(module.object_file);
    if (file && !file->has_dwarf()) {
        const FoundFile half = find_debug_half(*file, options_.debug_directories, &options_.progress);
        file = half.path.empty() ? nullptr : ElfFile::open(half.path);
    }
    if (file) return file;
    const std::string path = find_module_object(module).path;
    return path.empty() ? nullptr : ElfFile::open(path);
}

namespace {

// Where a module keeps its ORC tables: module.arch (arch/x86/include/asm/module.h).
std::optional<OrcRange> module_orc_range(const Target& target, const LoadedModule& module) {
    const Object arch = target.object("struct module", module.address)["arch"];
    if (!arch.has("orc_unwind_ip")) return std::nullopt;
    const uint64_t count = arch["num_orcs"].u64(), ip = arch["orc_unwind_ip"].u64();
    if (count == 0 || count > (uint64_t{1} << 24)) return std::nullopt;
    OrcRange range{ip, ip + count * 4, arch["orc_unwind"].u64(), ~uint64_t{0}, 0};
    for (const auto& part : module.ranges) {
        if (part.kind != 't' && part.kind != 'i') continue;
        range.text_begin = std::min(range.text_begin, part.begin);
        range.text_end = std::max(range.text_end, part.end);
    }
    return range;
}

} // namespace

std::optional<UnwindRow> Target::orc(uint64_t address) const {
    const LoadedModule* module = symbols().module_of(address);
    UnwindTable* table = nullptr;
    {
        std::lock_guard guard(lazy_->lock);
        if (module) {
            auto [it, fresh] = lazy_->module_orc.try_emplace(module->address);
            if (fresh) try {
                if (auto range = module_orc_range(*this, *module))
                    it->second = open_orc(*kernel_, *range, nullptr, 0, lazy_->kernel_btf.get(), *arch_);
            } catch (const Error&) {
                it->second = nullptr; // no rules for this module: the unwinder says so with its name
            }
            table = it->second.get();
        } else {
            if (!lazy_->kernel_orc_tried) {
                lazy_->kernel_orc_tried = true;
                const auto ip = symbol_address("__start_orc_unwind_ip"), end = symbol_address("__stop_orc_unwind_ip"),
                           entries = symbol_address("__start_orc_unwind"), text = symbol_address("_stext"),
                           text_end = symbol_address("_einittext") ? symbol_address("_einittext") : symbol_address("_etext");
                if (ip && end && entries && text && text_end)
                    lazy_->kernel_orc = open_orc(*kernel_, {*ip, *end, *entries, *text, *text_end}, elf_.get(), kernel_offset_,
                                                 lazy_->kernel_btf.get(), *arch_);
            }
            table = lazy_->kernel_orc.get();
        }
    }
    return table ? table->find(address) : std::nullopt;
}

std::optional<UnwindRow> Target::cfi(uint64_t address) const {
    DebugInfo* info = debug_info(address);
    if (!info) return std::nullopt;
    const auto table = info->cfi();
    return table ? table->find(address) : std::nullopt;
}

namespace {

// With BTF in the kernel, a struct that BTF does not have does not exist: DWARF is not asked, which would cost its index.
class DwarfTypes final : public TypeSource {
public:
    DwarfTypes(const Target& target, bool kernel_has_btf) : target_(target), has_btf_(kernel_has_btf) {}
    const Type* find(TypeKind kind, std::string_view name) const override {
        return has_btf_ ? nullptr : ask([&](const TypeSource& s) { return s.find(kind, name); });
    }
    const Type* of_variable(std::string_view name) const override {
        return ask([&](const TypeSource& s) { return s.of_variable(name); });
    }
    const Type* of_function(std::string_view name) const override {
        return ask([&](const TypeSource& s) { return s.of_function(name); });
    }
    void each(const std::function<bool(const Type&)>& visit) const override {
        if (auto source = types(); source && !has_btf_) source->each(visit);
    }
    std::optional<int64_t> enumerator(std::string_view name) const override {
        const auto source = has_btf_ ? nullptr : types();
        return source ? source->enumerator(name) : std::nullopt;
    }
    std::string_view source() const override { return "DWARF"; }

private:
    std::shared_ptr<const TypeSource> types() const {
        DebugInfo* info = target_.kernel_debug_info();
        return info ? info->types() : nullptr;
    }
    template <typename F> const Type* ask(F question) const {
        const auto source = types();
        return source ? question(*source) : nullptr;
    }
    const Target& target_;
    bool has_btf_;
};

} // namespace

std::shared_ptr<const TypeSource> make_dwarf_types(const Target& target, bool kernel_has_btf) {
    return std::make_shared<DwarfTypes>(target, kernel_has_btf);
}

} // namespace kcrash
