// SPDX-License-Identifier: GPL-3.0-or-later
// The list of dump formats, and the choice among them by content: names of files mean nothing.
#include "core/dump/dump.hpp"
#include "core/dump/flattened.hpp"
#include "core/error.hpp"
#include <algorithm>
#include <fmt/format.h>

namespace kcrash {

extern const DumpFormat kdump_format, diskdump_format, xen_core_format, elf_format, lkcd_format, s390_format, vmdump_format,
    sadump_format, unread_format;

std::span<const DumpFormat* const> dump_formats() {
    static const DumpFormat* const formats[] = {&kdump_format,  &diskdump_format, &xen_core_format, // before ELF, which it may be
                                                &elf_format,    &lkcd_format,     &s390_format,
                                                &vmdump_format, &sadump_format,   &unread_format};
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

// The files as the formats want them: what a flattened file holds in place of the file.
struct Opened {
    std::vector<std::shared_ptr<const ByteSource>> files;
    bool flattened = false, truncated = false;
    std::vector<std::string> warnings;

    explicit Opened(const std::vector<std::string>& paths) {
        for (const std::string& path : paths) {
            files.push_back(open_file(path));
            if (!is_flattened(head_of(*files.back()))) continue;
            bool cut = false;
            files.back() = open_flattened(files.back(), warnings, cut);
            flattened = true;
            truncated |= cut;
        }
    }
};

} // namespace

bool looks_like_dump(const ByteSource& file) {
    const auto head = head_of(file);
    return is_flattened(head) || format_of(head) != nullptr;
}

std::unique_ptr<Dump> open_dump(const std::vector<std::string>& paths) {
    if (paths.empty()) throw FileError("no dump file was given");
    Opened opened(paths);
    const DumpFormat& format = format_of(*opened.files.front());
    for (const auto& file : opened.files)
        if (&format_of(*file) != &format)
            throw FileError(fmt::format("{}: is not of the same dump as {}", file->path(), opened.files.front()->path()));
    auto dump = format.open(std::move(opened.files));
    DumpInfo& info = dump->info_;
    info.files = paths;
    if (opened.flattened) info.format = "flattened " + info.format;
    info.truncated |= opened.truncated;
    info.warnings.insert(info.warnings.begin(), opened.warnings.begin(), opened.warnings.end());
    return dump;
}

} // namespace kcrash
