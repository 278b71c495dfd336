// SPDX-License-Identifier: GPL-3.0-or-later
// Dump formats that are recognised by their first bytes and not read yet: a name is better than "unknown file".
#include "core/dump/dump.hpp"
#include "core/error.hpp"
#include <fmt/format.h>

namespace kcrash {
namespace {

using namespace std::string_view_literals;

struct Magic {
    std::string_view bytes; // at the start of the file
    const char* name;
    const char* advice;
};

constexpr const char* convert = "convert it to an ELF or kdump-compressed file";

const Magic magics[] = {
    {"\x0d\xf0\xeb\xfe"sv, "Xen core (old)", convert},
    {"LinuxGuestRecord"sv, "Xen save file", convert},
    {"\x14\x20\x28\x01"sv, "Hyper-V saved state (.vmrs)", convert}, // HyperVStorage's first header
    {"PAGEDU64"sv, "Windows crash dump", "kcrash reads dumps of Linux kernels"},
    {"PAGEDUMP"sv, "Windows crash dump", "kcrash reads dumps of Linux kernels"},
};

const Magic* find_magic(std::span<const std::byte> head) {
    const std::string_view text(reinterpret_cast<const char*>(head.data()), head.size());
    for (const Magic& magic : magics)
        if (text.starts_with(magic.bytes)) return &magic;
    return nullptr;
}

Probe probe(std::span<const std::byte> head) { return find_magic(head) ? Probe::mine : Probe::not_mine; }

std::unique_ptr<Dump> open(std::vector<std::shared_ptr<const ByteSource>> files) {
    const auto head = files.front()->read(FileOffset(0), std::min<uint64_t>(files.front()->size(), 64));
    const Magic* magic = find_magic(head);
    throw FileError(fmt::format("{}: is a {}, a format that kcrash does not read yet; {}", files.front()->path(),
                                magic ? magic->name : "dump", magic ? magic->advice : convert));
}

} // namespace

extern const DumpFormat unread_format;
const DumpFormat unread_format{"not read yet", probe, open, false};

} // namespace kcrash
