// SPDX-License-Identifier: GPL-3.0-or-later
// Look-ups over the kernel's and the modules' names.
#include "symbols/symbols.hpp"
#include <algorithm>
#include <cctype>
#include <fmt/format.h>

namespace kcrash {
namespace {

// How far back a symbol is looked for whose bytes reach over smaller ones inside it.
constexpr size_t enclosing_limit = 64;

bool is_global(char type) { return std::isupper(static_cast<unsigned char>(type)) != 0; }

// Does `a` name an address better than `b`, which stands before it at the same address? A symbol with a size is a function or
// an object, one without is mostly a mark of the linker script (_stext, __start_rodata).
bool better(const Symbol& a, const Symbol& b) {
    if ((a.size != 0) != (b.size != 0)) return a.size != 0;
    return is_global(a.type) && !is_global(b.type);
}

// The assembler's own names, which modules of riscv64 and loongarch64 keep by the thousand: the kernel passes over them too
// (is_mapping_symbol() of include/linux/module_symbol.h).
bool names_nothing(std::string_view name) { return name.starts_with(".L") || name == "L0\1"; }

std::optional<Symbol> containing_in(const SymbolTable& table, uint64_t address, uint64_t end) {
    constexpr size_t most_marks = 1 << 16; // in one function
    const size_t above = table.first_above(address);
    if (above == 0) return std::nullopt;
    const uint64_t next = above < table.size() ? std::min(table.at(above).address, end) : end;
    bool nearest = true;
    for (size_t i = above, steps = 0, marks = 0; i-- > 0 && steps < enclosing_limit && marks < most_marks;) {
        std::optional<Symbol> best;
        bool named = false;
        const uint64_t start = table.at(i).address;
        for (size_t j = i;; --j) { // the aliases at `start`, last to first
            const Symbol symbol = table.at(j);
            if (symbol.address != start) break;
            const bool mark = names_nothing(symbol.name);
            named |= !mark;
            const bool covers = !mark && (symbol.size ? address - start < symbol.size : nearest && address < next);
            if (covers && (!best || !better(*best, symbol))) best = symbol;
            i = j;
            if (j == 0) break;
        }
        if (best) return best;
        nearest &= !named;
        ++(named ? steps : marks);
    }
    return std::nullopt;
}

} // namespace

Symbols::Symbols(std::shared_ptr<const SymbolTable> kernel, std::vector<LoadedModule> modules)
    : kernel_(std::move(kernel)), modules_(std::move(modules)) {
    const auto first = [&](std::initializer_list<std::string_view> names) -> uint64_t {
        for (const std::string_view name : names) {
            const auto found = kernel_->find(name);
            if (!found.empty()) return kernel_->at(found.front()).address;
        }
        return 0;
    };
    text_begin_ = first({"_stext", "_text"});
    text_end_ = first({"_etext"});
    init_begin_ = first({"_sinittext"});
    init_end_ = first({"_einittext"});
    kernel_begin_ = first({"_text", "_stext"});
    kernel_end_ = first({"_end", "__bss_stop", "_etext"});
    if (kernel_begin_ && text_begin_ > kernel_begin_) kernel_begin_ = std::min(kernel_begin_, text_begin_);
    for (const LoadedModule& module : modules_)
        for (const LoadedModule::Range& range : module.ranges)
            if (range.begin < range.end) ranges_.emplace_back(range, &module);
    std::sort(ranges_.begin(), ranges_.end(), [](const auto& a, const auto& b) { return a.first.begin < b.first.begin; });
}

std::optional<SymbolMatch> Symbols::find(std::string_view name) const {
    const auto in_kernel = kernel_->find(name);
    if (!in_kernel.empty()) return SymbolMatch{kernel_->at(in_kernel.front()), nullptr, 0};
    for (const LoadedModule& module : modules_) {
        if (!module.symbols) continue;
        const auto found = module.symbols->find(name);
        if (!found.empty()) return SymbolMatch{module.symbols->at(found.front()), &module, 0};
    }
    return std::nullopt;
}

std::vector<SymbolMatch> Symbols::find_all(std::string_view name) const {
    std::vector<SymbolMatch> matches;
    for (const size_t i : kernel_->find(name)) matches.push_back({kernel_->at(i), nullptr, 0});
    for (const LoadedModule& module : modules_)
        if (module.symbols)
            for (const size_t i : module.symbols->find(name)) matches.push_back({module.symbols->at(i), &module, 0});
    return matches;
}

std::optional<SymbolMatch> Symbols::containing(uint64_t address) const {
    std::optional<Symbol> symbol;
    const LoadedModule* module = nullptr;
    if (address >= kernel_begin_ && address < kernel_end_) {
        symbol = containing_in(*kernel_, address, kernel_end_);
    } else if ((module = module_of(address)) != nullptr && module->symbols) {
        for (const LoadedModule::Range& range : module->ranges) {
            if (address < range.begin || address >= range.end) continue;
            symbol = containing_in(*module->symbols, address, range.end);
            if (symbol && symbol->address < range.begin) symbol.reset(); // text does not reach into data
        }
    }
    if (!symbol) return std::nullopt;
    return SymbolMatch{*symbol, module, address - symbol->address};
}

const LoadedModule* Symbols::module_of(uint64_t address) const {
    const auto above =
        std::upper_bound(ranges_.begin(), ranges_.end(), address, [](uint64_t value, const auto& entry) { return value < entry.first.begin; });
    if (above == ranges_.begin()) return nullptr;
    const auto& [range, module] = *std::prev(above);
    return address < range.end ? module : nullptr;
}

bool Symbols::is_text(uint64_t address) const {
    if (address >= text_begin_ && address < text_end_) return true;
    if (address >= init_begin_ && address < init_end_) return true;
    const auto above =
        std::upper_bound(ranges_.begin(), ranges_.end(), address, [](uint64_t value, const auto& entry) { return value < entry.first.begin; });
    if (above == ranges_.begin()) return false;
    const LoadedModule::Range& range = std::prev(above)->first;
    return address < range.end && (range.kind == 't' || range.kind == 'i');
}

std::optional<uint64_t> Symbols::address(std::string_view name) const {
    const auto match = find(name);
    return match ? std::optional(match->symbol.address) : std::nullopt;
}

std::string Symbols::describe(uint64_t address, bool with_module) const {
    const auto match = containing(address);
    if (!match) return {};
    std::string text(match->symbol.name);
    if (match->offset) text += fmt::format("+{}", match->offset);
    if (with_module && match->module) text += fmt::format(" [{}]", match->module->name);
    return text;
}

} // namespace kcrash
