// SPDX-License-Identifier: GPL-3.0-or-later
// s390's registers and the kernel's note about itself.
//
// The lowcore is the first 8 kB of a CPU's view of memory, at the address in its prefix register. "Store status" writes the
// registers there; the offsets are those of struct lowcore (arch/s390/include/asm/lowcore.h):
//
//     0x0e0c  vmcore_info   u64, physical address of an ELF note   (from absolute 0, of the boot CPU's lowcore copy)
//     0x1280  general registers, 0x1300 PSW, 0x1318 prefix, 0x1340 access registers, 0x1380 control registers
#include "core/dump/s390_notes.hpp"
#include "core/cursor.hpp"
#include "core/dump/notes.hpp"
#include <algorithm>

namespace kcrash {
namespace {

constexpr uint64_t page_bytes = 4096;

template <typename T> void put(std::vector<std::byte>& bytes, size_t at, T value) {
    for (size_t i = 0; i < sizeof(T); ++i) bytes[at + i] = static_cast<std::byte>(value >> (sizeof(T) - 1 - i) * 8);
}

Note prstatus(const S390Registers& registers) {
    constexpr size_t size = 336, registers_at = 112; // struct elf_prstatus
    Note note{"CORE", note_prstatus, std::vector<std::byte>(size)};
    size_t at = registers_at;
    const auto add = [&](auto value) {
        put(note.description, at, value);
        at += sizeof(value);
    };
    for (const uint64_t value : registers.psw) add(value);
    for (const uint64_t value : registers.general) add(value);
    for (const uint32_t value : registers.access) add(value);
    add(registers.general[2]); // orig_gpr2
    return note;
}

} // namespace

std::vector<Note> s390_notes(const S390Registers& registers) {
    constexpr uint32_t note_ctrs = 0x304, note_prefix = 0x305; // NT_S390_* of elf.h
    Note control{"LINUX", note_ctrs, std::vector<std::byte>(16 * 8)}, prefix{"LINUX", note_prefix, std::vector<std::byte>(4)};
    for (size_t i = 0; i < 16; ++i) put(control.description, i * 8, registers.control[i]);
    put(prefix.description, 0, registers.prefix);
    return {prstatus(registers), std::move(control), std::move(prefix)};
}

std::optional<S390Registers> s390_stored_status(uint32_t prefix, const PhysicalReader& read) {
    constexpr uint64_t begin = 0x1280, end = 0x1400;
    std::byte area[end - begin];
    if (read(PhysicalAddress(prefix) + begin, area) != Fault::none) return std::nullopt;
    Cursor cursor(area, ByteOrder::big, "lowcore", begin);
    S390Registers registers;
    registers.prefix = prefix;
    for (uint64_t& value : registers.general) value = cursor.u64();
    for (uint64_t& value : registers.psw) value = cursor.u64();
    cursor.seek(0x1340 - begin);
    for (uint32_t& value : registers.access) value = cursor.u32();
    for (uint64_t& value : registers.control) value = cursor.u64();
    return registers;
}

std::string s390_vmcoreinfo(const PhysicalReader& read) {
    constexpr uint64_t pointer_at = 0xe0c, max_note = uint64_t{1} << 20;
    std::byte pointer[8], header[12];
    if (read(PhysicalAddress(pointer_at), pointer) != Fault::none) return {};
    const PhysicalAddress note(load<uint64_t>(pointer, ByteOrder::big));
    // Bit 0 marks another use of the field: the offset of a randomised kernel.
    if (note.value == 0 || note.value & 1 || read(note, header) != Fault::none) return {};
    const uint64_t name_size = load<uint32_t>(header, ByteOrder::big), size = load<uint32_t>(header + 4, ByteOrder::big);
    if (name_size != sizeof("VMCOREINFO") || size > max_note) return {};
    std::vector<std::byte> area(sizeof(header) + (name_size + 3) / 4 * 4 + size);
    if (read(note, area) != Fault::none) return {};
    std::vector<std::string> warnings;
    return vmcoreinfo_text(parse_notes(area, ByteOrder::big, warnings));
}

PhysicalReader s390_reader(const Dump& dump) {
    return [&dump](PhysicalAddress at, std::span<std::byte> into) {
        std::vector<std::byte> page(page_bytes);
        while (!into.empty()) {
            if (const Fault fault = dump.try_read_page(PageFrame(at.value / page_bytes), page); fault != Fault::none)
                return fault;
            const uint64_t offset = at.value % page_bytes, n = std::min<uint64_t>(into.size(), page_bytes - offset);
            std::copy_n(page.begin() + static_cast<std::ptrdiff_t>(offset), n, into.begin());
            into = into.subspan(n);
            at += n;
        }
        return Fault::none;
    };
}

} // namespace kcrash
