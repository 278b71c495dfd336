// SPDX-License-Identifier: GPL-3.0-or-later
// Where the kernel keeps the unwind tables of 32-bit ARM: its own between two symbols, those of modules in the list unwind_tables.
#include "core/error.hpp"
#include "kernel/list.hpp"
#include "kernel/target_open.hpp"
#include "symbols/ehabi.hpp"

namespace kcrash {
namespace {

using Tables = std::vector<std::unique_ptr<UnwindTable>>;

void add_kernel_table(const Target& target, const ElfFile* vmlinux, Tables& tables) {
    const SymbolTable& symbols = target.symbols().kernel();
    const auto address = [&](const char* name) -> std::optional<uint64_t> {
        const auto found = symbols.find(name);
        return found.empty() ? std::nullopt : std::optional(symbols.at(found.front()).address);
    };
    const auto begin = address("__start_unwind_idx"), end = address("__stop_unwind_idx"), text = address("_stext"), text_end = address("_etext");
    if (!begin || !end || !text || !text_end) return;
    if (auto table = open_ehabi(target.kernel(), {*begin, *end, *text, *text_end}, vmlinux, target.kernel_offset())) tables.push_back(std::move(table));
}

// struct unwind_table of arch/arm/include/asm/unwind.h: a module has one for each of its sections of code.
void add_module_tables(const Target& target, Tables& tables) {
    const auto head = target.symbol_address("unwind_tables");
    const auto start = target.try_member("unwind_table", {"start"}), stop = target.try_member("unwind_table", {"stop"});
    const auto begin = target.try_member("unwind_table", {"begin_addr"}), end = target.try_member("unwind_table", {"end_addr"});
    const auto list = target.try_member("unwind_table", {"list"});
    if (!head || !start || !stop || !begin || !end || !list) return;
    walk_list(target.kernel(), target.arch().word_size, *head, [&](uint64_t node) {
        const uint64_t at = node - list->offset;
        EhabiRange range{};
        const bool whole = start->load(target.kernel(), at, range.index_begin) == Fault::none && stop->load(target.kernel(), at, range.index_end) == Fault::none &&
                           begin->load(target.kernel(), at, range.text_begin) == Fault::none && end->load(target.kernel(), at, range.text_end) == Fault::none;
        if (auto table = whole ? open_ehabi(target.kernel(), range, nullptr, 0) : nullptr) tables.push_back(std::move(table));
        return true;
    });
}

} // namespace

std::optional<UnwindRow> Target::ehabi(uint64_t address) const {
    {
        std::lock_guard guard(lazy_->lock);
        if (!lazy_->ehabi) {
            lazy_->ehabi.emplace();
            add_kernel_table(*this, elf_.get(), *lazy_->ehabi);
            if (!lazy_->ehabi->empty()) add_module_tables(*this, *lazy_->ehabi);
        }
    }
    for (const auto& table : *lazy_->ehabi)
        if (auto row = table->find(address)) return row;
    return std::nullopt;
}

} // namespace kcrash
