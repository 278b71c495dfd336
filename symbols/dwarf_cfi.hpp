// SPDX-License-Identifier: GPL-3.0-or-later
// Call frame information: .debug_frame, or .eh_frame where that is all there is.
#pragma once
#include "symbols/dwarf_file.hpp"
#include "symbols/unwind.hpp"

namespace kcrash {

// Null when the file has neither section. Damaged entries have no rows; the others have.
std::shared_ptr<const UnwindTable> open_cfi(std::shared_ptr<const DwarfFile> file);

} // namespace kcrash
