// SPDX-License-Identifier: GPL-3.0-or-later
// What "virsh save" writes: a header, the domain's XML, and QEMU's migration stream.
//
//     0    "LibvirtQemudSave"    "LibvirtQemudPart" while it is being written, or when that failed
//     16   version, length of the XML, was running, compression, offset of the cookie    u32 each, in the host's byte order
//     36   14 unused u32
//     92   the XML and the cookie, as many bytes as the length says; then the stream
//
// The compression is a program through which libvirt wrote the stream: 0 none, 1 gzip, 2 bzip2, 3 xz, 4 lzop, 5 zstd; 6 is the
// sparse layout of libvirt 11. Only 0 is read in place; gzip, xz and lzop are read as packed
// files are (core/packed_file.hpp); bzip2 and zstd leave nothing to find a page by. "virsh
// dump" without --memory-only writes the stream without this header.
// Specified by libvirt's src/qemu/qemu_saveimage.h.
#include "core/cursor.hpp"
#include "core/dump/qemu_stream.hpp"
#include "core/packed_file.hpp"
#include "core/slice.hpp"
#include <algorithm>
#include <array>
#include <fmt/format.h>

namespace kcrash {
namespace {

constexpr uint64_t header_bytes = 92;
constexpr std::string_view whole = "LibvirtQemudSave", unfinished = "LibvirtQemudPart";

bool starts_with(std::span<const std::byte> head, std::string_view text) {
    return std::string_view(reinterpret_cast<const char*>(head.data()), head.size()).starts_with(text);
}

Probe probe(std::span<const std::byte> head) {
    return starts_with(head, whole) || starts_with(head, unfinished) ? Probe::mine : Probe::not_mine;
}

struct Header {
    uint32_t version, xml_bytes, was_running, compression;
};

Header parse(std::span<const std::byte> bytes, const std::string& path) {
    for (const ByteOrder order : {ByteOrder::little, ByteOrder::big}) {
        Cursor cursor(bytes, order, path);
        cursor.seek(whole.size());
        const Header header{cursor.u32(), cursor.u32(), cursor.u32(), cursor.u32()};
        if (header.version >= 1 && header.version <= 255) return header;
    }
    throw FileError(fmt::format("{}: damaged libvirt header: no version is {} in either byte order", path,
                                load<uint32_t>(bytes.data() + whole.size(), ByteOrder::little)));
}

constexpr std::array<std::string_view, 7> programs = {"", "gzip", "bzip2", "xz", "lzop", "zstd", "the sparse layout"};

[[noreturn]] void refuse(const std::string& path, uint32_t compression) {
    const std::string how =
        compression < programs.size() ? std::string(programs[compression]) : fmt::format("method {}", compression);
    throw FileError(fmt::format(
        "{}: a libvirt save file whose stream is written with {}; set save_image_format = \"raw\" in qemu.conf and save again",
        path, how));
}

std::unique_ptr<Dump> open(std::vector<std::shared_ptr<const ByteSource>> files) {
    const auto& file = files.front();
    if (files.size() > 1)
        throw FileError(fmt::format("{}: a libvirt save file is one file; {} is another dump", file->path(), files[1]->path()));
    const auto bytes = file->read(FileOffset(0), header_bytes);
    if (starts_with(bytes, unfinished))
        throw FileError(fmt::format("{}: a libvirt save file that was not finished", file->path()));
    const Header header = parse(bytes, file->path());
    const uint64_t begin = header_bytes + header.xml_bytes;
    auto stream = tail_of(file, begin);
    std::vector<std::string> warnings;
    std::array<std::byte, 8> magic{};
    (void)stream->try_read(FileOffset(0), magic);
    if (header.compression != 0) {
        const auto packer = header.compression < programs.size() ? programs[header.compression] : std::string_view();
        if (packer != "gzip" && packer != "xz" && packer != "lzop") refuse(file->path(), header.compression);
        if (packer_of(magic) != packer)
            throw FileError(
                fmt::format("{}: damaged libvirt header: nothing packed with {} begins at offset 0x{:x}", file->path(), packer, begin));
        stream = open_packed(std::move(stream), packer, warnings);
        (void)stream->try_read(FileOffset(0), magic);
    }
    if (!is_qemu_stream(magic))
        throw FileError(fmt::format("{}: damaged libvirt header: no QEMU stream begins at offset 0x{:x}", file->path(), begin));
    return open_qemu_stream(std::move(stream), "libvirt save file", std::move(warnings));
}

} // namespace

extern const DumpFormat libvirt_format;
const DumpFormat libvirt_format{"libvirt save file", probe, open};

} // namespace kcrash
