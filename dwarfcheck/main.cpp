// SPDX-License-Identifier: GPL-3.0-or-later
// kcrash-dwarfcheck: is the debug information of this file what it seems to be?
//
// For a support engineer who suspects a vmlinux, and for the tests of kcrash: three readings of one file's types are laid side by
// side. What differs is wrong in the file, in a library, or in kcrash; the message says who says what.
//
//     FILE +-> libdw (kcrash's own reading) --+
//          +-> libdwarf ---------------------+-> definitions by entry +-> differences
//          +-> BTF (kcrash's own reading) -----> definitions by name -+
//
// It is a program of its own because libdwarf has no business inside of a debugger that opens hostile files: when libdwarf dies
// on one, only this program does. Its exit status tells: 0 no difference, 1 differences, 2 cannot be read.
#include "arch/architecture.hpp"
#include "core/error.hpp"
#include "dwarfcheck/btf_check.hpp"
#include "dwarfcheck/dwarf_check.hpp"
#include "dwarfcheck/options.hpp"
#include "dwarfcheck/quote.hpp"
#include <algorithm>
#include <cstdio>
#include <elf.h>
#include <fmt/format.h>

namespace {

using namespace kcrash;
using namespace kcrash::dwarfcheck;

enum Status { no_difference = 0, differences_found = 1, cannot_read = 2 };

// What neither reader is asked to do.
void refuse(const ElfFile& file, Findings& findings) {
    if (const ElfSection* link = file.section(".gnu_debugaltlink")) {
        const auto bytes = file.data(*link);
        const auto* text = reinterpret_cast<const char*>(bytes.data());
        throw FileError(fmt::format("{}: a part of its DWARF is in {} (.gnu_debugaltlink, dwz), which is not read", file.path(),
                                    std::string(text, std::find(text, text + bytes.size(), '\0'))));
    }
    const ElfSection* info = file.section(".debug_info");
    if (!info || info->type == SHT_NOBITS) {
        const auto elsewhere = file.debug_link();
        throw FileError(fmt::format("{}: has no DWARF{}", file.path(), elsewhere ? fmt::format("; its debug information is in {}", *elsewhere) : ""));
    }
    if (file.section(".debug_types")) findings.skipped("types in .debug_types");
    const auto pieces = std::ranges::count_if(file.sections(), [](const ElfSection& section) { return section.name == ".debug_info"; });
    if (pieces > 1) findings.skipped("a further .debug_info, of a section group that no linker has merged", static_cast<uint64_t>(pieces) - 1);
}

FileFacts facts_of(const ElfFile& file) {
    const Architecture* arch = find_architecture(file.machine(), file.order(), file.word_size());
    return {file.path(), arch ? arch->name : fmt::format("ELF machine {}", file.machine()), hex(file.build_id())};
}

int check(const Options& options) {
    Findings findings;
    Texts texts;
    const auto file = ElfFile::open(options.file);
    const auto base = options.base.empty() ? nullptr : ElfFile::open(options.base);
    refuse(*file, findings);
    const auto libdw = open_libdw(file);
    const auto libdwarf = open_libdwarf(*file);
    DwarfCheck dwarf(*libdw, *libdwarf, texts, findings);
    dwarf.run();
    BtfCheck btf(texts, findings);
    if (btf.open(*file, base.get())) btf.run(dwarf.distinct());
    const std::string report = options.json ? as_json(facts_of(*file), findings) : as_text(facts_of(*file), findings);
    std::fwrite(report.data(), 1, report.size(), stdout);
    return findings.differences().empty() ? no_difference : differences_found;
}

int run(int count, char** words) {
    const Options options = parse_options(count, words);
    if (options.help) fmt::print("{}", usage());
    else if (options.version) fmt::print("kcrash-dwarfcheck " KCRASH_VERSION "\n");
    else return check(options);
    return no_difference;
}

} // namespace

int main(int count, char** words) {
    try {
        return run(count, words);
    } catch (const std::exception& error) {
        fmt::print(stderr, "kcrash-dwarfcheck: {}\n", visible(error.what()));
        return cannot_read;
    }
}
