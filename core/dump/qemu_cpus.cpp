// SPDX-License-Identifier: GPL-3.0-or-later
// CPUs among the devices of a QEMU stream.
//
//     0x04  u32 id, u8 length, name = "cpu", u32 instance, u32 version, the fields            one of these for each CPU
//     0x00  0x06 u32 length, JSON                                                             the end
//
// What is odd: a section tells neither its length nor what its fields are. Behind the last one stands a description of all of them,
// JSON, made for people who look for a fault of QEMU's:
//
//     {"devices": [{"name": "cpu", "instance_id": 0, "vmsd_name": "cpu", "version": 22, "fields": [
//         {"name": "env.regs", "array_len": 16, "type": "uint32", "size": 4}, {"name": "env.xregs", "array_len": 32, ...
//
// A field lies where those before it end, whatever version of QEMU it was. Numbers are big-endian, whatever the machine is. x86 is read
// without the description, which old machine types do not have: its first fields never changed. Where QEMU was built for 32 bits, as
// qemu-system-i386, its words are of 4 bytes. Which of them it is, nothing says there: the flags have bits that are always set or clear.
//
// The registers become notes as QEMU's own dump has them. Specified by QEMU's migration/savevm.c, migration/vmstate.c
// (vmsd_desc_field_start) and target/*/machine.c; the notes by target/*/arch_dump.c.
#include "core/dump/qemu_cpus.hpp"
#include "core/dump/x86_notes.hpp"
#include <algorithm>
#include <elf.h>
#include <map>
#include <nlohmann/json.hpp>

#ifndef EM_LOONGARCH
#define EM_LOONGARCH 258
#endif

namespace kcrash {
namespace {

constexpr size_t most_cpus = 65536;
constexpr std::byte full_section{0x04};
constexpr char description_mark = 0x06;

// Where elements of a field go in the description of an NT_PRSTATUS note.
struct Copied {
    const char* name;  // of the field
    unsigned first;    // element of it
    unsigned count;    // elements
    unsigned at;       // bytes into the note
    unsigned size = 8; // bytes of each there; 0: nibbles of one word, the first the highest
};

struct CpuLayout {
    uint16_t elf_machine;
    ByteOrder order;
    size_t note_size; // bytes
    size_t pid_at;    // pr_pid, where QEMU has the number of the CPU, from 1 on
    std::span<const Copied> copied;
};

constexpr Copied arm64[] = {{"env.xregs", 0, 32, 112}, {"env.pc", 0, 1, 368}, {"cpsr", 0, 1, 376}};
constexpr Copied arm[] = {{"env.regs", 0, 16, 72, 4}, {"cpsr", 0, 1, 136, 4}};
constexpr Copied riscv[] = {{"env.pc", 0, 1, 112}, {"env.gpr", 1, 31, 120}};
constexpr Copied s390[] = {{"env.psw.mask", 0, 1, 112}, {"env.psw.addr", 0, 1, 120}, {"env.regs", 0, 16, 128}, {"env.aregs", 0, 16, 256, 4}};
constexpr unsigned spr_xer = 1, spr_lr = 8, spr_ctr = 9;
constexpr Copied ppc64[] = {{"env.gpr", 0, 32, 112},       {"env.nip", 0, 1, 368},       {"env.msr", 0, 1, 376},      {"env.spr", spr_ctr, 1, 392},
                            {"env.spr", spr_lr, 1, 400}, {"env.spr", spr_xer, 1, 408}, {"env.crf", 0, 8, 416, 0}};
// QEMU's own dump has CSR.ERA in the place of the pc; the kernel's notes, and these, have the pc there.
constexpr Copied loongarch[] = {{"env.gpr", 0, 32, 112}, {"env.pc", 0, 1, 376}, {"env.CSR_BADV", 0, 1, 384}};

constexpr CpuLayout layouts[] = {
    {EM_AARCH64, ByteOrder::little, 392, 32, arm64}, {EM_ARM, ByteOrder::little, 148, 24, arm},    {EM_RISCV, ByteOrder::little, 376, 32, riscv},
    {EM_S390, ByteOrder::big, 336, 32, s390},        {EM_PPC64, ByteOrder::little, 504, 32, ppc64},  {EM_LOONGARCH, ByteOrder::little, 480, 32, loongarch},
};

const CpuLayout* layout_of(uint16_t elf_machine) {
    for (const CpuLayout& layout : layouts)
        if (layout.elf_machine == elf_machine) return &layout;
    return nullptr;
}

// What looks like the section of a CPU, and all that follows its head.
struct Section {
    uint32_t instance, version;
    std::span<const std::byte> state;
};

std::vector<Section> cpu_sections(std::span<const std::byte> devices) {
    std::vector<Section> sections;
    const std::string_view text(reinterpret_cast<const char*>(devices.data()), devices.size()), head("\3cpu");
    for (size_t at = text.find(head); at != std::string_view::npos && sections.size() < most_cpus; at = text.find(head, at + 1)) {
        const size_t instance = at + head.size(), state = instance + 8;
        if (at < 5 || devices[at - 5] != full_section || state > devices.size()) continue;
        sections.push_back({load<uint32_t>(&devices[instance], ByteOrder::big), load<uint32_t>(&devices[instance + 4], ByteOrder::big), devices.subspan(state)});
    }
    return sections;
}

std::optional<X86Registers> parse_x86(std::span<const std::byte> state, size_t word_size) {
    using R = X86Registers;
    // General registers, rip, rflags, then the FPU's 92 bytes; six segments, three more and the IDT, each selector u32, base, limit u32,
    // flags u32; 4 bytes and two words of sysenter; cr0, cr2, cr3, cr4.
    const size_t general = word_size == 8 ? 16 : 8, segments = (general + 2) * word_size + 92, segment_bytes = 12 + word_size,
                 idt = segments + 9 * segment_bytes, controls = idt + segment_bytes + 4 + 2 * word_size;
    if (state.size() < controls + 4 * word_size) return std::nullopt;
    const auto word = [&](size_t at) { return load_unsigned(state.subspan(at, word_size), ByteOrder::big); };
    const auto half = [&](size_t at) { return load<uint32_t>(state.data() + at, ByteOrder::big); };
    R cpu;
    cpu.flags = word((general + 1) * word_size);
    constexpr uint64_t always = 2, possible = 0x3f7fd7;
    if (!(cpu.flags & always) || cpu.flags & ~possible) return std::nullopt;
    for (size_t i = 0; i < general; ++i) cpu.general[i] = word(word_size * i);
    cpu.rip = word(general * word_size);
    for (size_t i = 0; i < 6; ++i) cpu.segments[i] = half(segments + segment_bytes * i);
    cpu.fs_base = word(segments + segment_bytes * R::fs + 4);
    cpu.gs_base = word(segments + segment_bytes * R::gs + 4);
    cpu.idt = word(idt + 4);
    cpu.idt_limit = half(idt + 4 + word_size);
    cpu.cr0 = word(controls);
    cpu.cr3 = word(controls + 2 * word_size);
    cpu.cr4 = word(controls + 3 * word_size);
    return cpu;
}

std::vector<Note> x86_notes(const std::vector<Section>& sections) {
    std::vector<Note> notes, controls;
    for (const Section& section : sections) {
        if (section.instance != notes.size() || section.version != 12) continue;
        auto cpu = parse_x86(section.state, 8);
        if (!cpu) cpu = parse_x86(section.state, 4);
        if (!cpu) continue;
        notes.push_back(x86_prstatus(*cpu, section.instance));
        controls.push_back(x86_control(*cpu));
    }
    notes.insert(notes.end(), controls.begin(), controls.end());
    return notes;
}

// The description of the devices, a discarded value when there is none. It ends the stream; libvirt may fill up a block of the disk.
nlohmann::json description(std::span<const std::byte> bytes) {
    const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    const size_t end = text.rfind('}') + 1; // 0: none
    for (size_t mark = text.find(description_mark); mark < end && end - mark > 6; mark = text.find(description_mark, mark + 1))
        if (text[mark + 5] == '{' && load<uint32_t>(&bytes[mark + 1], ByteOrder::big) == end - mark - 5)
            return nlohmann::json::parse(text.substr(mark + 5, end - mark - 5), nullptr, false);
    return nlohmann::json(nlohmann::json::value_t::discarded);
}

uint64_t number(const nlohmann::json& object, const char* key, uint64_t otherwise) {
    const auto found = object.find(key);
    return found != object.end() && found->is_number_unsigned() ? found->get<uint64_t>() : otherwise;
}

std::string_view word(const nlohmann::json& object, const char* key) {
    const auto found = object.find(key);
    return found != object.end() && found->is_string() ? std::string_view(found->get_ref<const std::string&>()) : std::string_view();
}

struct Place {
    uint64_t at = 0, size = 0, count = 0; // bytes from the first field on, bytes of an element, elements
};

// As QEMU before 11 had it: LoongArch's system registers have since been moved into an array of one.
std::string field_name(const nlohmann::json& field) {
    constexpr std::string_view array = "sys_states[0].";
    std::string name(word(field, "name"));
    if (const size_t at = name.find(array); at != std::string::npos) name.erase(at, array.size());
    return name;
}

// Where each field lies; those behind one of unknown size are left out.
std::map<std::string, Place, std::less<>> places_of(const nlohmann::json& device) {
    constexpr uint64_t unknown = UINT64_MAX, most = uint64_t{1} << 24;
    std::map<std::string, Place, std::less<>> places;
    uint64_t at = 0;
    const auto fields = device.find("fields");
    if (fields == device.end() || !fields->is_array()) return places;
    for (const auto& field : *fields) {
        if (!field.is_object()) break;
        const uint64_t size = number(field, "size", unknown), count = number(field, "array_len", field.contains("array_len") ? unknown : 1);
        if (size > most || count > most || at > most) break;
        places.emplace(field_name(field), Place{at, size, count});
        at += size * count;
    }
    return places;
}

// Nothing when a field is missing or too short.
std::optional<Note> described_note(const CpuLayout& layout, const std::map<std::string, Place, std::less<>>& places, const Section& section) {
    Note note{"CORE", note_prstatus, std::vector<std::byte>(layout.note_size)};
    const auto put = [&](size_t at, uint64_t value, unsigned size) {
        for (unsigned i = 0; i < size; ++i)
            note.description[at + (layout.order == ByteOrder::little ? i : size - 1 - i)] = static_cast<std::byte>(value >> i * 8);
    };
    put(layout.pid_at, uint64_t{section.instance} + 1, 4);
    for (const Copied& copied : layout.copied) {
        const auto found = places.find(std::string_view(copied.name));
        if (found == places.end()) return std::nullopt;
        const Place& place = found->second;
        if (place.size == 0 || place.size > 8 || place.count < copied.first + copied.count) return std::nullopt;
        if (place.at + place.size * place.count > section.state.size()) return std::nullopt;
        uint64_t nibbles = 0;
        for (unsigned i = 0; i < copied.count; ++i) {
            const uint64_t value = load_unsigned(section.state.subspan(place.at + (copied.first + i) * place.size, place.size), ByteOrder::big);
            if (copied.size) put(copied.at + i * copied.size, value, copied.size);
            nibbles = nibbles << 4 | (value & 0xf);
        }
        if (!copied.size) put(copied.at, nibbles, 8);
    }
    return note;
}

// Of a processor of ARM that is in a mode of 32 bits: bit 4 of cpsr.
bool is_narrow(const Note& note) { return (load<uint64_t>(note.description.data() + 376, ByteOrder::little) >> 4 & 1) != 0; }

std::vector<Note> described_notes(const CpuLayout& wide, const std::vector<Section>& sections, const nlohmann::json& described) {
    std::vector<Note> notes;
    const auto list = described.is_object() ? described.find("devices") : described.end();
    if (list == described.end() || !list->is_array()) return notes;
    for (const auto& device : *list) {
        if (!device.is_object() || word(device, "name") != "cpu" || number(device, "instance_id", 0) != notes.size()) continue;
        const auto section = std::find_if(sections.begin(), sections.end(), [&](const Section& one) {
            return one.instance == notes.size() && one.version == number(device, "version", 0);
        });
        if (section == sections.end()) break;
        const auto places = places_of(device);
        auto note = described_note(wide, places, *section);
        if (note && wide.elf_machine == EM_AARCH64 && is_narrow(*note)) note = described_note(*layout_of(EM_ARM), places, *section);
        if (!note) break; // those that follow would be taken for it
        notes.push_back(std::move(*note));
    }
    return notes;
}

} // namespace

std::vector<Note> qemu_cpu_notes(uint16_t elf_machine, std::span<const std::byte> devices, std::span<const std::byte> end) {
    const auto sections = cpu_sections(devices);
    if (elf_machine == EM_X86_64) return x86_notes(sections);
    const CpuLayout* layout = layout_of(elf_machine);
    return layout ? described_notes(*layout, sections, description(end)) : std::vector<Note>();
}

ByteOrder qemu_note_order(uint16_t elf_machine) {
    const CpuLayout* layout = layout_of(elf_machine);
    return layout ? layout->order : ByteOrder::little;
}

} // namespace kcrash
