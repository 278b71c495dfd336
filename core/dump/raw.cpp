// SPDX-License-Identifier: GPL-3.0-or-later
// Raw memory: QEMU's pmemsave, what a boot loader or a debug probe saved of a board, LiME's "padded" and "raw" files.
//
// There is nothing in such a file but memory, so the user says where each begins, as crash takes it:
//
//     kcrash vmlinux DDRCS0_0.BIN@0x80000000,DDRCS1_0.BIN@0xc0000000
//
// Addresses are hexadecimal, with or without 0x. Where two files claim the same memory the first wins, and the user is told. On
// PCs memory has a hole below 4 GiB: a file that was written through it has zeroes there. All else (KASLR, the page size) is
// found in memory: see memory_note.cpp.
#include "core/dump/raw.hpp"
#include "core/dump/mapped.hpp"
#include "core/error.hpp"
#include "core/slice.hpp"
#include <algorithm>
#include <charconv>
#include <fmt/format.h>
#include <sys/stat.h>

namespace kcrash {
namespace {

struct Part {
    std::string path;
    uint64_t begin;
};

bool exists(const std::string& path) {
    struct stat st {};
    return ::stat(path.c_str(), &st) == 0;
}

std::optional<Part> parse_part(std::string_view text) {
    const size_t at = text.rfind('@');
    if (at == std::string_view::npos || at == 0) return std::nullopt;
    std::string_view number = text.substr(at + 1);
    if (number.starts_with("0x") || number.starts_with("0X")) number.remove_prefix(2);
    uint64_t begin = 0;
    const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), begin, 16);
    if (error != std::errc() || end != number.data() + number.size()) return std::nullopt;
    return Part{std::string(text.substr(0, at)), begin};
}

// Nothing when one of the parts is none.
std::optional<std::vector<Part>> parse_list(std::string_view word) {
    std::vector<Part> parts;
    while (true) {
        const size_t comma = word.find(',');
        const auto part = parse_part(word.substr(0, comma));
        if (!part) return std::nullopt;
        parts.push_back(*part);
        if (comma == std::string_view::npos) return parts;
        word.remove_prefix(comma + 1);
    }
}

void warn_of_overlaps(std::vector<Extent> extents, MappedParts& parts) {
    std::sort(extents.begin(), extents.end(), [](const Extent& a, const Extent& b) { return a.begin < b.begin; });
    for (size_t i = 1; i < extents.size(); ++i)
        if (extents[i].begin < extents[i - 1].end)
            parts.warnings.push_back(fmt::format("{}: two files hold memory at 0x{:x}; the first that was named is used",
                                                 parts.bytes->path(), extents[i].begin));
}

} // namespace

bool is_raw_list(const std::string& word) { return word.find('@') != std::string::npos && !exists(word) && parse_list(word); }

std::unique_ptr<Dump> open_raw(const std::vector<std::string>& words) {
    std::vector<std::shared_ptr<const ByteSource>> files;
    MappedParts parts;
    uint64_t source = 0;
    for (const std::string& word : words) {
        const auto list = parse_list(word);
        if (!list) throw FileError(fmt::format("{}: is not FILE@ADDRESS, as the others of this dump are", word));
        for (const Part& part : *list) {
            files.push_back(open_file(part.path));
            const uint64_t size = files.back()->size();
            uint64_t end;
            if (size == 0) throw FileError(fmt::format("{}: is empty", part.path));
            if (__builtin_add_overflow(part.begin, size, &end) || end > uint64_t{1} << 63)
                throw FileError(fmt::format("{}: memory of {} bytes cannot begin at 0x{:x}", part.path, size, part.begin));
            parts.extents.push_back({part.begin, end, source, parts.extents.size()});
            if (__builtin_add_overflow(source, size, &source)) throw FileError(fmt::format("{}: is too large", part.path));
        }
    }
    parts.offsets_are_of_the_file = files.size() == 1;
    parts.bytes = join_files(std::move(files));
    parts.format = "raw memory";
    warn_of_overlaps(parts.extents, parts);
    return make_mapped_dump(std::move(parts));
}

} // namespace kcrash
