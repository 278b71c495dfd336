// SPDX-License-Identifier: GPL-3.0-or-later
// Opening a target, step by step. Nothing that grows with memory or with the debug information is read here.
//
//   dump files -> Dump -> vmcoreinfo -+-> KASLR offset --> symbols (vmlinux + cache, or the dump's kallsyms)
//   vmlinux ---------> build-id ------+                       |
//   PhysicalMemory + Architecture + symbols -> kernel AddressSpace -> types (BTF) -> modules
#include "kernel/target_open.hpp"
#include "core/dump/machines.hpp"
#include "core/dump/raw.hpp"
#include "core/error.hpp"
#include "kernel/modules.hpp"
#include "kernel/own_note.hpp"
#include "symbols/debug_files.hpp"
#include "symbols/kernel_file.hpp"
#include <bit>
#include <charconv>
#include <fmt/format.h>

namespace kcrash {

std::optional<std::string> path_of_dump(const TargetOptions& options) {
    const std::string& dump = options.dump_files.front();
    if (dump.find("://") != std::string::npos || is_raw_list(dump)) return std::nullopt;
    return dump;
}

uint64_t kernel_page_size(const VmcoreInfo& info, const Dump& dump) {
    const uint64_t stored = dump.info().page_size;
    const std::string_view text = info.value("PAGESIZE").value_or("");
    uint64_t told = 0;
    const auto parsed = std::from_chars(text.data(), text.data() + text.size(), told);
    constexpr uint64_t least = 4096, most = 65536;
    const bool possible = parsed.ec == std::errc{} && std::has_single_bit(told) && told >= least && told <= most;
    return possible ? told : stored;
}

struct Target::Opening {
    Target& t;
    TargetFacts* facts = nullptr;
    std::shared_ptr<const SymbolTable> table;
    FoundFile searched;                    // for vmlinux, when none was given
    std::optional<uint64_t> banner_offset = std::nullopt; // KASLR's, where the kernel was found without VMCOREINFO
    std::optional<OwnNote> own_note = std::nullopt;

    void dump() {
        t.dump_ = open_dump(t.options_.dump_files);
        t.vmcoreinfo_ = VmcoreInfo(t.dump_->vmcoreinfo());
        for (const std::string& warning : t.dump_->info().warnings) t.warnings_.push_back(warning);
        auto made = std::make_unique<TargetFacts>(t.vmcoreinfo_, *t.dump_, t.options_);
        facts = made.get();
        t.facts_ = std::move(made);
        t.physical_ = std::make_unique<PhysicalMemory>(*t.dump_);
        t.physical_->set_page_size(kernel_page_size(t.vmcoreinfo_, *t.dump_));
        t.physical_->set_zero_excluded(t.options_.zero_excluded);
        own_note.emplace(*t.physical_);
    }

    // No vmlinux was given: one that lies where debug files lie is better than the dump's own symbols.
    void search_vmlinux() {
        const std::string id(t.vmcoreinfo_.value("BUILD-ID").value_or("")), release(t.vmcoreinfo_.value("OSRELEASE").value_or(""));
        searched = find_kernel_file({id, release, path_of_dump(t.options_).value_or(""), t.options_.debug_directories}, t.options_.progress);
        t.options_.vmlinux = searched.path;
    }

    std::string advice() const { return search_advice(searched, std::string(t.vmcoreinfo_.value("OSRELEASE").value_or(""))); }

    void vmlinux() {
        if (t.options_.vmlinux.empty()) search_vmlinux();
        if (!t.options_.vmlinux.empty()) t.elf_ = ElfFile::open(t.options_.vmlinux, t.options_.progress);
        const DumpInfo& info = t.dump_->info();
        const uint16_t machine = t.elf_ ? t.elf_->machine() : info.elf_machine;
        const ByteOrder order = t.elf_ ? t.elf_->order() : info.order;
        const unsigned word = t.elf_ ? t.elf_->word_size() : info.word_size;
        t.arch_ = find_architecture(machine, order, word);
        if (!t.arch_ && !t.elf_) t.arch_ = own_note->architecture();
        if (!t.arch_) {
            std::string known;
            for (const Architecture* arch : architectures()) known += fmt::format(" {}", arch->name);
            throw Error(fmt::format("{}: the dump is of an architecture that is not supported (ELF machine {}{}); supported are:{}",
                                    t.options_.dump_files.front(), machine,
                                    info.machine.empty() ? "" : ", " + info.machine, known));
        }
        const auto narrow = info.machine_of_processor ? kernel_of_32_bits(info.elf_machine) : std::nullopt;
        if (t.elf_ && info.elf_machine && info.elf_machine != machine && !(narrow && narrow->elf_machine == machine))
            throw Error(fmt::format("{} and {} are of different architectures (ELF machines {} and {})", t.options_.vmlinux,
                                    t.options_.dump_files.front(), machine, info.elf_machine));
    }

    // QEMU's dumps of many machines have no such note.
    void vmcoreinfo() {
        if (t.vmcoreinfo_.empty()) search_vmcoreinfo();
        if (t.dump_->info().page_size_assumed && !t.vmcoreinfo_.value("PAGESIZE"))
            t.warnings_.push_back(fmt::format("{}: no VMCOREINFO that tells the page size; 4096 bytes are assumed", t.options_.dump_files.front()));
    }

    void search_vmcoreinfo() {
        t.vmcoreinfo_ = own_note->pointed_at(*t.arch_);
        if (t.vmcoreinfo_.empty() && !opens_without_note()) {
            t.vmcoreinfo_ = own_note->searched();
            if (own_note->cut() && t.vmcoreinfo_.empty())
                t.warnings_.push_back(fmt::format("{}: VMCOREINFO was not found in the {} GB of memory that were searched",
                                                  t.options_.dump_files.front(), NoteSearch().most >> 30));
        }
        t.physical_->set_page_size(kernel_page_size(t.vmcoreinfo_, *t.dump_));
    }

    // Is all known that VMCOREINFO would tell: KASLR's offset, the page size, where the page tables are?
    bool opens_without_note() {
        if (!t.elf_ || !has_one_page_size(t.arch_->elf_machine)) return false;
        if (!t.options_.kaslr) return (banner_offset = offset_of_banner()).has_value();
        const auto moved = cached_symbols(*t.elf_, Slide{*t.options_.kaslr, t.arch_->moved_from}, t.options_.use_cache);
        facts->set_symbols(moved.get());
        bool found = true;
        try {
            (void)t.arch_->kernel_translator(*t.physical_, *facts);
        } catch (const Error&) { found = false; }
        facts->set_symbols(nullptr);
        return found;
    }

    void check_build_id() {
        if (!t.elf_) return;
        const auto told = t.vmcoreinfo_.value("BUILD-ID");
        if (!told) return;
        const std::string ours = hex(t.elf_->build_id());
        if (ours == *told) return;
        const std::string message =
            fmt::format("{} and {} do not match: build-id {} and {}", t.options_.vmlinux, t.options_.dump_files.front(),
                        ours.empty() ? "(none)" : ours, *told);
        if (!t.options_.force)
            throw Error(fmt::format("{}; the dump is of kernel {}; find its vmlinux, or use --force to open all the same", message,
                                    t.vmcoreinfo_.value("OSRELEASE").value_or("(unknown)")));
        t.warnings_.push_back(message + ": opened because of --force");
    }

    // KASLR: the difference of run-time and link addresses.
    void kernel_offset() {
        if (t.options_.kaslr) t.kernel_offset_ = *t.options_.kaslr;
        else if (auto told = t.vmcoreinfo_.kernel_offset()) t.kernel_offset_ = *told;
        else if (auto stext = t.vmcoreinfo_.symbol("_stext"); stext && t.elf_) {
            const auto linked = cached_symbols(*t.elf_, 0, t.options_.use_cache);
            const auto found = linked->find("_stext");
            if (!found.empty()) t.kernel_offset_ = *stext - linked->at(found.front()).address;
        } else if (banner_offset) t.kernel_offset_ = *banner_offset;
        else if (t.vmcoreinfo_.empty())
            t.warnings_.push_back("the dump has no VMCOREINFO and the kernel's banner was not found: KASLR is taken to be off; give --kaslr if it was on");
    }

    // A dump without VMCOREINFO (sadump, Xen's, QEMU's of a guest that did not offer it): the kernel is where its banner is. The page
    // tables are known from control registers then. KASLR moves by whole large pages, and by a gigabyte at most.
    std::optional<uint64_t> offset_of_banner() const {
        if (!t.elf_) return std::nullopt;
        constexpr uint64_t step = uint64_t{2} << 20, limit = uint64_t{1} << 30;
        constexpr std::string_view begin = "Linux version ";
        const auto linked = cached_symbols(*t.elf_, 0, t.options_.use_cache);
        const auto banner = linked->find("linux_banner");
        if (banner.empty()) return std::nullopt;
        try {
            const AddressSpace space(*t.physical_, t.arch_->kernel_translator(*t.physical_, *t.facts_), t.arch_->order, "kernel virtual");
            for (uint64_t offset = 0; offset < limit; offset += step) {
                char text[begin.size()];
                const VirtualAddress at(linked->at(banner.front()).address + offset);
                if (space.try_read(at, std::as_writable_bytes(std::span(text))) != Fault::none) continue;
                if (std::string_view(text, sizeof(text)) == begin) return offset;
            }
        } catch (const Error&) {} // no page tables without VMCOREINFO: whoever needs them says so
        return std::nullopt;
    }

    void memory() {
        if (t.elf_) {
            table = cached_symbols(*t.elf_, t.slide(), t.options_.use_cache);
            if (table->size() == 0) {
                const FoundFile half = find_debug_half(*t.elf_, t.options_.debug_directories, &t.options_.progress);
                if (half.path.empty())
                    throw Error(fmt::format("{}: has no symbols (stripped?); give the vmlinux with debug information; {}", t.options_.vmlinux,
                                            search_advice(half, std::string(t.vmcoreinfo_.value("OSRELEASE").value_or("")))));
                table = cached_symbols(*ElfFile::open(half.path), t.slide(), t.options_.use_cache);
            }
            facts->set_symbols(table.get());
        }
        t.kernel_ = std::make_unique<AddressSpace>(*t.physical_, t.arch_->kernel_translator(*t.physical_, *t.facts_), t.arch_->order,
                                                   "kernel virtual");
        if (t.arch_->kernel_begin) t.kernel_begin_ = t.arch_->kernel_begin(*t.physical_, *t.facts_).value_or(0);
        if (table) return;
        table = read_kallsyms(*t.kernel_, t.vmcoreinfo_, *t.facts_, t.arch_->word_size);
        if (!table || table->size() == 0)
            throw Error(fmt::format("{}: the dump does not say where its symbols are (kernels before 6.0); give its vmlinux; {}",
                                    t.options_.dump_files.front(), advice()));
        facts->set_symbols(table.get());
    }

    // Does what the dump says of itself stand where the symbols say? Catches a wrong KASLR offset and a wrong vmlinux.
    void check_release() {
        t.symbols_ = std::make_shared<Symbols>(table, std::vector<LoadedModule>{});
        const auto banner = t.symbols_->address("linux_banner");
        const auto release = t.vmcoreinfo_.value("OSRELEASE");
        if (!banner || !release) return;
        std::string text;
        try {
            text = t.kernel_->string(VirtualAddress{*banner}, 512, "linux_banner");
        } catch (const MemoryError& error) {
            t.warnings_.push_back(error.what());
            return;
        }
        if (text.find(*release) != std::string::npos) return;
        const std::string message = fmt::format("linux_banner at 0x{:x} does not name the kernel of the dump, {}", *banner, *release);
        if (!t.options_.force) throw Error(message + ": wrong vmlinux or wrong --kaslr; use --force to open all the same");
        t.warnings_.push_back(message);
    }

    void types() {
        std::vector<std::shared_ptr<const TypeSource>> sources;
        try {
            if (auto btf = kernel_btf()) sources.push_back(btf);
        } catch (const Error& error) {
            t.warnings_.push_back(fmt::format("BTF of the kernel cannot be used: {}", error.what()));
        }
        if (!sources.empty()) {
            t.lazy_->kernel_btf = sources.front();
            t.lazy_->btf_types = std::make_shared<Types>(sources);
        }
        if (t.elf_) sources.push_back(make_dwarf_types(t, !sources.empty()));
        if (sources.empty())
            throw Error(fmt::format("the dump carries no types (no BTF); give the vmlinux with debug information; {}", advice()));
        t.types_ = std::make_shared<Types>(std::move(sources));
    }

    std::shared_ptr<const TypeSource> kernel_btf() {
        if (t.elf_) {
            const ElfSection* section = t.elf_->section(".BTF");
            if (section && section->size) return open_btf(t.elf_->data(*section), nullptr, "BTF of vmlinux");
        }
        const auto begin = t.symbols_->address("__start_BTF"), end = t.symbols_->address("__stop_BTF");
        constexpr uint64_t most = uint64_t{256} << 20;
        if (!begin || !end || *end <= *begin || *end - *begin > most) return nullptr;
        auto& bytes = t.lazy_->owned_bytes.emplace_back(*end - *begin);
        t.kernel_->read(VirtualAddress{*begin}, bytes, "BTF of the kernel");
        return open_btf(bytes, nullptr, "BTF of the dump");
    }

    void modules() {
        if (!t.options_.load_modules) return;
        std::vector<std::string> said;
        std::vector<LoadedModule> found = read_modules(t, said);
        t.warnings_.insert(t.warnings_.end(), said.begin(), said.end());
        t.symbols_ = std::make_shared<Symbols>(table, std::move(found));
    }
};

std::unique_ptr<Target> Target::open(const TargetOptions& options) {
    std::unique_ptr<Target> target(new Target);
    target->options_ = options;
    target->lazy_ = std::make_unique<Lazy>();
    Opening step{*target, nullptr, nullptr, {}};
    step.dump();
    step.vmlinux();
    step.vmcoreinfo();
    step.check_build_id();
    step.kernel_offset();
    step.memory();
    step.check_release();
    step.types();
    step.modules();
    return target;
}

std::unique_ptr<AddressSpace> Target::user_space(PhysicalAddress root) const {
    return std::make_unique<AddressSpace>(*physical_, arch_->user_translator(*physical_, *facts_, root), arch_->order, "user virtual");
}

Target::~Target() = default;

} // namespace kcrash
