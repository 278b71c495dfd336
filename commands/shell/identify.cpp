// SPDX-License-Identifier: GPL-3.0-or-later
// What a file is, from its headers: neither symbols nor types are read. Where the headers do not tell, a few pages are.
#include "commands/shell/identify.hpp"
#include "arch/architecture.hpp"
#include "commands/banner.hpp"
#include "commands/report/report.hpp"
#include "commands/shell/output.hpp"
#include "core/dump/device_dumps.hpp"
#include "core/dump/dump.hpp"
#include "core/dump/machines.hpp"
#include "core/dump/memory_note.hpp"
#include "core/dump/raw.hpp"
#include "core/dump/vmcoreinfo.hpp"
#include "core/memory/physical_memory.hpp"
#include "kernel/own_note.hpp"
#include "symbols/elf_file.hpp"
#include <algorithm>
#include <fmt/format.h>
#include <unistd.h>

namespace kcrash {
namespace {

// One record for a file: a line of text and a few fields for each fact.
struct Identity {
    std::string layout = {};
    Fields fields = {};
    void add(std::string_view label, std::string_view key, CellValue value, std::string_view after = {}) {
        layout += fmt::format("{}{:>12}: {{{}}}{}", layout.empty() ? "" : "\n", label, key, after);
        fields.push_back({key, std::move(value)});
    }
    // What the file does not tell is no failure: null in JSON.
    void add_text(std::string_view label, std::string_view key, const std::string& text, std::string_view after = {}) {
        if (text.empty()) add(label, key, Nothing{}, "unknown");
        else add(label, key, text, after);
    }
    void quietly(std::string_view key, CellValue value) { fields.push_back({key, std::move(value)}); }
};

void add_architecture(Identity& identity, uint16_t machine, ByteOrder order, unsigned word_size) {
    const bool supported = find_architecture(machine, order, word_size) != nullptr, known = machine != 0;
    identity.add_text("ARCHITECTURE", "architecture", machine_name(machine, order, word_size),
                      supported ? "" : " (not supported)");
    identity.quietly("elf_machine", known ? CellValue{uint64_t{machine}} : CellValue{Nothing{}});
    identity.quietly("byte_order",
                     known ? CellValue{std::string(order == ByteOrder::big ? "big" : "little")} : CellValue{Nothing{}});
    identity.quietly("word_size", known ? CellValue{uint64_t{word_size}} : CellValue{Nothing{}});
    identity.quietly("supported", supported);
}

// What the dump tells of its kernel, or else what opening it would ask the kernel's own memory; of that no more than takes
// milliseconds.
struct Told {
    const Architecture* arch = nullptr; // null: none that is supported
    VmcoreInfo info = {};
};

Told told_by(const Dump& dump) {
    const DumpInfo& info = dump.info();
    Told told{find_architecture(info.elf_machine, info.order, info.word_size), VmcoreInfo(dump.vmcoreinfo())};
    if (told.arch && !told.info.empty()) return told;
    const PhysicalMemory memory(dump);
    OwnNote own(memory, {.most = uint64_t{8} << 20});
    if (!told.arch) told.arch = own.architecture();
    if (told.info.empty() && told.arch) told.info = own.pointed_at(*told.arch);
    if (told.info.empty()) told.info = own.searched();
    return told;
}

// The bits of makedumpfile's -d, as its manual names them.
std::string level_words(uint32_t level) {
    static constexpr std::string_view words[] = {"zero pages", "cache pages", "private cache pages", "user pages", "free pages"};
    std::string text;
    for (size_t bit = 0; bit < std::size(words); ++bit)
        if (level >> bit & 1) text += fmt::format("{}{}", text.empty() ? "" : ", ", words[bit]);
    return text;
}

// What a user will miss, each a line.
std::vector<std::string> missing_parts(const Dump& dump, const VmcoreInfo& told) {
    const DumpInfo& info = dump.info();
    std::vector<std::string> lines;
    const std::string left_out = level_words(info.dump_level.value_or(0));
    if (!left_out.empty()) lines.push_back("left out by the dump tool: " + left_out);
    else if (info.partial) lines.push_back("pages that the dump tool left out; the file does not tell which kinds");
    if (info.incomplete) lines.push_back("pages for which the dump tool had no room left");
    if (info.truncated) lines.push_back("the end of the file: it was cut");
    if (info.excluded_vmemmap) lines.push_back("parts of the array of struct page (makedumpfile -e)");
    const auto& notes = dump.notes();
    if (std::none_of(notes.begin(), notes.end(), [](const Note& n) { return n.name == "CORE" && n.type == note_prstatus; }))
        lines.push_back("registers of the CPUs (NT_PRSTATUS notes)");
    if (told.empty()) {
        lines.push_back(
            "VMCOREINFO: the KASLR offset and the kernel's release are not told; give vmlinux, and --kaslr if it was on");
        return lines;
    }
    if (!told.value("BUILD-ID")) lines.push_back("the kernel's build-id (kernels before 5.9)");
    if (!told.symbol("kallsyms_names"))
        lines.push_back("where the dump's own symbols are (kernels before 6.0): vmlinux is needed");
    return lines;
}

void add_dump(Identity& identity, const Dump& dump, const Told& by) {
    const VmcoreInfo& told = by.info;
    const DumpInfo& info = dump.info();
    const bool compressed = !info.compression.empty() && info.compression != "none";
    identity.add("FORMAT", "format", compressed ? info.format + ", " + info.compression : info.format);
    identity.quietly("what", std::string("dump"));
    identity.quietly("partial", info.partial);
    identity.quietly("incomplete", info.incomplete);
    identity.quietly("truncated", info.end_unseen ? CellValue{Nothing{}} : CellValue{info.truncated});
    identity.quietly("split", info.split);
    if (by.arch) add_architecture(identity, by.arch->elf_machine, by.arch->order, by.arch->word_size);
    else add_architecture(identity, info.elf_machine, info.order, info.word_size);
    identity.add_text("RELEASE", "release", std::string(told.value("OSRELEASE").value_or(info.release)));
    identity.add_text("BUILD-ID", "build_id", std::string(told.value("BUILD-ID").value_or("")));
    uint64_t memory = 0;
    for (const PhysicalRange& range : dump.memory()) memory += range.end.value - range.begin.value;
    identity.add("MEMORY", "memory", size_text(memory), ", in pages of {page_size}");
    identity.quietly("memory_bytes", BytesValue{memory});
    identity.quietly("page_size", BytesValue{info.page_size});
    identity.add("DUMP LEVEL", "dump_level", info.dump_level ? CellValue{uint64_t{*info.dump_level}} : CellValue{Nothing{}},
                 info.dump_level ? "" : "unknown");
}

void add_kernel(Identity& identity, const std::string& path) {
    const auto file = ElfFile::open(path);
    identity.add("FORMAT", "format", std::string(file->has_dwarf() ? "kernel with debug information" : "kernel with symbols"));
    identity.quietly("what", std::string("kernel"));
    add_architecture(identity, file->machine(), file->order(), file->word_size());
    identity.add_text("BUILD-ID", "build_id", hex(file->build_id()));
}

void say(Report& report, const std::string& path) {
    Identity identity;
    identity.add("FILE", "file", path);
    if (!is_raw_list(path)) {
        const auto file = open_file(path);
        // Files of /proc tell none, or the size of the address space.
        identity.add("SIZE", "size",
                     file->size() == unknown_size || file->live() ? CellValue{std::string("unknown")}
                                                                  : CellValue{size_text(file->size())});
        identity.quietly("bytes", BytesValue{file->size()});
        if (!looks_like_dump(*file) && looks_like_vmlinux(path)) {
            add_kernel(identity, path);
            return report.record("identity", identity.layout, identity.fields);
        }
    }
    const ShortNoteSearch limit(uint64_t{1} << 30); // bytes
    const auto dump = open_dump({path}, true);
    const Told told = told_by(*dump);
    add_dump(identity, *dump, told);
    if (const auto fetched = dump->fetched()) identity.add("FETCHED", "fetched", BytesValue{*fetched}, " bytes");
    report.record("identity", identity.layout, identity.fields);
    for (const DeviceDump& device : device_dumps(*dump))
        report.record("device_dump", " DEVICE DUMP: {name}, {size} bytes at 0x{offset}",
                      {{"name", device.name}, {"size", BytesValue{device.data.size()}}, {"offset", HexValue{device.offset}}});
    if (dump->info().end_unseen) report.record("unseen", "    NOT SEEN: the end of what is packed: whether all of it is there", {});
    for (const std::string& part : missing_parts(*dump, told.info)) report.record("missing", "     MISSING: {what}", {{"what", part}});
    for (const std::string& warning : dump->info().warnings) report.note(Severity::warning, warning);
}

bool identify(Report& report, const std::string& path) {
    report.begin_command("--identify " + path, {});
    try {
        say(report, path);
    } catch (const Error& error) { report.note(Severity::error, error.what()); }
    const bool good = report.errors() == 0;
    report.end_command(good);
    return good;
}

} // namespace

int identify_files(const Arguments& arguments) {
    if (arguments.files.empty()) throw UsageError("--identify needs FILE...");
    const Sink out = descriptor_sink(STDOUT_FILENO);
    const auto report = arguments.json ? make_json_report(out) : make_text_report(out, descriptor_sink(STDERR_FILENO));
    bool good = true, first = true;
    for (const std::string& path : arguments.files) {
        if (!first && !arguments.json) out("\n");
        first = false;
        good &= identify(*report, path);
    }
    return good ? 0 : 1;
}

} // namespace kcrash
