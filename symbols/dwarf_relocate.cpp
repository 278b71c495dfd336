// SPDX-License-Identifier: GPL-3.0-or-later
// Which types there are, and what each does, is in the architecture's record. The addend is in the relocation (RELA) or in its place
// (REL: i386, arm).
#include "symbols/dwarf_relocate.hpp"
#include "arch/architecture.hpp"
#include "core/bytes.hpp"
#include "core/error.hpp"
#include <fmt/format.h>
#include <gelf.h>

namespace kcrash {
namespace {

using Kind = Relocation::Kind;

class Relocator {
public:
    Relocator(Elf* elf, const ElfFile& file, const std::vector<uint64_t>& addresses)
        : elf_(elf), file_(file), addresses_(addresses), arch_(find_architecture(file.machine(), file.order(), file.word_size())) {}

    void run() {
        for (const ElfSection& section : file_.sections()) {
            const bool rela = section.type == SHT_RELA && section.name.starts_with(".rela.debug_");
            const bool rel = section.type == SHT_REL && section.name.starts_with(".rel.debug_");
            if (!rela && !rel) continue;
            GElf_Shdr header;
            if (gelf_getshdr(elf_getscn(elf_, section.index), &header)) apply(section, header);
        }
    }

private:
    const Relocation* find_relocation(uint32_t type) const {
        if (!arch_) return nullptr;
        for (const Relocation& relocation : arch_->relocations)
            if (relocation.type == type) return &relocation;
        return nullptr;
    }

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
            if (!get_entry(*entries, static_cast<int>(i), section.type == SHT_REL, entry)) return;
            if (!gelf_getsym(symbols, static_cast<int>(GELF_R_SYM(entry.r_info)), &symbol)) continue;
            const auto type = static_cast<uint32_t>(GELF_R_TYPE(entry.r_info));
            const Relocation* relocation = find_relocation(type);
            if (!relocation)
                throw FileError(fmt::format("{}: {} has relocations of type {}, which are not known for ELF machine {}", file_.path(), section.name, type,
                                            file_.machine()));
            patch(*target, *relocation, entry, symbol, section.type == SHT_REL);
        }
    }

    static bool get_entry(Elf_Data& entries, int index, bool rel, GElf_Rela& entry) {
        if (!rel) return gelf_getrela(&entries, index, &entry) != nullptr;
        GElf_Rel bare;
        if (!gelf_getrel(&entries, index, &bare)) return false;
        entry = {bare.r_offset, bare.r_info, 0};
        return true;
    }

    void patch(Elf_Data& target, const Relocation& relocation, const GElf_Rela& entry, const GElf_Sym& symbol, bool addend_in_place) const {
        if (relocation.kind == Kind::none || entry.r_offset > target.d_size || relocation.size > target.d_size - entry.r_offset) return;
        const std::span<std::byte> place(static_cast<std::byte*>(target.d_buf) + entry.r_offset, target.d_size - entry.r_offset);
        uint64_t value = symbol.st_value + static_cast<uint64_t>(entry.r_addend);
        if (symbol.st_shndx != SHN_ABS) value += address_of(symbol.st_shndx);
        if (relocation.size == 0) return patch_uleb(place, relocation.kind, value);
        const auto word = place.first(relocation.size);
        const uint64_t old = load_unsigned(word, file_.order());
        if (addend_in_place) value += static_cast<uint64_t>(sign_extend(old, relocation.size * 8u));
        switch (relocation.kind) {
        case Kind::relative: value -= entry.r_offset; break;
        case Kind::add: value += old; break;
        case Kind::subtract: value = old - value; break;
        case Kind::set6: value = (old & 0xc0) | (value & 0x3f); break; // the low bits of an instruction of CFI
        case Kind::add6: value = (old & 0xc0) | ((old + value) & 0x3f); break;
        case Kind::subtract6: value = (old & 0xc0) | ((old - value) & 0x3f); break;
        default: break;
        }
        store(word, value);
    }

    // As many bytes as were there: the section does not grow.
    static void patch_uleb(std::span<std::byte> place, Kind kind, uint64_t value) {
        uint64_t old = 0;
        size_t size = 0;
        constexpr size_t most = 10;
        do {
            if (size == place.size() || size == most) return;
            if (7 * size < 64) old |= (static_cast<uint64_t>(place[size]) & 0x7f) << 7 * size;
        } while ((place[size++] & std::byte{0x80}) != std::byte{0});
        if (kind == Kind::add_uleb) value += old;
        else if (kind == Kind::subtract_uleb) value = old - value;
        for (size_t i = 0; i < size; ++i, value >>= 7) place[i] = static_cast<std::byte>((value & 0x7f) | (i + 1 < size ? 0x80 : 0));
    }

    void store(std::span<std::byte> word, uint64_t value) const {
        for (size_t i = 0; i < word.size(); ++i)
            word[i] = static_cast<std::byte>(value >> 8 * (file_.order() == ByteOrder::little ? i : word.size() - 1 - i));
    }

    Elf* elf_;
    const ElfFile& file_;
    const std::vector<uint64_t>& addresses_;
    const Architecture* arch_; // null: none of ours
};

} // namespace

void relocate_dwarf(Elf* elf, const ElfFile& file, const std::vector<uint64_t>& addresses) { Relocator(elf, file, addresses).run(); }

} // namespace kcrash
