// SPDX-License-Identifier: GPL-3.0-or-later
// Arguments and locals of a frame, with their values or the reason why there is none.
#pragma once
#include "symbols/debug_info.hpp"
#include "symbols/dwarf_file.hpp"
#include "symbols/dwarf_types.hpp"

namespace kcrash {

// Innermost scope first; in each, parameters before locals, as the compiler wrote them.
std::vector<VariableValue> read_variables(const DwarfFile& file, const DwarfTypes& types, const FrameContext& frame);
// DebugInfo::call_site().
std::optional<CallSite> read_call_site(const DwarfFile& file, const FrameContext& frame);

} // namespace kcrash
