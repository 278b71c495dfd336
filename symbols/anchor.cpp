// SPDX-License-Identifier: GPL-3.0-or-later
// Keeps the library from being empty until its first file arrives.
namespace kcrash {}
