// SPDX-License-Identifier: GPL-3.0-or-later
// The list of what is fuzzed.
#include "tests/fuzz/drivers.hpp"
#include "arch/architecture.hpp"
#include "core/dump/device_dumps.hpp"
#include "core/dump/flattened.hpp"
#include "core/dump/mapped.hpp"
#include "core/dump/memory_note.hpp"
#include "core/dump/notes.hpp"
#include "core/dump/raw.hpp"
#include "core/dump/vmcoreinfo.hpp"
#include "core/error.hpp"
#include "core/memory/decompress.hpp"
#include "core/packed_file.hpp"
#include "tests/fuzz/fuzz_source.hpp"
#include "tests/fuzz/walks.hpp"
#include <algorithm>
#include <cstdlib>
#include <sstream>
#include <sys/mman.h>
#include <unistd.h>

namespace kcrash {
extern const DumpFormat kdump_format, diskdump_format, xen_core_format, elf_format, lkcd_format, s390_format, vmdump_format,
    sadump_format;
extern const DumpFormat lime_format, avml_format, qemu_stream_format, qcow2_format, libvirt_format, vmware_format, vmware_guest_format;
extern const DumpFormat unread_format;
} // namespace kcrash

namespace kcrash::fuzz {

void use_dump(const Dump& dump) {
    std::vector<std::byte> page(dump.info().page_size);
    const auto use = [&](uint64_t frame) {
        (void)dump.try_read_page(PageFrame(frame), page);
        (void)dump.try_read_part(PageFrame(frame), 16, std::span(page).first(32));
        (void)dump.file_offset(PageFrame(frame));
        (void)dump.frame_of_machine(PageFrame(frame));
    };
    for (uint64_t frame = 0; frame < 64; ++frame) use(frame);
    for (unsigned shift = 6; shift < 64; ++shift) use((uint64_t{1} << shift) + 1);
    use(dump.info().max_frame - 1);
    use(UINT64_MAX);
    uint64_t before = 0;
    for (const PhysicalRange& range : dump.memory()) {
        if (range.begin.value < before || range.end <= range.begin) std::abort(); // ascending and not empty, whatever the file says
        before = range.end.value;
        use(range.begin.value / dump.info().page_size);
    }
    (void)device_dumps(dump);
    (void)VmcoreInfo(dump.vmcoreinfo()).kernel_offset();
}

void use_file(const ByteSource& file) {
    std::vector<std::byte> piece(5000);
    for (uint64_t at = 0; at < file.size() && at < 200'000; at += piece.size()) (void)file.try_read(FileOffset(at), piece);
    for (const uint64_t at : {file.size() / 2, file.size() - std::min<uint64_t>(file.size(), piece.size()), UINT64_MAX})
        (void)file.try_read(FileOffset(at), piece);
    (void)file.next_data(FileOffset(file.size() / 2));
    (void)file.path();
    (void)file.fetched();
}

namespace {

using Input = std::span<const std::byte>;

// One file, opened as this format.
Driver format(const char* name, const DumpFormat& as, std::vector<std::string> sources) {
    return {name, std::move(sources), [&as](Input input) {
                if (as.probe(input.first(std::min<size_t>(input.size(), 8192))) != Probe::mine) return false;
                use_dump(*as.open({std::make_shared<FuzzSource>(input)}));
                return true;
            }, 300'000, &as};
}

// Two files that make one dump: four bytes of the first one's size, and both.
Driver split(const char* name, const DumpFormat& as, std::vector<std::string> sources) {
    return {name, std::move(sources), [&as](Input input) {
                if (input.size() < 4) return false;
                const size_t first = load<uint32_t>(input.data(), ByteOrder::little);
                if (first > input.size() - 4) return false;
                const Input files[] = {input.subspan(4, first), input.subspan(4 + first)};
                for (const Input& file : files)
                    if (as.probe(file.first(std::min<size_t>(file.size(), 8192))) != Probe::mine) return false;
                use_dump(*as.open({std::make_shared<FuzzSource>(files[0]), std::make_shared<FuzzSource>(files[1])}));
                return true;
            }};
}

bool flattened(Input input) {
    if (!is_flattened(input)) return false;
    std::vector<std::string> warnings;
    bool truncated = false;
    const auto inner = open_flattened(std::make_shared<FuzzSource>(input), warnings, truncated);
    use_file(*inner);
    use_dump(*kdump_format.open({inner}));
    return true;
}

bool packed(Input input, std::string_view packer) {
    if (packer_of(input) != packer) return false;
    const auto file = std::make_shared<FuzzSource>(input);
    (void)packed_head(*file, packer, 8192);
    std::vector<std::string> warnings;
    use_file(*open_packed(file, packer, warnings));
    if (packer == "gzip")
        for (const bool quickly : {false, true}) use_file(*open_gzip(file, warnings, quickly, {.span = 5000, .most_points = 4}));
    return true;
}

// The first byte says whose order.
bool notes(Input input) {
    if (input.empty()) return false;
    const ByteOrder order = input[0] == std::byte{0} ? ByteOrder::little : ByteOrder::big;
    const FuzzSource file(input);
    std::vector<std::string> warnings;
    const auto found = read_notes(file, FileOffset(1), input.size(), order, warnings);
    (void)vmcoreinfo_page_size(vmcoreinfo_text(found));
    (void)erased_warning(erased_text(found));
    (void)of_xen_hypervisor(found);
    return true;
}

bool vmcoreinfo(Input input) {
    const std::string text(reinterpret_cast<const char*>(input.data()), input.size());
    const VmcoreInfo info(text);
    for (const char* name : {"phys_base", "VA_BITS", "init_uts_ns", "KERNELPACMASK"}) {
        (void)info.number(name);
        (void)info.symbol(name);
        (void)info.size(name);
        (void)info.length(name);
        (void)info.offset(name);
    }
    (void)info.kernel_offset();
    (void)vmcoreinfo_page_size(text);
    for (const ByteOrder order : {ByteOrder::little, ByteOrder::big}) (void)machine_of_vmcoreinfo(text, order);
    return true;
}

// A dump that holds these bytes at physical address 0, in pages that do not begin where the note does. Every seventh page was left out.
class FuzzMemory final : public Dump {
public:
    explicit FuzzMemory(Input bytes) : bytes_(bytes) {
        info_.files = {"FILE"};
        info_.page_size = 512;
    }
    Fault try_read_page(PageFrame frame, std::span<std::byte> into) const override {
        const uint64_t at = frame.value * info_.page_size;
        if (frame.value >= frames()) return Fault::not_in_dump;
        if (frame.value % 7 == 6) return Fault::excluded;
        const auto here = bytes_.subspan(at, std::min<uint64_t>(into.size(), bytes_.size() - at));
        std::fill(std::copy(here.begin(), here.end(), into.begin()), into.end(), std::byte{0});
        return Fault::none;
    }
    std::vector<PhysicalRange> memory() const override { return {{PhysicalAddress(0), PhysicalAddress(frames() * info_.page_size)}}; }

private:
    uint64_t frames() const { return (bytes_.size() + info_.page_size - 1) / info_.page_size; }
    Input bytes_;
};

// Memory in which the kernel's own note is looked for, as if its first byte were physical address 0.
bool memory_note(Input input) {
    const auto file = std::make_shared<FuzzSource>(input);
    NoteSearch search;
    const auto note = find_memory_note(*file, {Extent{0, input.size(), 0, 0}}, search);
    if (note) (void)machine_of_vmcoreinfo(note->text, note->order);
    MappedParts parts;
    parts.bytes = file;
    parts.extents = {Extent{0, input.size(), 0, 0}};
    (void)make_mapped_dump(std::move(parts));
    NoteSearch whole;
    if (const auto found = find_memory_note(FuzzMemory(input), whole)) (void)machine_of_vmcoreinfo(found->text, found->order);
    // Pieces in another order, and a limit.
    NoteSearch little{.most = uint64_t{4} << 20};
    const uint64_t half = input.size() / 2;
    (void)find_memory_note(*file, {Extent{4096, 4096 + half, 0, 0}, Extent{uint64_t{4} << 30, (uint64_t{4} << 30) + input.size() - half, half, 0}}, little);
    return true;
}

// The words of a command line up to a zero, in which F is a file that holds the rest. No other file can be named: dots and
// slashes are taken out.
bool raw(Input input) {
    const auto end = std::find(input.begin(), input.end(), std::byte{0});
    if (end == input.end()) return false;
    static const int memory = memfd_create("raw", 0);
    const Input content(end + 1, input.end());
    if (ftruncate(memory, 0) != 0 || pwrite(memory, content.data(), content.size(), 0) != static_cast<ssize_t>(content.size())) std::abort();
    std::string text;
    for (auto at = input.begin(); at != end; ++at) {
        if (*at == std::byte{'F'}) text += "/proc/self/fd/" + std::to_string(memory);
        else text += *at == std::byte{'/'} || *at == std::byte{'.'} ? '_' : static_cast<char>(*at);
    }
    std::vector<std::string> words;
    std::istringstream all(text);
    for (std::string word; all >> word && words.size() < 16;) words.push_back(word);
    if (std::none_of(words.begin(), words.end(), is_raw_list)) return false;
    use_dump(*open_raw(words));
    return true;
}

// The first byte is the method.
bool page(Input input) {
    if (input.empty()) return false;
    std::vector<std::byte> into(4096);
    (void)decompress(static_cast<Compression>(static_cast<unsigned>(input[0]) % 5), input.subspan(1), into);
    return true;
}

std::vector<Driver> make_drivers() {
    std::vector<Driver> list{
        format("kdump", kdump_format, {"core/dump/kdump.cpp", "core/dump/kdump_header.cpp", "core/dump/frame_bitmap.cpp"}),
        split("split", kdump_format, {"core/dump/kdump.cpp"}),
        format("diskdump", diskdump_format, {"core/dump/diskdump.cpp", "core/dump/kdump.cpp"}),
        format("elf", elf_format, {"core/dump/elf.cpp", "core/dump/extents.cpp"}),
        format("lkcd", lkcd_format, {"core/dump/lkcd.cpp", "core/dump/lkcd_cpus.cpp"}),
        format("s390", s390_format, {"core/dump/s390.cpp", "core/dump/s390_segments.cpp", "core/dump/s390_notes.cpp"}),
        format("vmdump", vmdump_format, {"core/dump/vmdump.cpp", "core/dump/s390_notes.cpp"}),
        format("sadump", sadump_format, {"core/dump/sadump.cpp", "core/dump/sadump_cpu.cpp"}),
        format("xen_core", xen_core_format, {"core/dump/xen_core.cpp", "core/dump/xen_vcpu.cpp"}),
        format("lime", lime_format, {"core/dump/lime.cpp", "core/dump/mapped.cpp"}),
        format("avml", avml_format, {"core/dump/avml.cpp", "core/dump/snappy_frames.cpp"}),
        format("qemu_stream", qemu_stream_format, {"core/dump/qemu_stream.cpp", "core/dump/qemu_pages.cpp", "core/dump/qemu_machines.cpp", "core/dump/qemu_cpus.cpp"}),
        format("qcow2", qcow2_format, {"core/dump/qcow2.cpp"}),
        format("libvirt", libvirt_format, {"core/dump/libvirt.cpp"}),
        format("vmware", vmware_format, {"core/dump/vmware.cpp", "core/dump/x86_notes.cpp"}),
        format("vmware_guest", vmware_guest_format, {"core/dump/vmware_guest.cpp"}),
        format("unread", unread_format, {"core/dump/unread.cpp"}),
        {"raw", {"core/dump/raw.cpp"}, raw, 20'000},
        {"flattened", {"core/dump/flattened.cpp"}, flattened},
        {"gzip", {"core/gzip_file.cpp"}, [](Input input) { return packed(input, "gzip"); }, 20'000},
        {"xz", {"core/xz_file.cpp"}, [](Input input) { return packed(input, "xz"); }, 20'000},
        {"lzop", {"core/lzop_file.cpp"}, [](Input input) { return packed(input, "lzop"); }, 20'000},
        {"notes", {"core/dump/notes.cpp"}, notes, 20'000},
        {"vmcoreinfo", {"core/dump/vmcoreinfo.cpp"}, vmcoreinfo, 20'000},
        {"memory_note", {"core/dump/memory_note.cpp"}, memory_note, 20'000},
        {"page", {"core/memory/decompress.cpp"}, page, 20'000},
    };
    for (const Architecture* arch : architectures())
        list.push_back({std::string("walk-") + arch->name,
                        {std::string("arch/") + arch->name + ".cpp", std::string("arch/") + arch->name + "_tables.cpp", "arch/page_table.cpp"},
                        [arch](Input input) { return walk_tables(*arch, input); },
                        20'000});
    return list;
}

} // namespace

const std::vector<Driver>& drivers() {
    static const std::vector<Driver> list = make_drivers();
    return list;
}

const Driver* find_driver(std::string_view name) {
    for (const Driver& driver : drivers())
        if (driver.name == name) return &driver;
    return nullptr;
}

bool run_input(const Driver& driver, std::span<const std::byte> input) {
    try {
        return driver.run(input);
    } catch (const Error&) { return true; }
}

} // namespace kcrash::fuzz
