// SPDX-License-Identifier: GPL-3.0-or-later
// Files made of parts of files.
#pragma once
#include "core/file.hpp"

namespace kcrash {

// The bytes of `file` from `begin` on, to its end. Shares the file.
std::shared_ptr<const ByteSource> tail_of(std::shared_ptr<const ByteSource> file, uint64_t begin);
// One file behind the other. Messages name the first. Sizes are those at the time of the call; their sum must not wrap:
// FileError.
std::shared_ptr<const ByteSource> join_files(std::vector<std::shared_ptr<const ByteSource>> files);

} // namespace kcrash
