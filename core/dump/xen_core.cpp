// SPDX-License-Identifier: GPL-3.0-or-later
// Xen core dumps of one domain: "xl dump-core", and what "xm dump-core" wrote before it was an ELF file.
//
// The ELF form has sections and no program headers:
//
//     .note.Xen       HEADER 0x2000001: magic, vCPUs, pages, page size, u64 each; FORMAT_VERSION 0x2000003
//     .xen_prstatus   vcpu_guest_context of each vCPU: 5168 bytes on x86_64
//     .xen_p2m        paravirtual: for each page the guest's frame and the machine's, u64 each
//     .xen_pfn        otherwise: for each page the guest's frame, u64
//     .xen_pages      the pages, in the same order
//
// The old form is a header of six u32: magic 0xf00febed (paravirtual) or 0xf00febee (HVM), vCPUs, pages, and the offsets of the
// vCPUs, of the list of frames (as wide as a long of the host: 4 or 8 bytes), of the pages.
//
// What is odd: pages come in any order, and a ballooned one has a frame number that is all ones. The frames of this reader are
// the guest's, which is what the guest's kernel calls physical. But the page tables of a paravirtual guest hold machine frames:
// .xen_p2m says which of the guest's each of them is, and the walker of page tables asks. cr3 of such a guest is a machine frame
// too. The list of the old paravirtual form has machine frames and nothing else: the first page table leads nowhere there, and the
// warning says so. Specified by Xen's docs/misc/dump-core-format.txt and xen/include/public/arch-x86/xen-x86_64.h (cr3).
//
//     lists of frames -+-> extents (frames, source = index of the page) ------------> binary search per page
//                      +-> extents (machine frames, source = frame) ----------------> binary search per entry of a page table
#include "core/cursor.hpp"
#include "core/dump/dump.hpp"
#include "core/dump/extents.hpp"
#include "core/dump/notes.hpp"
#include "core/dump/xen_vcpu.hpp"
#include "core/interrupt.hpp"
#include <algorithm>
#include <elf.h>
#include <fmt/format.h>

namespace kcrash {
namespace {

constexpr uint32_t old_paravirtual = 0xf00febed, old_hvm = 0xf00febee;
constexpr uint64_t max_frame_number = uint64_t{1} << 40;

// What both forms tell, one way or the other.
struct Layout {
    bool paravirtual = false;
    bool machine_frames = false; // the list has nothing else
    uint64_t page_size = 4096, pages = 0, vcpus = 0;
    FileOffset frames_at, pages_at, vcpus_at;
    uint64_t entry = 8;      // bytes of one entry of the list of frames, whose first word is the frame
    unsigned word = 8;       // bytes of a frame number
    uint64_t vcpu_bytes = 0; // 0: unknown
    std::string format;
};

struct Section {
    uint64_t at = 0, size = 0;
};

struct ElfHeader {
    bool elf64 = true;
    ByteOrder order = ByteOrder::little;
    uint16_t machine = 0;
    uint64_t sections_at = 0, section_bytes = 0, sections = 0, names = 0;
};

ElfHeader read_elf_header(const ByteSource& file) {
    ElfHeader header;
    const auto ident = file.read(FileOffset(0), EI_NIDENT);
    header.elf64 = ident[EI_CLASS] == std::byte{ELFCLASS64};
    header.order = ident[EI_DATA] == std::byte{ELFDATA2MSB} ? ByteOrder::big : ByteOrder::little;
    const auto bytes = file.read(FileOffset(0), header.elf64 ? sizeof(Elf64_Ehdr) : sizeof(Elf32_Ehdr));
    Cursor cursor(bytes, header.order, file.path());
    const unsigned word = header.elf64 ? 8 : 4;
    cursor.seek(18);
    header.machine = cursor.u16();
    cursor.seek(24 + 2 * word);
    header.sections_at = cursor.word(word);
    cursor.skip(10);
    header.section_bytes = cursor.u16();
    header.sections = cursor.u16();
    header.names = cursor.u16();
    const uint64_t least = header.elf64 ? sizeof(Elf64_Shdr) : sizeof(Elf32_Shdr);
    if (header.section_bytes < least || header.sections == 0 || header.names >= header.sections)
        throw FileError(
            fmt::format("{}: an ELF core file without memory: it has neither program headers nor sections", file.path()));
    return header;
}

class Sections {
public:
    Sections(const ByteSource& file, const ElfHeader& header) : file_(file), header_(header) {
        table_ = file.read(FileOffset(header.sections_at), header.sections * header.section_bytes);
        const Section names = section(header.names).second;
        constexpr uint64_t max_names = 1 << 16;
        names_ = file.read(FileOffset(names.at), std::min(names.size, max_names));
    }
    // The section of this name, or nothing. One that reaches beyond the file is cut where it is read.
    std::optional<Section> find(std::string_view name) const {
        for (uint64_t i = 0; i < header_.sections; ++i) {
            const auto [name_at, place] = section(i);
            if (name_at >= names_.size()) continue;
            const std::string_view text(reinterpret_cast<const char*>(names_.data()) + name_at, names_.size() - name_at);
            if (text.substr(0, text.find('\0')) == name) return place;
        }
        return std::nullopt;
    }

private:
    std::pair<uint32_t, Section> section(uint64_t index) const {
        const auto bytes = std::span(table_).subspan(index * header_.section_bytes, header_.section_bytes);
        Cursor cursor(bytes, header_.order, file_.path(), header_.sections_at + index * header_.section_bytes);
        const unsigned word = header_.elf64 ? 8 : 4;
        const uint32_t name = cursor.u32();
        cursor.skip(4 + 2 * word);
        const uint64_t at = cursor.word(word);
        return {name, {at, cursor.word(word)}};
    }
    const ByteSource& file_;
    ElfHeader header_;
    std::vector<std::byte> table_, names_;
};

// The descriptions of .note.Xen; the page size among them.
void read_xen_notes(const std::vector<Note>& notes, ByteOrder order, Layout& layout) {
    constexpr uint32_t note_header = 0x2000001;
    for (const Note& note : notes)
        if (note.type == note_header && note.description.size() >= 32) {
            layout.vcpus = load<uint64_t>(note.description.data() + 8, order);
            layout.page_size = load<uint64_t>(note.description.data() + 24, order);
        }
}

Layout elf_layout(const ByteSource& file, const ElfHeader& header, std::vector<Note>& notes, std::vector<std::string>& warnings) {
    const Sections sections(file, header);
    Layout layout;
    layout.format = "Xen core (ELF)";
    const auto need = [&](const char* name) {
        if (const auto found = sections.find(name)) return *found;
        throw FileError(fmt::format("{}: a Xen core dump without section {}", file.path(), name));
    };
    const Section pages = need(".xen_pages");
    const auto p2m = sections.find(".xen_p2m");
    const Section frames = p2m ? *p2m : need(".xen_pfn");
    if (const auto place = sections.find(".note.Xen"))
        notes = read_notes(file, FileOffset(place->at), place->size, header.order, warnings);
    read_xen_notes(notes, header.order, layout);
    layout.paravirtual = p2m.has_value();
    layout.entry = p2m ? 16 : 8;
    layout.frames_at = FileOffset(frames.at);
    layout.pages_at = FileOffset(pages.at);
    layout.pages = frames.size / layout.entry;
    if (const auto vcpus = sections.find(".xen_prstatus"); vcpus && layout.vcpus != 0) {
        layout.vcpus_at = FileOffset(vcpus->at);
        layout.vcpu_bytes = vcpus->size / layout.vcpus;
    }
    return layout;
}

// The width of a frame number follows from the room that the list has. In a small dump both fit: numbers tell.
unsigned old_word(const ByteSource& file, uint64_t list, uint64_t pages, uint64_t data) {
    const auto fits = [&](uint64_t word) { return (list + pages * word + 4095) / 4096 * 4096 == data; };
    if (fits(8) != fits(4)) return fits(8) ? 8 : 4;
    const auto bytes = file.read(FileOffset(list), std::min<uint64_t>(pages, 512) * 8);
    for (size_t at = 0; at < bytes.size(); at += 8)
        if (load<uint64_t>(bytes.data() + at, ByteOrder::little) >= max_frame_number) return 4;
    return 8;
}

Layout old_layout(const ByteSource& file) {
    const auto bytes = file.read(FileOffset(0), 24);
    Cursor cursor(bytes, ByteOrder::little, file.path());
    Layout layout;
    layout.paravirtual = layout.machine_frames = cursor.u32() == old_paravirtual;
    layout.format = layout.paravirtual ? "Xen core (old, paravirtual)" : "Xen core (old, HVM)";
    layout.vcpus = cursor.u32();
    layout.pages = cursor.u32();
    layout.vcpus_at = FileOffset(cursor.u32());
    layout.frames_at = FileOffset(cursor.u32());
    layout.pages_at = FileOffset(cursor.u32());
    if (layout.pages == 0 || layout.vcpus == 0)
        throw FileError(fmt::format("{}: damaged Xen core header: {} pages, {} vCPUs", file.path(), layout.pages, layout.vcpus));
    layout.word = old_word(file, layout.frames_at.value, layout.pages, layout.pages_at.value);
    layout.entry = layout.word;
    if (layout.frames_at > layout.vcpus_at) layout.vcpu_bytes = (layout.frames_at - layout.vcpus_at) / layout.vcpus;
    return layout;
}

class XenDump final : public Dump {
public:
    explicit XenDump(std::shared_ptr<const ByteSource> file);
    Fault try_read_page(PageFrame frame, std::span<std::byte> into) const override;
    std::optional<FileOffset> file_offset(PageFrame frame) const override;
    std::optional<PageFrame> frame_of_machine(PageFrame machine) const override;
    std::vector<PhysicalRange> memory() const override;

private:
    void check_layout() const;
    void fill_info();
    void read_frames();
    void read_vcpus();
    bool take_root(std::span<std::byte> context) const;

    std::shared_ptr<const ByteSource> file_;
    Layout layout_;
    std::vector<Extent> extents_; // frames; source is the index of the page
    std::vector<Extent> machine_; // frames of the machine; source is the domain's frame. Empty: they are the same, or not told
};

XenDump::XenDump(std::shared_ptr<const ByteSource> file) : file_(std::move(file)) {
    const bool elf = file_->read(FileOffset(0), 1).front() == std::byte{ELFMAG0};
    info_.elf_machine = EM_X86_64;
    if (elf) {
        const ElfHeader header = read_elf_header(*file_);
        info_.elf_machine = header.machine;
        info_.order = header.order;
        info_.word_size = header.elf64 ? 8 : 4;
        layout_ = elf_layout(*file_, header, notes_, info_.warnings);
    } else layout_ = old_layout(*file_);
    info_.machine_of_processor = true;
    check_layout();
    fill_info();
    read_frames();
    if (extents_.empty()) throw FileError(fmt::format("{}: a Xen core dump without a page", file_->path()));
    info_.max_frame = extents_.back().end;
    read_vcpus();
}

void XenDump::check_layout() const {
    if (!possible_page_size(layout_.page_size))
        throw FileError(fmt::format("{}: damaged Xen core dump: page size {}", file_->path(), layout_.page_size));
    const uint64_t at = layout_.frames_at.value, size = file_->size();
    if (at > size || layout_.pages > (size - at) / layout_.entry)
        throw FileError(fmt::format("{}: truncated: the list of {} page frames at offset 0x{:x} is beyond the file's {} bytes",
                                    file_->path(), layout_.pages, at, size));
}

void XenDump::fill_info() {
    info_.format = layout_.format;
    info_.page_size = layout_.page_size;
    info_.compression = "none";
    if (layout_.machine_frames)
        info_.warnings.push_back(
            fmt::format("{}: an old dump of a paravirtual domain: it knows machine frames only", file_->path()));
    info_.machine_frames = layout_.paravirtual && !layout_.machine_frames;
    uint64_t needed;
    if (__builtin_mul_overflow(layout_.pages, layout_.page_size, &needed) ||
        __builtin_add_overflow(needed, layout_.pages_at.value, &needed))
        needed = UINT64_MAX;
    if (needed <= file_->size()) return;
    info_.truncated = true;
    info_.warnings.push_back(fmt::format("{}: truncated: needs {} bytes, has {}", file_->path(), needed, file_->size()));
}

// Frames in a row become one extent. A later one for the same frame has no effect.
class Runs {
public:
    void add(uint64_t frame, uint64_t source, uint64_t rank) {
        if (run_.end == frame && run_.source + (run_.end - run_.begin) == source && run_.end != run_.begin) {
            ++run_.end;
            return;
        }
        if (run_.end != run_.begin) extents_.push_back(run_);
        run_ = {frame, frame + 1, source, rank};
    }
    std::vector<Extent> take() && {
        if (run_.end != run_.begin) extents_.push_back(run_);
        resolve_overlaps(extents_, [](const Extent&, const Extent&) { return true; });
        return std::move(extents_);
    }

private:
    Extent run_;
    std::vector<Extent> extents_;
};

// Reads the list of frames once.
void XenDump::read_frames() {
    constexpr uint64_t at_once = 1 << 16;
    Runs frames, machine;
    for (uint64_t i = 0; i < layout_.pages; i += at_once) {
        check_interrupt();
        const uint64_t n = std::min(at_once, layout_.pages - i);
        const auto bytes = file_->read(layout_.frames_at + i * layout_.entry, n * layout_.entry);
        for (uint64_t j = 0; j < n; ++j) {
            const uint64_t frame = load_unsigned(std::span(bytes).subspan(j * layout_.entry, layout_.word), info_.order);
            if (frame >= max_frame_number || (layout_.word == 4 && frame == UINT32_MAX)) continue; // none: ballooned
            frames.add(frame, i + j, i + j);
            if (!info_.machine_frames) continue;
            const uint64_t under = load<uint64_t>(bytes.data() + j * layout_.entry + 8, info_.order);
            if (under < max_frame_number) machine.add(under, frame, i + j);
        }
    }
    extents_ = std::move(frames).take();
    machine_ = std::move(machine).take();
}

std::optional<PageFrame> XenDump::frame_of_machine(PageFrame machine) const {
    if (!info_.machine_frames) return machine;
    const Extent* extent = find_extent(machine_, machine.value);
    if (!extent || extent->begin > machine.value) return std::nullopt;
    return PageFrame(extent->source + (machine.value - extent->begin));
}

// Puts the domain's own frame into cr3. False: it is of no use. A reader of control registers clears the lowest bit of the frame,
// which marks the user's half of a pair of tables where there are pairs: such a table is the kernel's half only at an even frame.
bool XenDump::take_root(std::span<std::byte> context) const {
    if (!layout_.paravirtual) return true;
    if (layout_.machine_frames) return false;
    std::byte* const cr3 = context.data() + xen_vcpu_cr3;
    const auto frame = frame_of_machine(PageFrame(load<uint64_t>(cr3, ByteOrder::little) / layout_.page_size));
    if (!frame || frame->value % 2) return false;
    const uint64_t root = frame->value * layout_.page_size;
    for (unsigned i = 0; i < 8; ++i) cr3[i] = static_cast<std::byte>(root >> 8 * i);
    return true;
}

// Registers of vCPUs, of x86_64 alone. Their number is bounded by the bytes that are there.
void XenDump::read_vcpus() {
    if (layout_.vcpu_bytes != xen_vcpu_bytes || info_.elf_machine != EM_X86_64) {
        if (layout_.vcpu_bytes != 0)
            info_.warnings.push_back(
                fmt::format("{}: vCPUs of {} bytes are not x86_64's: registers are left out", file_->path(), layout_.vcpu_bytes));
        return;
    }
    std::vector<std::byte> context(xen_vcpu_bytes);
    constexpr uint64_t max_vcpus = 8192;
    for (uint64_t i = 0; i < std::min(layout_.vcpus, max_vcpus); ++i) {
        if (file_->try_read(layout_.vcpus_at + i * xen_vcpu_bytes, context) != Fault::none) return;
        const bool root = take_root(context);
        for (Note& note : xen_vcpu_notes(context, static_cast<uint32_t>(i), root))
            notes_.push_back(std::move(note));
    }
}

std::optional<FileOffset> XenDump::file_offset(PageFrame frame) const {
    const Extent* extent = find_extent(extents_, frame.value);
    if (!extent || extent->begin > frame.value) return std::nullopt;
    uint64_t at;
    if (__builtin_mul_overflow(extent->source + (frame.value - extent->begin), info_.page_size, &at)) return std::nullopt;
    return layout_.pages_at.value > UINT64_MAX - at ? std::nullopt : std::optional(layout_.pages_at + at);
}

Fault XenDump::try_read_page(PageFrame frame, std::span<std::byte> into) const {
    const auto at = file_offset(frame);
    return at ? file_->try_read(*at, into) : Fault::not_in_dump;
}

std::vector<PhysicalRange> XenDump::memory() const {
    std::vector<PhysicalRange> ranges;
    for (const Extent& extent : extents_) {
        const PhysicalAddress begin(extent.begin * info_.page_size), end(extent.end * info_.page_size);
        if (!ranges.empty() && ranges.back().end == begin) ranges.back().end = end;
        else ranges.push_back({begin, end});
    }
    return ranges;
}

// An ELF core file whose header counts no program headers is Xen's.
Probe probe(std::span<const std::byte> head) {
    if (head.size() < 4) return Probe::not_mine;
    const uint32_t magic = load<uint32_t>(head.data(), ByteOrder::little);
    if (magic == old_paravirtual || magic == old_hvm) return Probe::mine;
    if (head.size() < sizeof(Elf64_Ehdr) || std::memcmp(head.data(), ELFMAG, SELFMAG) != 0) return Probe::not_mine;
    const ByteOrder order = head[EI_DATA] == std::byte{ELFDATA2MSB} ? ByteOrder::big : ByteOrder::little;
    const bool elf64 = head[EI_CLASS] == std::byte{ELFCLASS64};
    const uint16_t segments =
        load<uint16_t>(head.data() + (elf64 ? offsetof(Elf64_Ehdr, e_phnum) : offsetof(Elf32_Ehdr, e_phnum)), order);
    return load<uint16_t>(head.data() + 16, order) == ET_CORE && segments == 0 ? Probe::mine : Probe::not_mine;
}

std::unique_ptr<Dump> open(std::vector<std::shared_ptr<const ByteSource>> files) {
    if (files.size() > 1)
        throw FileError(fmt::format("{}: a Xen core dump is one file; {} is another dump", files[0]->path(), files[1]->path()));
    return std::make_unique<XenDump>(std::move(files.front()));
}

} // namespace

extern const DumpFormat xen_core_format;
const DumpFormat xen_core_format{"Xen core", probe, open};

} // namespace kcrash
