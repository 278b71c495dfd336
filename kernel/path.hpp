// SPDX-License-Identifier: GPL-3.0-or-later
// Names of files: include/linux/path.h, dcache.h, fs/mount.h.
#pragma once
#include "kernel/target.hpp"
#include <string>

namespace kcrash {

// The path of a dentry in a mount, from the root of its mount namespace: "/bin/busybox". What has no place in a tree of
// directories (pipes, sockets) has its own name: "pipe:[123]" is not made up, the dentry's name is given as it stands.
// A component that cannot be read is "?"; bounded, never hangs. Bytes as they are: the report escapes them.
std::string path_name(const Target& target, uint64_t vfsmount, uint64_t dentry);
// Of a struct file. Empty for a null file. LookupError, MemoryError when the file itself cannot be read.
std::string file_name(const Target& target, uint64_t file);

} // namespace kcrash
