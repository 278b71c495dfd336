// SPDX-License-Identifier: GPL-3.0-or-later
// Flattened files, read in place.
#pragma once
#include "core/file.hpp"
#include <string>
#include <vector>

namespace kcrash {

bool is_flattened(std::span<const std::byte> head);

// What a flattened file holds, as if it had been written to a disk. Shares the file. `warnings` says what is odd,
// `truncated` is set when the end is missing. Throws FileError when nothing can be made of it.
std::shared_ptr<const ByteSource> open_flattened(std::shared_ptr<const ByteSource> file, std::vector<std::string>& warnings,
                                                 bool& truncated);

} // namespace kcrash
