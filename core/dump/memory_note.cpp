// SPDX-License-Identifier: GPL-3.0-or-later
// The search for VMCOREINFO in memory.
//
// The kernel has an ELF note ready in memory: three words, the name padded to 12 bytes, the text. The text alone lies in a second
// place, and the name in a third, among the strings; only the note has its header before it, and only it is taken:
//
//     +0   namesz = 11     +4   descsz     +8   type = 0     +12  "VMCOREINFO\0\0"     +24  OSRELEASE=...
//
// A machine that was restarted without losing its memory may hold an older kernel's note too; the first that is whole is taken.
//
// Since Linux 203e9e41219b ("kexec: move vmcoreinfo out of the kernel's .bss section"), v4.13, it is in pages that the allocator
// gives early in the boot. Those come from the beginning of the zone of ordinary memory, which is from 4 GB on in a PC that has as
// much, or from its end: it depends on the order in which memory was given to the allocator. So these places come first.
#include "core/dump/memory_note.hpp"
#include "core/dump/notes.hpp"
#include "core/dump/vmcoreinfo.hpp"
#include "core/interrupt.hpp"
#include <algorithm>
#include <cstring>
#include <elf.h>
#include <utility>

namespace kcrash {
namespace {

constexpr size_t window = size_t{1} << 20, header_bytes = 24, most_text = size_t{64} << 10;
constexpr unsigned most_empty_windows = 1 << 16; // 64 GB: a header may claim more memory than there is time for
constexpr std::string_view name("VMCOREINFO\0\0", 12);

thread_local uint64_t most_searched = uint64_t{16} << 30;

bool is_text(std::string_view text) {
    return std::all_of(text.begin(), text.end(), [](char c) { return c == '\n' || c == '\t' || (c >= ' ' && c <= '~'); });
}

// The note whose name stands at `at`, if there is a whole one around it.
std::optional<MemoryNote> note_at(std::span<const std::byte> bytes, size_t at) {
    if (at < 12 || bytes.size() - at < name.size()) return std::nullopt;
    for (const ByteOrder order : {ByteOrder::little, ByteOrder::big}) {
        const std::byte* header = bytes.data() + at - 12;
        const uint32_t size = load<uint32_t>(header + 4, order);
        if (load<uint32_t>(header, order) != 11 || load<uint32_t>(header + 8, order) != 0) continue;
        if (size == 0 || size > most_text || size > bytes.size() - at - name.size()) continue;
        std::string text(reinterpret_cast<const char*>(bytes.data()) + at + name.size(), size);
        text.resize(std::min(text.find('\0'), text.size()));
        if (is_text(text) && VmcoreInfo(text).value("OSRELEASE") && vmcoreinfo_page_size(text) != 0)
            return MemoryNote{text, order};
    }
    return std::nullopt;
}

std::optional<MemoryNote> search_window(std::span<const std::byte> bytes) {
    const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    for (size_t at = text.find(name); at != std::string_view::npos; at = text.find(name, at + 1))
        if (auto note = note_at(bytes, at)) return note;
    return std::nullopt;
}

// The same memory, cut into pieces: the likely places, each of so many bytes at most, and then the rest. The rank of a piece is how
// many bytes of its extent lie behind it.
std::vector<Extent> likely_first(const std::vector<Extent>& memory, uint64_t most) {
    if (memory.empty()) return {};
    const uint64_t share = most < 64 * window ? most : most / 3;
    const uint64_t bytes = std::min<uint64_t>(share / window * window, uint64_t{1} << 30), begin = memory.front().begin, end = memory.back().end;
    constexpr uint64_t ordinary = uint64_t{4} << 30; // where a PC's zone of ordinary memory begins
    const auto add = [](uint64_t a, uint64_t b) { return a > UINT64_MAX - b ? UINT64_MAX : a + b; };
    const std::pair<uint64_t, uint64_t> likely[] = {
        {begin, add(begin, bytes)}, {ordinary, ordinary + bytes}, {end > bytes ? end - bytes : 0, end}};
    std::vector<Extent> first, rest;
    for (const Extent& extent : memory)
        for (uint64_t at = extent.begin, next; at < extent.end; at = next) {
            next = extent.end;
            bool inside = false;
            for (const auto& [from, to] : likely) {
                const bool here = at >= from && at < to;
                inside |= here;
                if (here || at < from) next = std::min(next, here ? to : from);
            }
            (inside ? first : rest).push_back({at, next, extent.source + (at - extent.begin), extent.end - next});
        }
    first.insert(first.end(), rest.begin(), rest.end());
    return first;
}

// As much of it as can be read; the rest is zero. False: nothing can.
bool read_what_there_is(const ByteSource& file, uint64_t at, std::span<std::byte> into) {
    if (file.try_read(FileOffset(at), into) == Fault::none) return true;
    constexpr size_t piece = 4096;
    bool any = false;
    for (size_t done = 0; done < into.size(); done += piece) {
        const auto part = into.subspan(done, std::min(piece, into.size() - done));
        if (file.try_read(FileOffset(at + done), part) == Fault::none) any = true;
        else std::fill(part.begin(), part.end(), std::byte{0});
    }
    return any;
}

// A dump's memory as bytes at their physical addresses. Reads whole pages.
class MemoryBytes final : public ByteSource {
public:
    explicit MemoryBytes(const Dump& dump) : dump_(dump), page_(dump.info().page_size) {}
    Fault try_read(FileOffset at, std::span<std::byte> into) const override {
        std::vector<std::byte> page(page_);
        for (uint64_t address = at.value; !into.empty();) {
            const Fault fault = dump_.try_read_page(PageFrame(address / page_), page);
            if (fault != Fault::none) return fault;
            const uint64_t offset = address % page_;
            const size_t n = static_cast<size_t>(std::min<uint64_t>(page_ - offset, into.size()));
            std::memcpy(into.data(), page.data() + offset, n);
            into = into.subspan(n);
            address += n;
        }
        return Fault::none;
    }
    uint64_t size() const override { return UINT64_MAX; }
    const std::string& path() const override { return dump_.info().files.front(); }

private:
    const Dump& dump_;
    uint64_t page_; // bytes
};

} // namespace

std::optional<MemoryNote> find_memory_note(const Dump& dump, NoteSearch& search) {
    if (dump.info().note_sought) return std::nullopt;
    std::vector<Extent> memory;
    for (const PhysicalRange& range : dump.memory()) memory.push_back({range.begin.value, range.end.value, range.begin.value});
    return find_memory_note(MemoryBytes(dump), memory, search);
}

std::optional<MemoryNote> find_memory_note(const ByteSource& bytes, const std::vector<Extent>& memory, NoteSearch& search) {
    constexpr size_t most_overlap = header_bytes + most_text; // windows overlap by the largest note
    std::vector<std::byte> buffer(window + most_overlap);
    unsigned empty = 0; // windows in a row
    uint64_t left = search.most;
    for (const Extent& extent : likely_first(memory, search.most / 4)) {
        const uint64_t there = bytes.size() > extent.source ? bytes.size() - extent.source : 0;
        const uint64_t size = std::min(extent.end - extent.begin, there), behind = std::min(extent.rank, there - size);
        for (uint64_t at = 0; at < size; at += window) {
            check_interrupt();
            search.cut = left == 0 || empty == most_empty_windows;
            if (search.cut) return std::nullopt;
            const auto part = std::span(buffer).first(std::min<uint64_t>(buffer.size(), size - at + std::min<uint64_t>(behind, most_overlap)));
            if (!read_what_there_is(bytes, extent.source + at, part)) {
                ++empty;
                continue;
            }
            empty = 0;
            left -= std::min<uint64_t>(left, window);
            if (auto note = search_window(part)) return note;
        }
    }
    return std::nullopt;
}

std::optional<Machine> machine_of_vmcoreinfo(const std::string& text, ByteOrder order) {
    struct Sign {
        const char* key;
        const char* machine;
    };
    // What arch_crash_save_vmcoreinfo() of each architecture adds; the rarer keys first.
    static constexpr Sign signs[] = {
        {"NUMBER(kimage_voffset)", "aarch64"},
        {"NUMBER(va_kernel_pa_offset)", "riscv64"},
        {"NUMBER(phys_ram_base)", "riscv64"},
        {"SYMBOL(lowcore_ptr)", "s390x"},
        {"SYMBOL(init_top_pgt)", "x86_64"},
        {"NUMBER(phys_base)", "x86_64"},
        {"SYMBOL(phys_base)", "x86_64"},
        {"SYMBOL(init_level4_pgt)", "x86_64"},
        {"SYMBOL(vmemmap_list)", "ppc64"},
        {"CONFIG_ARM_LPAE", "arm"},
        {"CONFIG_X86_PAE", "i386"},
    };
    const VmcoreInfo info(text);
    for (const Sign& sign : signs) {
        if (!info.value(sign.key)) continue;
        const bool little_ppc = sign.machine == std::string_view("ppc64") && order == ByteOrder::little;
        return machine_by_name(little_ppc ? "ppc64le" : sign.machine);
    }
    return std::nullopt;
}

ShortNoteSearch::ShortNoteSearch(uint64_t most) : before_(std::exchange(most_searched, most)) {}
ShortNoteSearch::~ShortNoteSearch() { most_searched = before_; }
uint64_t ShortNoteSearch::most() { return most_searched; }

} // namespace kcrash
