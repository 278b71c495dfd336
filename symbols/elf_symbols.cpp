// SPDX-License-Identifier: GPL-3.0-or-later
// The symbols of an ELF file: .symtab, with the letters of nm.
#include "symbols/elf_file.hpp"
#include "symbols/elf_symbols.hpp"
#include "core/error.hpp"
#include <algorithm>
#include <cctype>
#include <elf.h>
#include <fmt/format.h>

namespace kcrash {
namespace {

struct ElfSymbol {
    uint64_t value, size;
    uint32_t name, section;
    uint8_t kind, binding; // STT_*, STB_*
};

// The letter of a section's symbols, in lower case.
char section_letter(const ElfSection& section) {
    if (section.flags & SHF_EXECINSTR) return 't';
    if (section.type == SHT_NOBITS) return 'b';
    if (!(section.flags & SHF_ALLOC)) return section.name.starts_with(".debug") ? 'N' : 'n';
    return section.flags & SHF_WRITE ? 'd' : 'r';
}

char letter(const ElfSymbol& symbol, const std::vector<char>& section_letters) {
    if (symbol.kind == STT_GNU_IFUNC) return 'i';
    if (symbol.binding == STB_WEAK) return symbol.kind == STT_OBJECT ? 'V' : 'W';
    if (symbol.binding == STB_GNU_UNIQUE) return 'u';
    char c = '?';
    if (symbol.section == SHN_ABS) c = 'a';
    else if (symbol.section == SHN_COMMON) c = 'c';
    else if (symbol.section < section_letters.size()) c = section_letters[symbol.section];
    return symbol.binding == STB_GLOBAL && c != 'N' ? static_cast<char>(std::toupper(c)) : c;
}

// The parts of a symbol table that are needed, checked against the file.
struct RawTable {
    std::span<const std::byte> symbols, strings, extended;
    uint64_t entry_size = 0;
};

RawTable find_table(const ElfFile& file) {
    RawTable raw;
    raw.entry_size = file.word_size() == 8 ? sizeof(Elf64_Sym) : sizeof(Elf32_Sym);
    const ElfSection *symbols = nullptr, *strings = file.section(".strtab");
    for (const ElfSection& section : file.sections()) {
        if (section.type == SHT_SYMTAB && !symbols) symbols = &section;
        if (section.type == SHT_SYMTAB_SHNDX) raw.extended = file.data(section);
    }
    if (!symbols || !strings || strings->type != SHT_STRTAB) return raw;
    raw.symbols = file.data(*symbols);
    raw.strings = file.data(*strings);
    return raw;
}

ElfSymbol load_symbol(const RawTable& raw, size_t index, ByteOrder order) {
    const std::byte* at = raw.symbols.data() + index * raw.entry_size;
    ElfSymbol symbol{};
    uint8_t info = 0;
    symbol.name = load<uint32_t>(at, order);
    if (raw.entry_size == sizeof(Elf64_Sym)) {
        info = load<uint8_t>(at + 4, order);
        symbol.section = load<uint16_t>(at + 6, order);
        symbol.value = load<uint64_t>(at + 8, order);
        symbol.size = load<uint64_t>(at + 16, order);
    } else {
        symbol.value = load<uint32_t>(at + 4, order);
        symbol.size = load<uint32_t>(at + 8, order);
        info = load<uint8_t>(at + 12, order);
        symbol.section = load<uint16_t>(at + 14, order);
    }
    if (symbol.section == SHN_XINDEX && raw.extended.size() >= (index + 1) * 4) symbol.section = load<uint32_t>(raw.extended.data() + index * 4, order);
    symbol.kind = info & 0xf;
    symbol.binding = info >> 4;
    return symbol;
}

// Calls visit(symbol, name, letter) for each symbol that names a place.
template <typename Visit> void each_symbol(const ElfFile& file, const RawTable& raw, Visit visit) {
    std::vector<char> letters;
    for (const ElfSection& section : file.sections()) letters.push_back(section_letter(section));
    const size_t count = raw.symbols.size() / raw.entry_size;
    for (size_t i = 1; i < count; ++i) {
        const ElfSymbol symbol = load_symbol(raw, i, file.order());
        if (symbol.kind == STT_SECTION || symbol.kind == STT_FILE || symbol.section == SHN_UNDEF || symbol.name >= raw.strings.size()) continue;
        const char* start = reinterpret_cast<const char*>(raw.strings.data()) + symbol.name;
        const std::string_view name(start, strnlen(start, raw.strings.size() - symbol.name));
        if (!is_mark(name)) visit(symbol, name, letter(symbol, letters));
    }
}

} // namespace

std::vector<std::byte> build_symbol_image(const ElfFile& file) {
    const RawTable raw = find_table(file);
    SymbolImageBuilder builder;
    builder.reserve(raw.symbols.size() / raw.entry_size, raw.strings.size() * 3 / 2);
    each_symbol(file, raw, [&](const ElfSymbol& symbol, std::string_view name, char type) { builder.add(symbol.value, symbol.size, name, type); });
    return builder.build();
}

bool is_mark(std::string_view name) { return name.empty() || name[0] == '$' || name.starts_with(".L"); }

std::string file_name(const std::string& path) { return path.substr(path.rfind('/') + 1); }

std::shared_ptr<const SymbolTable> read_symbols(const ElfFile& file, Slide slide) {
    return open_symbol_image(own_bytes(build_symbol_image(file)), slide, file_name(file.path()));
}

std::vector<uint64_t> section_addresses(const ElfFile& file, const LoadedModule& module) {
    const auto in_memory = [&](uint64_t address) {
        const auto holds = [&](const LoadedModule::Range& range) { return address >= range.begin && address <= range.end; };
        return std::any_of(module.ranges.begin(), module.ranges.end(), holds);
    };
    std::vector<uint64_t> addresses(file.sections().size());
    for (const ElfSection& section : file.sections()) {
        for (const LoadedModule::Section& loaded : module.sections)
            if (loaded.name == section.name && in_memory(loaded.address)) addresses[section.index] = loaded.address;
        if (section.name == ".data..percpu" && module.percpu) addresses[section.index] = module.percpu; // the kernel does not list it
    }
    return addresses;
}

std::shared_ptr<const SymbolTable> read_module_symbols(const ElfFile& file, const LoadedModule& module) {
    const std::vector<uint64_t> run_time = section_addresses(file, module);
    const RawTable raw = find_table(file);
    SymbolImageBuilder builder;
    each_symbol(file, raw, [&](const ElfSymbol& symbol, std::string_view name, char type) {
        if (symbol.section >= run_time.size() || !run_time[symbol.section]) return;
        builder.add(run_time[symbol.section] + symbol.value, symbol.size, name, type);
    });
    return open_symbol_image(own_bytes(builder.build()), 0, file_name(file.path()));
}

} // namespace kcrash
