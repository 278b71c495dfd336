// SPDX-License-Identifier: GPL-3.0-or-later
// Only what assemblers put into debug sections is known here: absolute and place-relative words.
//
// To add an architecture: add its relocation types to `known`; they are in its ELF psABI.
#include "symbols/dwarf_relocate.hpp"
#include "core/error.hpp"
#include <cstring>
#include <fmt/format.h>
#include <gelf.h>

namespace kcrash {
namespace {

enum class Kind : uint8_t { none, absolute, relative };

struct Relocation {
    uint16_t machine;
    uint32_t type;
    Kind kind;
    uint8_t size; // bytes
};

constexpr Relocation known[] = {
    {EM_X86_64, R_X86_64_NONE, Kind::none, 0},     {EM_X86_64, R_X86_64_64, Kind::absolute, 8},   {EM_X86_64, R_X86_64_32, Kind::absolute, 4},
    {EM_X86_64, R_X86_64_32S, Kind::absolute, 4},  {EM_X86_64, R_X86_64_PC32, Kind::relative, 4}, {EM_X86_64, R_X86_64_PC64, Kind::relative, 8},
};

const Relocation* find_relocation(uint16_t machine, uint32_t type) {
    for (const Relocation& relocation : known)
        if (relocation.machine == machine && relocation.type == type) return &relocation;
    return nullptr;
}

class Relocator {
public:
    Relocator(Elf* elf, const ElfFile& file, const std::vector<uint64_t>& addresses) : elf_(elf), file_(file), addresses_(addresses) {}

    void run() {
        for (const ElfSection& section : file_.sections()) {
            if (section.type != SHT_RELA || !section.name.starts_with(".rela.debug_")) continue;
            GElf_Shdr header;
            if (gelf_getshdr(elf_getscn(elf_, section.index), &header)) apply(section, header);
        }
    }

private:
    // A section that was freed after the module's init has run gets a place of its own, where no kernel address is.
    uint64_t address_of(size_t index) const {
        if (index >= addresses_.size()) return 0;
        const bool allocated = file_.sections()[index].flags & SHF_ALLOC;
        return addresses_[index] || !allocated ? addresses_[index] : (uint64_t{1} << 40) + (uint64_t{index} << 28);
    }

    Elf_Data* data_of(size_t index) const {
        Elf_Scn* section = elf_getscn(elf_, index);
        GElf_Shdr header;
        if (!section || !gelf_getshdr(section, &header)) return nullptr;
        if (header.sh_flags & SHF_COMPRESSED && elf_compress(section, 0, 0) < 0) return nullptr;
        return elf_getdata(section, nullptr);
    }

    void apply(const ElfSection& section, const GElf_Shdr& header) {
        Elf_Data* target = data_of(header.sh_info);
        Elf_Data* entries = data_of(section.index);
        Elf_Data* symbols = data_of(header.sh_link);
        if (!target || !entries || !symbols || !target->d_buf || header.sh_entsize == 0) return;
        const size_t count = entries->d_size / header.sh_entsize;
        for (size_t i = 0; i < count; ++i) {
            GElf_Rela entry;
            GElf_Sym symbol;
            if (!gelf_getrela(entries, static_cast<int>(i), &entry)) return;
            if (!gelf_getsym(symbols, static_cast<int>(GELF_R_SYM(entry.r_info)), &symbol)) continue;
            const auto type = static_cast<uint32_t>(GELF_R_TYPE(entry.r_info));
            const Relocation* relocation = find_relocation(file_.machine(), type);
            if (!relocation)
                throw FileError(fmt::format("{}: {} has relocations of type {}, which are not known for ELF machine {}", file_.path(), section.name, type,
                                            file_.machine()));
            patch(*target, *relocation, entry, symbol);
        }
    }

    void patch(Elf_Data& target, const Relocation& relocation, const GElf_Rela& entry, const GElf_Sym& symbol) const {
        if (relocation.kind == Kind::none || entry.r_offset > target.d_size || relocation.size > target.d_size - entry.r_offset) return;
        uint64_t value = symbol.st_value + static_cast<uint64_t>(entry.r_addend);
        if (symbol.st_shndx != SHN_ABS) value += address_of(symbol.st_shndx);
        if (relocation.kind == Kind::relative) value -= entry.r_offset;
        std::byte bytes[8];
        for (unsigned i = 0; i < relocation.size; ++i) {
            const unsigned shift = 8 * (file_.order() == ByteOrder::little ? i : relocation.size - 1 - i);
            bytes[i] = static_cast<std::byte>(value >> shift);
        }
        std::memcpy(static_cast<std::byte*>(target.d_buf) + entry.r_offset, bytes, relocation.size);
    }

    Elf* elf_;
    const ElfFile& file_;
    const std::vector<uint64_t>& addresses_;
};

} // namespace

void relocate_dwarf(Elf* elf, const ElfFile& file, const std::vector<uint64_t>& addresses) { Relocator(elf, file, addresses).run(); }

} // namespace kcrash
