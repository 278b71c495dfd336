// SPDX-License-Identifier: GPL-3.0-or-later
// The reader of kdump-compressed files, which reads diskdump's as well.
#pragma once
#include "core/dump/dump.hpp"

namespace kcrash {

// One file, or the parts of a split set. Throws FileError with what is wrong.
std::unique_ptr<Dump> open_kdump(std::vector<std::shared_ptr<const ByteSource>> files);

struct KdumpHeader;
// The registers of the CPU that died, from a diskdump's sub header, as an NT_PRSTATUS. Nothing: there are none, or the architecture's
// are not known.
std::optional<Note> diskdump_registers(const ByteSource& file, const KdumpHeader& header);

} // namespace kcrash
