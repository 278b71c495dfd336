// SPDX-License-Identifier: GPL-3.0-or-later
// What VMware's two kinds of files share: memory in a file beside them.
#pragma once
#include "core/file.hpp"

namespace kcrash {

constexpr uint64_t vmware_page = 4096; // bytes, whatever the guest has

// The file beside `path` that has "vmem" in place of its extension. Throws FileError that names it.
std::shared_ptr<const ByteSource> open_vmem(const std::string& path);

} // namespace kcrash
