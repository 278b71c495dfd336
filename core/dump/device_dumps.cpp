// SPDX-License-Identifier: GPL-3.0-or-later
// struct vmcoredd_header (include/uapi/linux/vmcore.h): behind the note's own header 44 bytes of name, then the driver's data.
#include "core/dump/device_dumps.hpp"
#include <algorithm>

namespace kcrash {

std::vector<DeviceDump> device_dumps(const Dump& dump) {
    constexpr uint32_t note_vmcoredd = 0x700; // NT_VMCOREDD
    constexpr size_t name_bytes = 44;
    std::vector<DeviceDump> dumps;
    for (const Note& note : dump.notes()) {
        if (note.name != "LINUX" || note.type != note_vmcoredd || note.description.size() < name_bytes) continue;
        std::string name(reinterpret_cast<const char*>(note.description.data()), name_bytes);
        name.resize(std::min(name.find('\0'), name.size()));
        constexpr uint64_t header = 12 + 8; // of the note, and its own name
        dumps.push_back({std::move(name), std::span(note.description).subspan(name_bytes), note.offset + header + name_bytes});
    }
    return dumps;
}

} // namespace kcrash
