// SPDX-License-Identifier: GPL-3.0-or-later
// How one cell and one layout become text: shared by the renderers, not by commands.
#pragma once
#include "commands/report/report.hpp"

namespace kcrash {

// Text of one cell, escaped. Missing: "(excluded)", or "?" when the reason is not one short word.
std::string cell_text(const CellValue& value);
// The cell through a FORMAT of a layout; empty: cell_text().
std::string format_cell(const CellValue& value, std::string_view format);
// Fills a layout. An unknown key or a bad FORMAT is our own mistake: std::logic_error.
std::string fill_layout(std::string_view layout, const Fields& fields);
// One cell to its column's width. last: no blanks after it.
std::string pad(const std::string& text, int width, Align align, bool last);
// How many cells of these are Missing.
uint64_t count_missing(const Fields& fields);
uint64_t count_missing(const ValueTree& tree);

} // namespace kcrash
