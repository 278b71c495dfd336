// SPDX-License-Identifier: GPL-3.0-or-later
// GDB, embedded: C expressions, types, sources, scripts in its own language and in Python. Starts when it is first asked.
//
// Without GDB's headers, and C++17: everybody may include it. GDB is there once in a process and belongs to the thread that started it.
#pragma once
#include "symbols/gdb/world.hpp"
#include <functional>
#include <memory>
#include <stdexcept>

namespace kcrash {

// GDB refused: its own message, and what it means here.
struct GdbFailure : std::runtime_error {
    using runtime_error::runtime_error;
    bool interrupted = false;   // Ctrl-C
    bool unreadable = false;    // memory that cannot be read
    bool calls = false;         // a function would have to be called
};

struct GdbOptions {
    std::string cache_folder;   // index files; empty: none
    bool use_index = true;      // the index files of earlier runs, and making them
    // Asked when this vmlinux has no index file: writes that file at once (true), or has another process call Gdb::make_index(). May be empty
    std::function<bool(const std::string& vmlinux, const std::string& index)> make_index;
    std::string data_folder;    // with GDB's Python modules under python/
};

class Gdb {
public:
    using Output = std::function<void(const std::string& text)>; // whole lines; may throw: the command ends then

    // Starts GDB without any symbols (some 50 ms). GdbFailure when another session of this process has it.
    static Gdb& start(GdbWorld& world, const GdbOptions& options);
    static Gdb* running(const GdbWorld& world); // null: not started for this one
    static void leave(const GdbWorld& world);   // the world goes away: nothing of it is asked any more

    // Runs one command of GDB (several lines: a script). Loads the kernel's symbols at the first one. GdbFailure
    void execute(const std::string& command, const Output& output);
    bool knows(const std::string& word);        // is there a command of exactly that name?
    std::vector<std::string> complete(const std::string& line);
    bool wants_to_leave() const;                // "quit" was executed

    // From inside of a command, for a script that asks the host something: the task that GDB has selected becomes the host's current
    // one; the host's becomes GDB's.
    void take_task();
    void give_task();
    void forget_stacks(); // registers and frames are asked for again

    // The history of values, shared with p: how many there are; makes the next one from an expression.
    unsigned values();
    void record(const std::string& expression); // GdbFailure

    // Starts GDB for nothing but to have an index of this file in the cache folder. GdbFailure
    static void make_index(const std::string& vmlinux, const GdbOptions& options);

private:
    friend Gdb& the_gdb();
    Gdb() = default;
};

} // namespace kcrash
