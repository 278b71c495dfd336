// SPDX-License-Identifier: GPL-3.0-or-later
// The registers of a CPU at the crash, from the dump's notes; and what one stack knows of another's.
//
// A kdump has one NT_PRSTATUS for each CPU that answered, and nothing in it says which CPU that was. The kernel wrote it
// into per-cpu memory (crash_notes) first, and that is in the dump: there the CPU is known. QEMU writes one for each
// CPU, in their order; they hold the registers at the moment of the dump.
#include "core/cursor.hpp"
#include "kernel/percpu.hpp"
#include "kernel/stack/machine.hpp"
#include "kernel/word.hpp"
#include <algorithm>

namespace kcrash {
namespace {

// Of the description of an NT_PRSTATUS note. Nothing when it is too short, or nobody wrote it. The order of a note's bytes is that of the
// dump, which need not be the kernel's: QEMU calls all POWER machines big-endian.
std::optional<Registers> parse_prstatus(const Architecture& arch, std::span<const std::byte> description, ByteOrder order) {
    Registers registers;
    for (const SavedRegister& saved : registers_of_note(arch, description.size()))
        registers.set(saved.number, load_unsigned(description.subspan(saved.offset, saved.size ? saved.size : arch.word_size), order));
    if (registers.get(arch.pc).value_or(0) == 0 && registers.get(arch.sp).value_or(0) == 0) return std::nullopt;
    return registers;
}

// kernel/crash_core.c: `crash_notes` is a pointer to per-cpu memory that holds one ELF note.
std::optional<Registers> from_crash_notes(const Target& target, unsigned cpu) {
    const Architecture& arch = target.arch();
    const auto symbol = kernel_symbol(target, "crash_notes");
    uint64_t base = 0;
    if (!symbol || try_word(target, *symbol, base) != Fault::none) return std::nullopt;
    const auto address = per_cpu_address(target, base, cpu);
    constexpr size_t header = 20; // sizes, type, "CORE" and its padding
    std::vector<std::byte> bytes(header + arch.prstatus_size);
    if (!address || target.kernel().try_read(VirtualAddress{*address}, bytes) != Fault::none) return std::nullopt;
    Cursor cursor(bytes, arch.order, "crash_notes");
    const uint32_t name_size = cursor.u32(), size = cursor.u32(), type = cursor.u32();
    if (name_size != 5 || size < arch.prstatus_size || type != note_prstatus) return std::nullopt;
    return parse_prstatus(arch, std::span<const std::byte>(bytes).subspan(header), arch.order);
}

Registers corrected(const Target& target, Registers registers) {
    const StackMachine& machine = stack_machine(target.arch());
    if (machine.correct_note) machine.correct_note(target, registers);
    return registers;
}

} // namespace

// Memory that the kernel keeps for its notes: did it write any? False too when that cannot be read. A kernel without kexec has no such
// memory, and no crash_save_cpu(): a function's name is there where a variable's may be left out.
static bool kernel_wrote_none(const Target& target) {
    const auto symbol = kernel_symbol(target, "crash_notes");
    if (!symbol) return kernel_symbol(target, "panic") && !kernel_symbol(target, "crash_save_cpu");
    uint64_t base = 0;
    if (try_word(target, *symbol, base) != Fault::none) return false;
    for (const unsigned cpu : target.possible_cpus()) {
        const auto address = per_cpu_address(target, base, cpu);
        uint32_t name_size = 0;
        if (!address || target.kernel().try_load(VirtualAddress{*address}, name_size) != Fault::none || name_size) return false;
    }
    return true;
}

// QEMU has a note of its own on x86. Elsewhere its notes are told by this: those of a kdump are copies of what the kernel wrote.
// Whoever else wrote notes, of a kernel that did not, may have left some out: diskdump has the CPU's alone that died.
bool notes_are_of_the_moment(const Target& target) {
    const auto& notes = target.dump().notes();
    const auto of_qemu = [](const Note& note) { return note.name == "QEMU"; };
    if (std::any_of(notes.begin(), notes.end(), of_qemu)) return true;
    const auto of_a_cpu = [](const Note& note) { return note.name == "CORE" && note.type == note_prstatus; };
    const auto count = static_cast<size_t>(std::count_if(notes.begin(), notes.end(), of_a_cpu));
    return count != 0 && count >= target.online_cpus().size() && kernel_wrote_none(target);
}

std::optional<Registers> cpu_registers(const Target& target, unsigned cpu) {
    const bool by_number = notes_are_of_the_moment(target);
    if (!by_number)
        if (auto known = from_crash_notes(target, cpu)) return corrected(target, *known);
    std::vector<const Note*> found;
    for (const Note& note : target.dump().notes())
        if (note.name == "CORE" && note.type == note_prstatus) found.push_back(&note);
    const StackMachine& machine = stack_machine(target.arch());
    if (found.empty() && machine.saved_registers) return machine.saved_registers(target, cpu);
    const auto& online = target.online_cpus();
    const auto place = std::find(online.begin(), online.end(), cpu);
    // Fewer notes than CPUs, and no memory that tells whose they are: none is better than another CPU's.
    if (!by_number && (place == online.end() || found.size() != online.size())) return std::nullopt;
    std::optional<size_t> index = by_number ? cpu : static_cast<size_t>(place - online.begin());
    if (by_number && machine.place_in_notes) index = machine.place_in_notes(target, cpu);
    if (!index || *index >= found.size()) return std::nullopt;
    auto registers = parse_prstatus(target.arch(), found[*index]->description, target.dump().info().order);
    // No processor has a register for the number of the system call: QEMU writes a zero there.
    if (registers && by_number) registers->forget(target.arch().syscall);
    return registers && !by_number ? corrected(target, *registers) : registers;
}

void complete_registers(Stack& stack, const Stack& from) {
    for (Frame& frame : stack.frames)
        for (const Frame& other : from.frames) {
            const bool same = frame.is_return_address && other.is_return_address && frame.pc == other.pc && frame.frame_base == other.frame_base;
            for (unsigned number = 0; same && number < Registers::max; ++number)
                if (!frame.registers.get(number)) frame.registers.copy(other.registers, number);
        }
}

} // namespace kcrash
