// SPDX-License-Identifier: GPL-3.0-or-later
// Where the vmlinux of a kernel may be.
#include "symbols/kernel_file.hpp"
#include "core/error.hpp"
#include <algorithm>
#include <fmt/format.h>
#include <sys/stat.h>

namespace kcrash {
namespace {

bool is_file(const std::string& path) {
    struct stat st {};
    return ::stat(path.c_str(), &st) == 0 && S_ISREG(st.st_mode);
}

bool is_hexadecimal(std::string_view id) {
    return id.size() >= 8 && id.size() <= 128 && id.size() % 2 == 0 &&
           std::all_of(id.begin(), id.end(), [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

bool is_plain(std::string_view release) {
    return !release.empty() && release.size() <= 64 && release[0] != '.' &&
           std::all_of(release.begin(), release.end(), [](char c) {
               return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                      std::string_view(".-+_~").find(c) != std::string_view::npos;
           });
}

// The places, the likeliest first. Those with the release in their name may be taken without a build-id.
struct Place {
    std::string path;
    bool named = false;
};

std::vector<Place> places(const KernelFileSearch& search) {
    std::vector<Place> list;
    const bool has_release = is_plain(search.release), has_id = is_hexadecimal(search.build_id);
    const auto add_folder = [&](const std::string& folder) {
        if (has_id)
            list.push_back(
                {fmt::format("{}/.build-id/{}/{}.debug", folder, search.build_id.substr(0, 2), search.build_id.substr(2))});
        for (const char* end : {"", ".debug"}) {
            if (has_release) list.push_back({fmt::format("{}/vmlinux-{}{}", folder, search.release, end), true});
            list.push_back({fmt::format("{}/vmlinux{}", folder, end)});
        }
    };
    if (!search.dump.empty()) {
        const size_t slash = search.dump.rfind('/');
        add_folder(slash == std::string::npos ? "." : slash == 0 ? "/" : search.dump.substr(0, slash));
    }
    for (const std::string& folder : search.directories) add_folder(folder);
    add_folder("/usr/lib/debug");
    if (!has_release) return list;
    for (const char* form :
         {"/usr/lib/debug/boot/vmlinux-{}", "/usr/lib/debug/boot/vmlinux-{}.debug", "/usr/lib/debug/lib/modules/{}/vmlinux",
          "/usr/lib/debug/lib/modules/{}/vmlinux.debug", "/usr/lib/debug/usr/lib/modules/{}/vmlinux",
          "/usr/lib/debug/usr/lib/modules/{}/vmlinux.debug", "/lib/modules/{}/vmlinux", "/lib/modules/{}/build/vmlinux"})
        list.push_back({fmt::format(fmt::runtime(form), search.release), true});
    return list;
}

bool fits(const std::string& path, const std::string& build_id, bool named) {
    if (!is_file(path)) return false;
    try {
        const auto file = ElfFile::open(path);
        return build_id.empty() ? named : hex(file->build_id()) == build_id;
    } catch (const FileError&) { // a damaged file is not the one
        return false;
    }
}

} // namespace

FoundFile find_kernel_file(const KernelFileSearch& search, const ProgressMaker& progress) {
    FoundFile found;
    for (const Place& place : places(search)) {
        found.searched.push_back(place.path);
        if (!fits(place.path, search.build_id, place.named)) continue;
        found.path = place.path;
        return found;
    }
    if (!is_hexadecimal(search.build_id)) return found;
    Fetched fetched = fetch_debug_file(search.build_id, fetch_seconds, progress);
    if (!fetched.path.empty() && fits(fetched.path, search.build_id, false)) found.path = fetched.path;
    else found.searched.push_back(fmt::format("debuginfod ({})", fetched.path.empty() ? fetched.why : "it gave another file"));
    return found;
}

} // namespace kcrash
