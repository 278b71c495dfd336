// SPDX-License-Identifier: GPL-3.0-or-later
// ELF notes: cut out of their area, never trusted for a size.
#include "core/dump/notes.hpp"
#include "core/cursor.hpp"
#include "core/dump/vmcoreinfo.hpp"
#include <algorithm>
#include <charconv>
#include <fmt/format.h>

namespace kcrash {

// Names and descriptions are padded to four bytes, in 64-bit files too. Padding may be missing after the last one.
static std::span<const std::byte> padded(Cursor& cursor, uint32_t size) {
    const auto bytes = cursor.bytes(size);
    const uint64_t padding = (4 - size % 4) % 4;
    cursor.skip(std::min<uint64_t>(padding, cursor.left()));
    return bytes;
}

std::vector<Note> parse_notes(std::span<const std::byte> area, ByteOrder order, std::vector<std::string>& warnings) {
    std::vector<Note> notes;
    Cursor cursor(area, order, "notes");
    while (cursor.left() >= 12) {
        const std::string where = cursor.where();
        const uint64_t offset = cursor.offset();
        const uint32_t name_size = cursor.u32();
        const uint32_t description_size = cursor.u32();
        const uint32_t type = cursor.u32();
        if (name_size == 0) break; // the padding behind the last note
        if (notes.size() == max_notes) {
            warnings.push_back(fmt::format("{}: more than {} notes; the rest is left out", where, max_notes));
            break;
        }
        if (uint64_t{name_size} + description_size > cursor.left()) {
            warnings.push_back(fmt::format("{}: a note needs {} bytes, {} left; it is left out", where,
                                           uint64_t{name_size} + description_size, cursor.left()));
            break;
        }
        Note note;
        note.type = type;
        note.offset = offset;
        const auto name = padded(cursor, name_size);
        note.name.assign(reinterpret_cast<const char*>(name.data()), name.size());
        note.name.resize(std::min(note.name.find('\0'), note.name.size()));
        if (description_size > cursor.left()) { // only the padding of the name was in the way
            warnings.push_back(
                fmt::format("{}: a note needs {} bytes, {} left; it is left out", where, description_size, cursor.left()));
            break;
        }
        const auto description = padded(cursor, description_size);
        note.description.assign(description.begin(), description.end());
        notes.push_back(std::move(note));
    }
    return notes;
}

std::vector<Note> read_notes(const ByteSource& file, FileOffset at, uint64_t size, ByteOrder order,
                             std::vector<std::string>& warnings) {
    if (size == 0) return {};
    const uint64_t there = at.value < file.size() ? file.size() - at.value : 0;
    const uint64_t take = std::min({size, there, max_note_bytes});
    if (take < size)
        warnings.push_back(
            fmt::format("{}: the notes at offset 0x{:x} need {} bytes, {} are read", file.path(), at.value, size, take));
    std::vector<std::byte> area(take);
    if (const Fault fault = file.try_read(at, area); fault != Fault::none) {
        warnings.push_back(
            fmt::format("{}: the notes at offset 0x{:x} cannot be read: {}", file.path(), at.value, describe(fault)));
        return {};
    }
    auto notes = parse_notes(area, order, warnings);
    for (Note& note : notes) note.offset += at.value;
    return notes;
}

// The text of the first note of this name, or nothing.
static std::string text_of_note(const std::vector<Note>& notes, std::string_view name) {
    for (const Note& note : notes)
        if (note.name == name) {
            std::string text(reinterpret_cast<const char*>(note.description.data()), note.description.size());
            text.resize(std::min(text.find('\0'), text.size()));
            return text;
        }
    return {};
}

std::string vmcoreinfo_text(const std::vector<Note>& notes) { return text_of_note(notes, "VMCOREINFO"); }
std::string erased_text(const std::vector<Note>& notes) { return text_of_note(notes, "ERASEINFO"); }

std::string erased_warning(std::string_view text) {
    const auto lines = std::count(text.begin(), text.end(), '\n') + (!text.empty() && text.back() != '\n');
    return fmt::format("makedumpfile erased {} piece{} of data: they read as 'X' or zero", lines, lines == 1 ? "" : "s");
}

bool of_xen_hypervisor(const std::vector<Note>& notes) {
    constexpr uint32_t crash_info = 0x1000001; // XEN_ELFNOTE_CRASH_INFO
    return std::any_of(notes.begin(), notes.end(), [](const Note& note) {
        return note.name == "VMCOREINFO_XEN" || (note.name == "Xen" && note.type == crash_info);
    });
}

uint64_t vmcoreinfo_page_size(const std::string& text) {
    const VmcoreInfo info(text);
    const auto value = info.value("PAGESIZE");
    if (!value) return 0;
    uint64_t size = 0;
    std::from_chars(value->data(), value->data() + value->size(), size);
    return possible_page_size(size) ? size : 0;
}

} // namespace kcrash
