// SPDX-License-Identifier: GPL-3.0-or-later
// From a dentry up to the root, across mount points.
#include "kernel/path.hpp"
#include "core/error.hpp"

namespace kcrash {
namespace {

constexpr unsigned most_components = 4096; // PATH_MAX: no path has more
constexpr uint64_t longest_name = 255;     // NAME_MAX

std::string component(const Object& dentry) {
    try {
        const Object name = dentry["d_name"];
        const uint64_t length = name["len"].u64();
        if (length > longest_name) return "?";
        std::string text(length, '\0');
        dentry.target().kernel().read(VirtualAddress{name["name"].u64()}, std::as_writable_bytes(std::span(text)), "dentry.d_name");
        return text;
    } catch (const MemoryError&) {
        return "?";
    }
}

} // namespace

std::string path_name(const Target& target, uint64_t vfsmount, uint64_t dentry) {
    std::string path;
    for (unsigned i = 0; i < most_components && dentry; ++i) {
        const Object here = target.object("struct dentry", dentry);
        uint64_t parent = 0, mount_root = 0;
        try {
            parent = here["d_parent"].u64();
            if (vfsmount) mount_root = target.object("struct vfsmount", vfsmount)["mnt_root"].u64();
            if (vfsmount && dentry == mount_root) {
                const Object mount = target.object("struct vfsmount", vfsmount).container("struct mount", "mnt");
                const uint64_t up = mount["mnt_parent"].u64();
                if (up == mount.address() || up == 0) break; // the root of the namespace
                dentry = mount["mnt_mountpoint"].u64();
                vfsmount = target.object("struct mount", up)["mnt"].address();
                continue;
            }
        } catch (const MemoryError&) {
            return "?" + path;
        }
        // Not in a tree of directories: an unlinked place, shared memory, an anonymous inode. It has a name of its own.
        if (dentry == parent) return "/" + component(here) + path;
        path = "/" + component(here) + path;
        dentry = parent;
    }
    return path.empty() ? "/" : path;
}

std::string file_name(const Target& target, uint64_t file) {
    if (!file) return {};
    const Object path = target.object("struct file", file)["f_path"];
    return path_name(target, path["mnt"].u64(), path["dentry"].u64());
}

} // namespace kcrash
