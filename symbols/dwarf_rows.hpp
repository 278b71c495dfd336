// SPDX-License-Identifier: GPL-3.0-or-later
// Which row of a unit's line table an address belongs to.
#pragma once
#include <cstdint>
#include <elfutils/libdw.h>

namespace kcrash {

// The row that GDB chooses, and with it crash: people know an address by that line. libdw would take the last of all rows at or before
// pc. Null: none. Under DwarfFile::lock().
Dwarf_Line* line_row(Dwarf_Die& unit, uint64_t pc);

} // namespace kcrash
