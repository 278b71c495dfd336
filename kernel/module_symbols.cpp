// SPDX-License-Identifier: GPL-3.0-or-later
// A module's own symbols are read when first needed: a backtrace through three modules need not read those of a hundred.
#include "kernel/module_symbols.hpp"
#include "core/error.hpp"
#include "symbols/elf_symbols.hpp"
#include <algorithm>
#include <cctype>
#include <mutex>

namespace kcrash {
namespace {

constexpr uint64_t most_symbols = 1 << 20;
constexpr uint64_t longest_names = 64 << 20;
constexpr size_t longest_name = 512;

std::shared_ptr<const SymbolTable> empty_table() {
    SymbolImageBuilder builder;
    return open_symbol_image(own_bytes(builder.build()), 0, "kallsyms");
}

// Bytes from `at` on as far as they can be read, at most `size`.
std::vector<std::byte> read_while_readable(const AddressSpace& space, uint64_t at, uint64_t size, uint64_t page) {
    std::vector<std::byte> bytes;
    while (bytes.size() < size) {
        const uint64_t part = std::min(size - bytes.size(), page - (at + bytes.size()) % page);
        const size_t start = bytes.size();
        bytes.resize(start + part);
        if (space.try_read(VirtualAddress(at + start), std::span(bytes).subspan(start)) != Fault::none) {
            bytes.resize(start);
            break;
        }
    }
    return bytes;
}

class ModuleKallsyms final : public SymbolTable {
public:
    ModuleKallsyms(const Target& target, uint64_t kallsyms) : target_(target), kallsyms_(kallsyms) {}

    size_t size() const override { return table().size(); }
    Symbol at(size_t index) const override { return table().at(index); }
    size_t first_above(uint64_t address) const override { return table().first_above(address); }
    std::vector<size_t> find(std::string_view name) const override { return table().find(name); }
    std::string_view source() const override { return "kallsyms"; }

private:
    const SymbolTable& table() const {
        std::call_once(once_, [&] {
            try {
                table_ = read();
            } catch (const Interrupted&) {
                throw; // the next look-up tries again
            } catch (const Error&) {
                table_ = empty_table();
            }
        });
        return *table_;
    }

    std::shared_ptr<const SymbolTable> read() const {
        if (!kallsyms_) return empty_table();
        const AddressSpace& kernel = target_.kernel();
        const Object kallsyms = target_.object("struct mod_kallsyms", kallsyms_);
        const uint64_t count = kallsyms["num_symtab"].u64(), entry = target_.arch().word_size == 8 ? 24 : 16;
        if (count > most_symbols) return empty_table();
        const uint64_t symtab = kallsyms["symtab"].u64(), strtab = kallsyms["strtab"].u64();
        const uint64_t page = target_.physical().page_size();
        const auto symbols = read_while_readable(kernel, symtab, count * entry, page);
        const auto types = kallsyms.has("typetab") ? read_while_readable(kernel, kallsyms["typetab"].u64(), count, page) : std::vector<std::byte>{};
        uint64_t names_size = 0;
        for (size_t i = 0; (i + 1) * entry <= symbols.size(); ++i)
            names_size = std::max<uint64_t>(names_size, load<uint32_t>(symbols.data() + i * entry, kernel.order()) + longest_name);
        const auto names = read_while_readable(kernel, strtab, std::min(names_size, longest_names), page);
        return build(symbols, types, names, entry);
    }

    std::shared_ptr<const SymbolTable> build(const std::vector<std::byte>& symbols, const std::vector<std::byte>& types,
                                             const std::vector<std::byte>& names, uint64_t entry) const {
        SymbolImageBuilder builder;
        const ByteOrder order = target_.kernel().order();
        const bool wide = entry == 24;
        for (size_t i = 1; (i + 1) * entry <= symbols.size(); ++i) { // the first one is always empty
            const std::byte* at = symbols.data() + i * entry;
            const uint64_t name = load<uint32_t>(at, order);
            const uint64_t address = wide ? load<uint64_t>(at + 8, order) : load<uint32_t>(at + 4, order);
            const uint64_t size = wide ? load<uint64_t>(at + 16, order) : load<uint32_t>(at + 8, order);
            const uint64_t section = wide ? load<uint16_t>(at + 6, order) : load<uint16_t>(at + 14, order);
            const auto info = static_cast<unsigned>(at[wide ? 4 : 12]);
            char type = static_cast<char>(info);
            if (i < types.size()) { // a letter in lower case; binding and all are as the compiler wrote them
                type = static_cast<char>(types[i]);
                if (info >> 4 != 0) type = static_cast<char>(std::toupper(static_cast<unsigned char>(type)));
            }
            if (section == 0 || name >= names.size()) continue;
            const char* start = reinterpret_cast<const char*>(names.data()) + name;
            const std::string_view text(start, strnlen(start, std::min(names.size() - name, longest_name)));
            if (text.empty() || text[0] == '$') continue; // marks of code and data (ARM, RISC-V) name nothing
            builder.add(address, size, text, type > ' ' && type < 127 ? type : '?');
        }
        return open_symbol_image(own_bytes(builder.build()), 0, "kallsyms");
    }

    const Target& target_;
    uint64_t kallsyms_;
    mutable std::once_flag once_;
    mutable std::shared_ptr<const SymbolTable> table_;
};

} // namespace

std::shared_ptr<const SymbolTable> no_module_symbols() { return empty_table(); }

std::shared_ptr<const SymbolTable> read_module_kallsyms(const Target& target, uint64_t kallsyms) {
    return std::make_shared<ModuleKallsyms>(target, kallsyms);
}

} // namespace kcrash
