// SPDX-License-Identifier: GPL-3.0-or-later
// Only what assemblers put into debug sections is known here: absolute and place-relative words; and where the linker may still
// shorten code (RISC-V, LoongArch) differences, as one relocation that adds to what is there and one that subtracts.
// The addend is in the relocation (RELA) or in its place (REL: i386, arm).
//
// To add an architecture: add its relocation types to `known`; they are in its ELF psABI.
#include "symbols/dwarf_relocate.hpp"
#include "core/bytes.hpp"
#include "core/error.hpp"
#include <fmt/format.h>
#include <gelf.h>

namespace kcrash {
namespace {

enum class Kind : uint8_t { none, absolute, relative, add, subtract, set, subtract6, set6, add6, add_uleb, set_uleb, subtract_uleb };

struct Relocation {
    uint16_t machine;
    uint32_t type;
    Kind kind;
    uint8_t size; // bytes; 0: as many as are there (LEB128)
};

constexpr uint16_t em_loongarch = 258;

constexpr Relocation known[] = {
    {EM_X86_64, R_X86_64_NONE, Kind::none, 0},     {EM_X86_64, R_X86_64_64, Kind::absolute, 8},   {EM_X86_64, R_X86_64_32, Kind::absolute, 4},
    {EM_X86_64, R_X86_64_32S, Kind::absolute, 4},  {EM_X86_64, R_X86_64_PC32, Kind::relative, 4}, {EM_X86_64, R_X86_64_PC64, Kind::relative, 8},
    {EM_S390, R_390_NONE, Kind::none, 0},          {EM_S390, R_390_64, Kind::absolute, 8},        {EM_S390, R_390_32, Kind::absolute, 4},
    {EM_S390, R_390_PC32, Kind::relative, 4},      {EM_S390, R_390_PC64, Kind::relative, 8},
    {EM_386, R_386_NONE, Kind::none, 0},           {EM_386, R_386_32, Kind::absolute, 4},         {EM_386, R_386_PC32, Kind::relative, 4},
    {EM_ARM, R_ARM_NONE, Kind::none, 0},           {EM_ARM, R_ARM_ABS32, Kind::absolute, 4},      {EM_ARM, R_ARM_REL32, Kind::relative, 4},
    {EM_RISCV, R_RISCV_NONE, Kind::none, 0},       {EM_RISCV, R_RISCV_32, Kind::absolute, 4},     {EM_RISCV, R_RISCV_64, Kind::absolute, 8},
    {EM_RISCV, R_RISCV_ADD8, Kind::add, 1},        {EM_RISCV, R_RISCV_ADD16, Kind::add, 2},       {EM_RISCV, R_RISCV_ADD32, Kind::add, 4},
    {EM_RISCV, R_RISCV_ADD64, Kind::add, 8},       {EM_RISCV, R_RISCV_SUB8, Kind::subtract, 1},   {EM_RISCV, R_RISCV_SUB16, Kind::subtract, 2},
    {EM_RISCV, R_RISCV_SUB32, Kind::subtract, 4},  {EM_RISCV, R_RISCV_SUB64, Kind::subtract, 8},  {EM_RISCV, R_RISCV_SUB6, Kind::subtract6, 1},
    {EM_RISCV, R_RISCV_SET6, Kind::set6, 1},       {EM_RISCV, R_RISCV_SET8, Kind::set, 1},        {EM_RISCV, R_RISCV_SET16, Kind::set, 2},
    {EM_RISCV, R_RISCV_SET32, Kind::set, 4},       {EM_RISCV, R_RISCV_32_PCREL, Kind::relative, 4}, {EM_RISCV, 60, Kind::set_uleb, 0}, // SET_ULEB128
    {EM_RISCV, 61, Kind::subtract_uleb, 0},        // SUB_ULEB128
    {em_loongarch, 0, Kind::none, 0},              {em_loongarch, 1, Kind::absolute, 4},          {em_loongarch, 2, Kind::absolute, 8},
    {em_loongarch, 47, Kind::add, 1},              {em_loongarch, 48, Kind::add, 2},              {em_loongarch, 50, Kind::add, 4},
    {em_loongarch, 51, Kind::add, 8},              {em_loongarch, 52, Kind::subtract, 1},         {em_loongarch, 53, Kind::subtract, 2},
    {em_loongarch, 55, Kind::subtract, 4},         {em_loongarch, 56, Kind::subtract, 8},         {em_loongarch, 99, Kind::relative, 4},
    {em_loongarch, 105, Kind::add6, 1},            {em_loongarch, 106, Kind::subtract6, 1},       {em_loongarch, 107, Kind::add_uleb, 0},
    {em_loongarch, 108, Kind::subtract_uleb, 0},   {em_loongarch, 109, Kind::relative, 8},
    {EM_AARCH64, R_AARCH64_NONE, Kind::none, 0},   {EM_AARCH64, R_AARCH64_ABS64, Kind::absolute, 8}, {EM_AARCH64, R_AARCH64_ABS32, Kind::absolute, 4},
    {EM_AARCH64, R_AARCH64_PREL64, Kind::relative, 8}, {EM_AARCH64, R_AARCH64_PREL32, Kind::relative, 4},
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
            const bool rela = section.type == SHT_RELA && section.name.starts_with(".rela.debug_");
            const bool rel = section.type == SHT_REL && section.name.starts_with(".rel.debug_");
            if (!rela && !rel) continue;
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
            if (!get_entry(*entries, static_cast<int>(i), section.type == SHT_REL, entry)) return;
            if (!gelf_getsym(symbols, static_cast<int>(GELF_R_SYM(entry.r_info)), &symbol)) continue;
            const auto type = static_cast<uint32_t>(GELF_R_TYPE(entry.r_info));
            const Relocation* relocation = find_relocation(file_.machine(), type);
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
};

} // namespace

void relocate_dwarf(Elf* elf, const ElfFile& file, const std::vector<uint64_t>& addresses) { Relocator(elf, file, addresses).run(); }

} // namespace kcrash
