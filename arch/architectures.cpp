// SPDX-License-Identifier: GPL-3.0-or-later
// The list of architectures: one line each.
#include "arch/architecture.hpp"
#include "arch/registers.hpp"
#include "core/cursor.hpp"
#include <charconv>
#include <iterator>

namespace kcrash {

extern const Architecture arch_arm;
extern const Architecture arch_i386;
extern const Architecture arch_loongarch64;
extern const Architecture arch_ppc64le;
extern const Architecture arch_riscv64;
extern const Architecture arch_arm64;
extern const Architecture arch_s390x;
extern const Architecture arch_x86_64;

static const Architecture* const all[] = {
    &arch_arm64,
    &arch_x86_64,
    &arch_s390x,
    &arch_riscv64,
    &arch_i386,
    &arch_arm,
    &arch_loongarch64,
    &arch_ppc64le,
};

std::span<const Architecture* const> architectures() { return all; }

const Architecture* find_architecture(uint16_t elf_machine, ByteOrder order, unsigned word_size) {
    for (const Architecture* arch : all)
        if (arch->elf_machine == elf_machine && arch->order == order && arch->word_size == word_size) return arch;
    return nullptr;
}

std::span<const SavedRegister> registers_of_note(const Architecture& arch, size_t bytes) {
    if (arch.wide_prstatus_size != 0 && bytes == arch.wide_prstatus_size) return arch.wide_prstatus;
    return bytes >= arch.prstatus_size ? arch.prstatus : std::span<const SavedRegister>();
}

namespace {

bool is_prstatus(const Note& note) { return note.name == "CORE" && note.type == note_prstatus; }

bool make_sense(const Architecture& arch, const Note& note, ByteOrder order) {
    Registers registers;
    for (const SavedRegister& saved : arch.prstatus)
        registers.set(saved.number, load_unsigned(std::span(note.description).subspan(saved.offset, saved.size ? saved.size : arch.word_size), order));
    return arch.plausible(registers, 0);
}

// Do the notes fit to it? `turned`: although the dump has another byte order.
bool fits(const Architecture& arch, std::span<const Note> notes, const DumpInfo& info, bool turned) {
    if (info.elf_machine && info.elf_machine != arch.elf_machine) return false;
    if ((arch.order != info.order) != turned) return false;
    bool any = false;
    for (const Note& note : notes) {
        if (!is_prstatus(note)) continue;
        if (note.description.size() != arch.prstatus_size) return false;
        any |= !turned || make_sense(arch, note, info.order);
    }
    return any;
}

} // namespace

const Architecture* architecture_of_notes(std::span<const Note> notes, const DumpInfo& info) {
    for (const bool turned : {false, true}) {
        const Architecture* found = nullptr;
        for (const Architecture* arch : all) {
            if (!fits(*arch, notes, info, turned)) continue;
            if (found) return nullptr;
            found = arch;
        }
        if (found) return found;
    }
    return nullptr;
}

unsigned release_of(const KernelFacts& facts) {
    const std::string_view text = facts.text("OSRELEASE").value_or("");
    unsigned major = 0, minor = 0;
    const auto first = std::from_chars(text.data(), text.data() + text.size(), major);
    if (first.ec != std::errc{} || first.ptr == text.data() + text.size() || *first.ptr != '.') return 0;
    if (std::from_chars(first.ptr + 1, text.data() + text.size(), minor).ec != std::errc{}) return 0;
    return major * 100 + minor;
}

} // namespace kcrash
