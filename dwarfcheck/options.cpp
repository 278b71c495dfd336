// SPDX-License-Identifier: GPL-3.0-or-later
#include "dwarfcheck/options.hpp"
#include "core/error.hpp"
#include <fmt/format.h>

namespace kcrash::dwarfcheck {

std::string_view usage() {
    return R"(usage: kcrash-dwarfcheck [--json] [--base VMLINUX] FILE

Reads every struct, union, enum, typedef and base type of FILE three times: as kcrash does (with libdw), with libdwarf, and from
BTF; and prints each difference of names, sizes, offsets, bit-fields, types and values. FILE is a vmlinux, a module or another
object file, also compressed (xz, gzip, bzip2, zstd).

  --base VMLINUX   the kernel of a module: a module's BTF goes on where the kernel's ends
  --json           one JSON document
  --help           this text
  --version        the version

The exit status is 0 if there is no difference, 1 if there is one, 2 if FILE cannot be read.

examples:
  kcrash-dwarfcheck /usr/lib/debug/boot/vmlinux-6.1.0-43-cloud-amd64
  kcrash-dwarfcheck --base vmlinux.xz modules/ext2.ko.xz
  kcrash-dwarfcheck --json vmlinux | jq '.differences[].text'
)";
}

Options parse_options(int count, char** words) {
    Options options;
    bool only_files = false;
    for (int i = 1; i < count; ++i) {
        const std::string_view word = words[i];
        if (only_files || !word.starts_with('-') || word == "-") {
            if (!options.file.empty()) throw UsageError(fmt::format("one FILE at a time, and not {} too; see --help", word));
            options.file = word;
        } else if (word == "--") only_files = true;
        else if (word == "--json") options.json = true;
        else if (word == "--help" || word == "-h") options.help = true;
        else if (word == "--version") options.version = true;
        else if (word == "--base" && i + 1 < count) options.base = words[++i];
        else if (word == "--base") throw UsageError("--base needs VMLINUX");
        else if (word.starts_with("--base=")) options.base = word.substr(7);
        else throw UsageError(fmt::format("unknown option {}; see --help", word));
    }
    if (options.file.empty() && !options.help && !options.version) throw UsageError("FILE is missing; see --help");
    return options;
}

} // namespace kcrash::dwarfcheck
