// SPDX-License-Identifier: GPL-3.0-or-later
// The search for the vmlinux of a dump, when none was given.
#pragma once
#include "symbols/debug_files.hpp"

namespace kcrash {

struct KernelFileSearch {
    std::string build_id;                 // hexadecimal, from VMCOREINFO; empty: kernels before 5.9
    std::string release;                  // utsname.release; empty: unknown
    std::string dump;                     // path of the dump; empty: it lies nowhere
    std::vector<std::string> directories; // --debug-dir
};

// Looks next to the dump, in the directories, in /usr/lib/debug and /lib/modules, then asks debuginfod. A file with another
// build-id never matches; without a build-id only files whose name has the release are taken. Nothing from the dump becomes part
// of a path that is not plain letters, digits and ".-+_~".
FoundFile find_kernel_file(const KernelFileSearch& search, const ProgressMaker& progress);

} // namespace kcrash
