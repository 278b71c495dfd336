// SPDX-License-Identifier: GPL-3.0-or-later
// The list of dump formats, and the choice among them by content: names of files mean nothing.
#include "core/dump/dump.hpp"
#include "core/dump/flattened.hpp"
#include "core/dump/raw.hpp"
#include "core/error.hpp"
#include "core/packed_file.hpp"
#include <algorithm>
#include <fmt/format.h>

namespace kcrash {

extern const DumpFormat kdump_format, diskdump_format, xen_core_format, elf_format, lkcd_format, s390_format, vmdump_format,
    sadump_format;
extern const DumpFormat lime_format, avml_format, qemu_stream_format, qcow2_format, libvirt_format, vmware_format, vmware_guest_format;
extern const DumpFormat unread_format;

std::span<const DumpFormat* const> dump_formats() {
    static const DumpFormat* const formats[] = {
        &kdump_format,        &diskdump_format,
        &xen_core_format, // before ELF, which it may be
        &elf_format,          &lkcd_format,        &s390_format,    &vmdump_format, &sadump_format, &lime_format,
        &avml_format,         &qemu_stream_format, &qcow2_format,  &libvirt_format, &vmware_format, &unread_format,
        &vmware_guest_format, // it has no magic number
    };
    return formats;
}

namespace {

// The first bytes of a file; fewer where fewer can be read.
std::vector<std::byte> head_of(const ByteSource& file) {
    std::vector<std::byte> head(std::min<uint64_t>(file.size(), 8192));
    while (!head.empty() && file.try_read(FileOffset(0), head) != Fault::none) head.resize(head.size() / 2);
    return head;
}

const DumpFormat* format_of(std::span<const std::byte> head) {
    for (const DumpFormat* format : dump_formats())
        if (format->probe(head) == Probe::mine) return format;
    return nullptr;
}

const DumpFormat& format_of(const ByteSource& file) {
    if (file.size() == 0) throw FileError(fmt::format("{}: is empty", file.path()));
    const auto head = head_of(file);
    if (is_flattened(head)) throw FileError(fmt::format("{}: a flattened file inside a flattened file", file.path()));
    const DumpFormat* format = format_of(head);
    if (!format) throw FileError(fmt::format("{}: is not a dump of a format that kcrash knows", file.path()));
    return *format;
}

bool beginning_is_enough(const ByteSource& file, std::string_view packer) {
    const DumpFormat* format = format_of(packed_head(file, packer, 8192));
    return format && format->from_the_start;
}

// The files as the formats want them: what a packed file holds in place of the file, and then what a flattened one holds.
struct Opened {
    std::vector<std::shared_ptr<const ByteSource>> given, files;
    std::string wrappers; // "gzip flattened "
    bool truncated = false, end_unseen = false;
    std::vector<std::string> warnings;

    Opened(const std::vector<std::string>& paths, bool quickly) {
        for (const std::string& path : paths) {
            given.push_back(open_file(path));
            files.push_back(given.back());
            const std::string_view packer = packer_of(head_of(*files.back()));
            if (!packer.empty()) files.back() = open_packed(files.back(), packer, warnings, quickly && beginning_is_enough(*files.back(), packer));
            end_unseen |= !packer.empty() && files.back()->size() == unknown_size;
            const bool flattened = is_flattened(head_of(*files.back()));
            bool cut = false;
            if (flattened) files.back() = open_flattened(files.back(), warnings, cut);
            truncated |= cut;
            if (files.size() > 1) continue;
            if (!packer.empty()) wrappers += std::string(packer) + " ";
            if (flattened) wrappers += "flattened ";
        }
    }
};

} // namespace

bool looks_like_dump(const ByteSource& file) {
    const auto head = head_of(file);
    const std::string_view packer = packer_of(head);
    const auto inside = packer.empty() ? head : packed_head(file, packer, 8192);
    return is_flattened(inside) || format_of(inside) != nullptr;
}

std::optional<uint64_t> Dump::fetched() const {
    std::optional<uint64_t> sum;
    for (const auto& file : files_)
        if (const auto bytes = file->fetched()) sum = sum.value_or(0) + *bytes;
    return sum;
}

std::unique_ptr<Dump> open_dump(const std::vector<std::string>& paths, bool quickly) {
    if (paths.empty()) throw FileError("no dump file was given");
    if (std::any_of(paths.begin(), paths.end(), is_raw_list)) {
        auto raw = open_raw(paths);
        raw->info_.files = paths;
        return raw;
    }
    Opened opened(paths, quickly);
    const DumpFormat& format = format_of(*opened.files.front());
    for (const auto& file : opened.files)
        if (&format_of(*file) != &format)
            throw FileError(fmt::format("{}: is not of the same dump as {}", file->path(), opened.files.front()->path()));
    auto dump = format.open(std::move(opened.files));
    DumpInfo& info = dump->info_;
    info.files = paths;
    dump->files_ = std::move(opened.given);
    info.format = opened.wrappers + info.format;
    for (const auto& file : dump->files_) info.live |= file->live();
    info.truncated |= opened.truncated;
    info.end_unseen = opened.end_unseen;
    info.warnings.insert(info.warnings.begin(), opened.warnings.begin(), opened.warnings.end());
    return dump;
}

} // namespace kcrash
