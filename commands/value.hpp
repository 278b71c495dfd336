// SPDX-License-Identifier: GPL-3.0-or-later
// Values of the dumped kernel as trees, each leaf with the text that gdb prints for it.
#pragma once
#include "commands/report/report.hpp"
#include "kernel/object.hpp"

namespace kcrash {

class Session;

struct ValueFormat {
    unsigned radix = 10;       // 10 or 16
    unsigned print_max = 256;  // elements of an array, characters of a string
    bool null_stop = false;    // strings end at their first NUL
    bool symbols = true;       // pointers with <symbol+offset>
    bool print_array = false;  // each element of an array on a line of its own
};
ValueFormat value_format(const Session& session);

// The whole value. What cannot be read is Missing in its leaf; the rest is there. Never throws for unreadable memory.
ValueTree value_tree(const Object& object, const ValueFormat& format);
// What gdb puts before a value that is printed on its own: "(struct task_struct *) " for pointers, else nothing.
std::string value_prefix(const Object& object);

// "init_task+2192"; empty when no symbol covers the address. A label in data, without a size, covers itself alone: gdb says
// nothing of what follows it, which is mostly strings.
std::string pointer_symbol(const Target& target, uint64_t address);
// "0xffffffff81000000 <startup_64>"
std::string pointer_text(const Target& target, uint64_t address);
// Bytes as a C string literal with its quotes: "swapper/0\000"; ' for a character.
std::string quote_c(std::string_view bytes, char quote);
// "PG_slab", "(FA | FC)", "(FA | unknown: 0x8)", "9".
std::string enumerator_text(const Type& type, uint64_t value);

} // namespace kcrash
