// SPDX-License-Identifier: GPL-3.0-or-later
// QEMU's migration stream, which others wrap.
#pragma once
#include "core/dump/dump.hpp"

namespace kcrash {

bool is_qemu_stream(std::span<const std::byte> head);
// `format` is what the user is told: "QEMU migration stream"; `warnings` too, before the stream's own. Throws FileError.
std::unique_ptr<Dump> open_qemu_stream(std::shared_ptr<const ByteSource> file, std::string format,
                                       std::vector<std::string> warnings = {});

} // namespace kcrash
