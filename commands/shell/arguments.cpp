// SPDX-License-Identifier: GPL-3.0-or-later
// crash's invocation: one table of options, one scan over the words.
#include "commands/shell/arguments.hpp"
#include "commands/command.hpp"
#include "commands/expression.hpp"
#include "core/dump/dump.hpp"
#include "core/dump/raw.hpp"
#include "core/error.hpp"
#include "symbols/elf_file.hpp"
#include <algorithm>
#include <fmt/format.h>

namespace kcrash {
namespace {

using A = Arguments;
using S = const std::string;

void set_kaslr(A& a, S& value) {
    if (value == "auto") return;
    const auto offset = parse_number(value);
    if (!offset) throw UsageError(fmt::format("--kaslr {}: not an offset; give bytes (0x1d000000, 464m) or auto", value));
    a.target.kaslr = *offset;
}

void set_machine(A& a, S& value) {
    const size_t equals = value.find('=');
    if (value.starts_with("vm=")) return a.notes.push_back("-m vm means nothing here: the dump tells its page tables");
    const auto number = equals == std::string::npos ? std::nullopt : parse_number(std::string_view(value).substr(equals + 1));
    if (!number) throw UsageError(fmt::format("-m {}: not NAME=VALUE, as in phys_base=0x1000000", value));
    a.target.machine[value.substr(0, equals)] = *number;
}

void file_mode(A& a, Mode mode, S& value) {
    a.mode = mode;
    if (!value.empty()) a.files.push_back(value);
}

constexpr std::string_view nothing_is_gathered = "nothing is gathered before a command needs it";
constexpr std::string_view live_only = "it is for live systems, and a dump is read";
constexpr std::string_view xen_only = "it is for Xen dumps";

constexpr ProcessOption table[] = {
    {"i", "", "FILE", "run the commands in FILE, before the prompt", [](A& a, S& v) { a.input_files.push_back(v); }},
    {"C", "command", "COMMANDS", "run commands, separated by semicolons, and exit", [](A& a, S& v) { a.commands.push_back(v); }},
    {"s", "", "", "silent: no banner, no echo of commands, no pager", [](A& a, S&) { a.silent = true; }},
    {"", "json", "", "one JSON document for each command", [](A& a, S&) { a.json = true; }},
    {"", "minimal", "", "only what needs no tasks: log, rd, sym, eval, set, help, exit", [](A& a, S&) { a.minimal = true; }},
    {"", "zero_excluded", "", "read excluded pages as zeroes", [](A& a, S&) { a.target.zero_excluded = true; }},
    {"", "osrelease", "FILE", "print the kernel release of a dump and exit",
     [](A& a, S& v) { file_mode(a, Mode::os_release, v); }},
    {"", "build-id", "FILE", "print the kernel's build-id of a dump and exit",
     [](A& a, S& v) { file_mode(a, Mode::build_id, v); }},
    {"", "log", "FILE", "print the kernel log of a dump, without vmlinux, and exit",
     [](A& a, S& v) { file_mode(a, Mode::log, v); }},
    {"", "identify", "", "say what each file is and what is missing in it, and exit", [](A& a, S&) { a.mode = Mode::identify; }},
    {"t", "", "", "print when the kernel died and exit", [](A& a, S&) { a.mode = Mode::timestamp; }},
    {"g", "", "FILE", "does FILE carry debug information? exit status 0 if so",
     [](A& a, S& v) { file_mode(a, Mode::check_namelist, v); }},
    {"", "mod", "DIR", "search DIR for modules and their debug files",
     [](A& a, S& v) { a.target.module_directories.push_back(v); }},
    {"", "debug-dir", "DIR", "search DIR for debug files, besides /usr/lib/debug",
     [](A& a, S& v) { a.target.debug_directories.push_back(v); }},
    {"", "src", "DIR", "search DIR for the kernel's source",
     [](A& a, S& v) { a.target.source_directories.push_back(v); }},
    {"", "kaslr", "OFFSET|auto", "the kernel's KASLR offset", set_kaslr},
    {"m", "machdep", "NAME=VALUE", "a fact of the machine: phys_base=0x1000000", set_machine},
    {"", "no_modules", "", "leave modules out", [](A& a, S&) { a.target.load_modules = false; }},
    {"", "no_panic", "", "start with the idle task of the lowest CPU, not with the task that panicked",
     [](A& a, S&) { a.no_panic = true; }},
    {"", "force", "", "go on although vmlinux is not the dump's", [](A& a, S&) { a.target.force = true; }},
    {"", "no-cache", "", "neither read nor write the index cache", [](A& a, S&) { a.target.use_cache = false; }},
    {"", "rc", "FILE", "run FILE at the start, besides ~/.kcrashrc", [](A& a, S& v) { a.rc_file = v; }},
    {"", "no_crashrc", "", "do not run ~/.kcrashrc", [](A& a, S&) { a.no_rc = true; }},
    {"", "no_scroll", "", "no pager", [](A& a, S&) { a.settings.push_back("scroll off"); }},
    {"", "more", "", "page with more", [](A& a, S&) { a.settings.push_back("scroll more"); }},
    {"", "less", "", "page with less", [](A& a, S&) { a.settings.push_back("scroll less"); }},
    {"", "CRASHPAGER", "", "page with what $CRASHPAGER says", [](A& a, S&) { a.settings.push_back("scroll CRASHPAGER"); }},
    {"", "hex", "", "print numbers in hex", [](A& a, S&) { a.settings.push_back("radix 16"); }},
    {"", "dec", "", "print numbers in decimal", [](A& a, S&) { a.settings.push_back("radix 10"); }},
    {"", "offline", "show|hide", "show or hide CPUs that are offline", [](A& a, S& v) { a.settings.push_back("offline " + v); }},
    {"e", "", "vi|emacs", "keys of the prompt", [](A& a, S& v) { a.settings.push_back("edit " + v); }},
    {"d", "", "LEVEL", "debug level", [](A& a, S& v) { a.settings.push_back("debug " + v); }},
    {"h", "help", "COMMAND", "this text, or the page of a command", [](A& a, S& v) { a.mode = Mode::help, a.help_topic = v; },
     true},
    {"v", "version", "", "the version", [](A& a, S&) { a.mode = Mode::version; }},
    {"", "buildinfo", "", "what this binary was built with", [](A& a, S&) { a.mode = Mode::build_info; }},
    {"", "gdb-index", "FILE", "write GDB's index of FILE, a vmlinux, into the cache folder and exit",
     [](A& a, S& v) { file_mode(a, Mode::gdb_index, v); }},
    {"", "man", "", "print the manual page, for man -l", [](A& a, S&) { a.mode = Mode::manual; }},

    {"f", "", "", "files are known by what is in them, compressed or not", nullptr},
    {"S", "", "", "System.map is not used: the dump has its own symbols", nullptr},
    {"x", "", "", "there are no extensions in this build", nullptr},
    {"L", "", "", "no memory has to be locked", nullptr},
    {"k", "", "", "LKCD dumps are not read", nullptr},
    {"c", "", "TTY", "debug messages go to the standard error", nullptr},
    {"p", "", "SIZE", "the dump tells its page size", nullptr},
    {"o", "", "FILE", "raw memory is read in place", nullptr},
    {"", "active", "", nothing_is_gathered, nullptr},
    {"", "no_kmem_cache", "", nothing_is_gathered, nullptr},
    {"", "kmem_cache_delay", "", nothing_is_gathered, nullptr},
    {"", "no_kallsyms", "", nothing_is_gathered, nullptr},
    {"", "no_ikconfig", "", nothing_is_gathered, nullptr},
    {"", "no_data_debug", "", nothing_is_gathered, nullptr},
    {"", "no_elf_notes", "", nothing_is_gathered, nullptr},
    {"", "no_strip", "", nothing_is_gathered, nullptr},
    {"", "readnow", "", nothing_is_gathered, nullptr},
    {"", "smp", "", "the dump tells its CPUs", nullptr},
    {"", "cpus", "N", "the dump tells its CPUs", nullptr},
    {"", "hash", "N", "lists are checked for cycles without a table of fixed size", nullptr},
    {"", "max-malloc-bufs", "N", "memory is not taken from fixed buffers", nullptr},
    {"", "reloc", "SIZE", live_only, nullptr},
    {"", "memory_module", "MODULE", live_only, nullptr},
    {"", "memory_device", "DEVICE", live_only, nullptr},
    {"", "hyper", "", xen_only, nullptr},
    {"", "p2m_mfn", "PFN", xen_only, nullptr},
    {"", "xen_phys_start", "ADDRESS", xen_only, nullptr},
    {"", "kvmhost", "32|64", "it is for saved KVM machines, which are not read", nullptr},
    {"", "kvmio", "SIZE", "it is for saved KVM machines, which are not read", nullptr},
};

std::string with_dashes(std::string_view name) {
    std::string text(name);
    std::replace(text.begin(), text.end(), '_', '-');
    return text;
}

std::string spelled(const ProcessOption& option) {
    return option.name.empty() ? "-" + std::string(option.letter) : "--" + std::string(option.name);
}

// The words of the command line, eaten from the front.
class Scan {
public:
    explicit Scan(std::span<char* const> words) : words_(words) {}

    Arguments run() {
        while (at_ < words_.size()) word(words_[at_++]);
        return std::move(arguments_);
    }

private:
    void word(std::string text) {
        if (options_ended_ || text.size() < 2 || text[0] != '-') arguments_.files.push_back(std::move(text));
        else if (text == "--") options_ended_ = true;
        else if (text.starts_with("--")) long_option(text);
        else letters(text.substr(1));
    }
    void long_option(const std::string& text) {
        const size_t equals = text.find('=');
        const std::string name = with_dashes(text.substr(2, equals == std::string::npos ? equals : equals - 2));
        const auto* option = std::find_if(std::begin(table), std::end(table),
                                          [&](const auto& o) { return !o.name.empty() && with_dashes(o.name) == name; });
        if (option == std::end(table)) unknown("--" + name);
        if (equals == std::string::npos) return apply(*option, {}, false);
        if (option->argument.empty()) throw UsageError(fmt::format("{} takes no value", spelled(*option)));
        apply(*option, text.substr(equals + 1), true);
    }
    void letters(std::string rest) {
        while (!rest.empty()) {
            const auto* option = std::find_if(std::begin(table), std::end(table),
                                              [&](const auto& o) { return !o.letter.empty() && o.letter[0] == rest[0]; });
            if (option == std::end(table)) unknown("-" + rest.substr(0, 1));
            rest.erase(0, 1);
            const bool takes = !option->argument.empty();
            apply(*option, takes ? rest : "", takes && !rest.empty());
            if (takes) return;
        }
    }
    void apply(const ProcessOption& option, std::string value, bool attached) {
        if (!option.argument.empty() && !attached) {
            const bool there = at_ < words_.size() && (!option.argument_optional || words_[at_][0] != '-');
            if (there) value = words_[at_++];
            else if (!option.argument_optional) throw UsageError(fmt::format("{} needs {}", spelled(option), option.argument));
        }
        if (option.apply) option.apply(arguments_, value);
        else arguments_.notes.push_back(fmt::format("{} means nothing here: {}", spelled(option), option.help));
    }
    [[noreturn]] static void unknown(const std::string& word) {
        std::vector<std::string_view> names;
        for (const ProcessOption& option : table) names.push_back(option.name);
        const std::string near = word.starts_with("--") ? did_you_mean(word.substr(2), names) : "";
        throw UsageError(near.empty() ? fmt::format("unknown option {}; --help lists the options", word)
                                      : fmt::format("unknown option {}, did you mean --{}?", word, near));
    }

    std::span<char* const> words_;
    size_t at_ = 0;
    bool options_ended_ = false;
    Arguments arguments_;
};

} // namespace

std::span<const ProcessOption> process_options() { return table; }

Arguments parse_arguments(std::span<char* const> words) { return Scan(words).run(); }

void sort_files(Arguments& arguments) {
    std::string& vmlinux = arguments.target.vmlinux;
    for (const std::string& path : arguments.files) {
        if (is_raw_list(path)) {
            arguments.target.dump_files.push_back(path);
            continue;
        }
        const auto file = open_file(path);
        if (file->size() == 0) throw FileError(fmt::format("{}: the file is empty", path));
        if (looks_like_dump(*file)) arguments.target.dump_files.push_back(path);
        else if (!looks_like_vmlinux(path))
            throw FileError(
                fmt::format("{}: not a supported file format: neither a kernel dump nor a kernel with symbols", path));
        else if (vmlinux.empty() || open_file(vmlinux)->size() < file->size())
            vmlinux = path; // of two, the larger has the debug information
    }
}

std::string process_usage() {
    std::string text = "usage: kcrash [OPTION]... [VMLINUX] DUMP...\n\nOpens a kernel dump. Files come in any order; several "
                       "dump files are one split set. Without VMLINUX the\n"
                       "dump's own symbols and types are used.\n\n";
    for (const ProcessOption& option : table) {
        if (!option.apply) continue;
        std::string names = option.letter.empty() ? "    " : fmt::format("-{}{}", option.letter, option.name.empty() ? "" : ", ");
        if (!option.name.empty()) names += fmt::format("--{}", option.name);
        if (!option.argument.empty())
            names += option.argument_optional ? fmt::format(" [{}]", option.argument) : fmt::format(" {}", option.argument);
        text += fmt::format("  {:<26} {}\n", names, option.help);
    }
    text +=
        "\nRaw memory has no header: give FILE@ADDRESS,... with the physical address, hexadecimal, at which each file begins.\n";
    text += "\nOther options of crash are accepted and say that they mean nothing here.\n";
    return text + "Exit status: 0 if every command succeeded, 1 if one failed or the dump could not be opened.";
}

} // namespace kcrash
