// SPDX-License-Identifier: GPL-3.0-or-later
// Everything that is thrown. Messages are lower case, name the thing and its address, and say what to do if we know.
#pragma once
#include "core/fault.hpp"
#include <cstdint>
#include <stdexcept>
#include <string>

namespace kcrash {

struct Error : std::runtime_error {
    using std::runtime_error::runtime_error;
};

// Memory of the target could not be read. `what` is what the reader was after ("task_struct.comm").
struct MemoryError : Error {
    MemoryError(Fault fault, uint64_t address, std::string_view space, std::string_view what = {});
    Fault fault;
    uint64_t address;
};

// A file (dump, debug file, cache) is damaged or is not what it must be.
struct FileError : Error {
    using Error::Error;
};

// A type, member, symbol or module that was asked for does not exist in this target.
struct LookupError : Error {
    using Error::Error;
};

// The user asked for something that the command cannot do; the message says how to ask.
struct UsageError : Error {
    using Error::Error;
};

// A kernel structure contradicts itself (cyclic list, count beyond any limit).
struct CorruptError : Error {
    using Error::Error;
};

// The user pressed Ctrl-C.
struct Interrupted : Error {
    Interrupted() : Error("interrupted") {}
};

} // namespace kcrash
