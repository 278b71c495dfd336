// SPDX-License-Identifier: GPL-3.0-or-later
// GDB's Python modules, which it reads as files.
#pragma once
#include <string>

namespace kcrash {

// A folder with python/gdb/*.py in it: that of the build while it is there, else one in the cache folder, unpacked from this program.
// Empty: GDB does without its Python module.
std::string gdb_data_folder(const std::string& cache);

} // namespace kcrash
