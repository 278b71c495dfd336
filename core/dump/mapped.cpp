// SPDX-License-Identifier: GPL-3.0-or-later
// Ranges of physical memory in a file.
#include "core/dump/mapped.hpp"
#include "core/dump/machines.hpp"
#include "core/dump/memory_note.hpp"
#include "core/dump/notes.hpp"
#include "core/dump/vmcoreinfo.hpp"
#include "core/error.hpp"
#include <algorithm>
#include <fmt/format.h>

namespace kcrash {
namespace {

// Not every kernel of 32 bits has a key of its own in it.
bool has_32_bit_addresses(const std::string& vmcoreinfo) {
    const auto address = VmcoreInfo(vmcoreinfo).symbol("swapper_pg_dir");
    return address && *address != 0 && *address <= UINT32_MAX;
}

bool all_alike(const Extent&, const Extent&) { return true; }

class MappedDump final : public Dump {
public:
    explicit MappedDump(MappedParts parts);
    Fault try_read_page(PageFrame frame, std::span<std::byte> into) const override { return try_read_part(frame, 0, into); }
    Fault try_read_part(PageFrame frame, uint64_t offset, std::span<std::byte> into) const override;
    std::optional<FileOffset> file_offset(PageFrame frame) const override;
    std::vector<PhysicalRange> memory() const override;

private:
    void find_vmcoreinfo();
    void check_size();

    std::shared_ptr<const ByteSource> bytes_;
    std::vector<Extent> extents_; // ascending, free of overlaps
    bool offsets_are_of_the_file_;
};

MappedDump::MappedDump(MappedParts parts)
    : bytes_(std::move(parts.bytes)), extents_(std::move(parts.extents)),
      offsets_are_of_the_file_(parts.offsets_are_of_the_file) {
    resolve_overlaps(extents_, all_alike);
    if (extents_.empty()) throw FileError(fmt::format("{}: holds no memory that can be read ({})", bytes_->path(), parts.format));
    info_.format = std::move(parts.format);
    info_.compression = std::move(parts.compression);
    info_.truncated = parts.truncated;
    info_.incomplete = parts.incomplete;
    info_.elf_machine = parts.elf_machine;
    info_.order = parts.order;
    info_.machine_of_processor = parts.elf_machine != 0;
    info_.notes_have_pc = parts.notes_have_pc;
    info_.machine = std::move(parts.machine);
    info_.warnings = std::move(parts.warnings);
    notes_ = std::move(parts.notes);
    if (info_.elf_machine) info_.word_size = word_size_of(info_.elf_machine, true);
    check_size();
    find_vmcoreinfo();
    info_.max_frame = (extents_.back().end - 1) / info_.page_size + 1;
}

void MappedDump::check_size() {
    uint64_t needed = 0;
    for (const Extent& extent : extents_) {
        uint64_t end;
        if (__builtin_add_overflow(extent.source, extent.end - extent.begin, &end)) end = UINT64_MAX;
        needed = std::max(needed, end);
    }
    if (needed <= bytes_->size() || info_.truncated) return;
    info_.truncated = true;
    info_.warnings.push_back(fmt::format("{}: truncated: needs {} bytes, has {}", bytes_->path(), needed, bytes_->size()));
}

void MappedDump::find_vmcoreinfo() {
    NoteSearch search;
    const auto note = find_memory_note(*bytes_, extents_, search);
    info_.note_sought = true;
    if (!note) {
        info_.warnings.push_back(fmt::format(
            "{}: no VMCOREINFO was found in {}; pages of 4096 bytes are assumed; give vmlinux, and --kaslr if it was on",
            bytes_->path(), search.cut ? fmt::format("the {} MB of memory that were searched", search.most >> 20) : "memory"));
        return;
    }
    vmcoreinfo_ = note->text;
    info_.page_size = vmcoreinfo_page_size(note->text);
    info_.order = note->order;
    auto machine = machine_of_vmcoreinfo(note->text, note->order);
    if (!machine && has_32_bit_addresses(note->text)) machine = kernel_of_32_bits(info_.elf_machine);
    if (!machine) return;
    info_.elf_machine = machine->elf_machine;
    info_.word_size = machine->word_size;
    info_.machine_of_processor = false;
}

Fault MappedDump::try_read_part(PageFrame frame, uint64_t offset, std::span<std::byte> into) const {
    if (frame.value >= info_.max_frame) return Fault::not_in_dump;
    uint64_t at = frame.value * info_.page_size + offset;
    while (!into.empty()) {
        const Extent* extent = find_extent(extents_, at);
        if (!extent || extent->begin > at) return Fault::not_in_dump;
        const size_t n = static_cast<size_t>(std::min<uint64_t>(into.size(), extent->end - at));
        const Fault fault = bytes_->try_read(FileOffset(extent->source + (at - extent->begin)), into.first(n));
        if (fault != Fault::none) return fault == Fault::truncated && info_.incomplete ? Fault::incomplete : fault;
        into = into.subspan(n);
        at += n;
    }
    return Fault::none;
}

std::optional<FileOffset> MappedDump::file_offset(PageFrame frame) const {
    if (!offsets_are_of_the_file_ || frame.value >= info_.max_frame) return std::nullopt;
    const uint64_t at = frame.value * info_.page_size;
    const Extent* extent = find_extent(extents_, at);
    if (!extent || extent->begin > at) return std::nullopt;
    return FileOffset(extent->source + (at - extent->begin));
}

std::vector<PhysicalRange> MappedDump::memory() const {
    std::vector<PhysicalRange> ranges;
    for (const Extent& extent : extents_) {
        if (!ranges.empty() && ranges.back().end.value == extent.begin) ranges.back().end.value = extent.end;
        else ranges.push_back({PhysicalAddress(extent.begin), PhysicalAddress(extent.end)});
    }
    return ranges;
}

} // namespace

std::unique_ptr<Dump> make_mapped_dump(MappedParts parts) { return std::make_unique<MappedDump>(std::move(parts)); }

} // namespace kcrash
