// SPDX-License-Identifier: GPL-3.0-or-later
// The embedded GDB as commands use it: woken by the first that needs it, on the session's current task and history of values.
#pragma once
#include "kernel/gdb_kernel.hpp"
#include "symbols/gdb/gdb.hpp"
#include <functional>
#include <string>
#include <string_view>

namespace kcrash {

class Session;

// Looks at the session that owns it.
class GdbBridge {
public:
    explicit GdbBridge(Session& session);
    ~GdbBridge();
    bool awake() const { return gdb_ != nullptr; }

    // Runs a command of GDB; `output` gets whole lines. Values that it adds to GDB's history are the session's as well.
    // Error with GDB's message, MemoryError's words for what the dump does not have; Interrupted.
    void execute(const std::string& command, const Gdb::Output& output);
    std::string output_of(const std::string& command); // as one string, without the last newline
    bool knows(std::string_view word);                 // is it a command of GDB's? Wakes GDB, but does not load symbols
    std::vector<std::string> complete(const std::string& line);

    // For Python: starts GDB, no more. Between a script's calls: the task that it selected in GDB becomes the session's current one,
    // and the other way.
    void wake() { gdb(); }
    void take_task();
    void give_task();
    void forget_stacks(); // stacks begin elsewhere now: set -a

private:
    Gdb& gdb();
    void give_values(); // the session's values that GDB's history does not have yet
    void take_values();
    void apply_settings();

    Session& session_;
    std::unique_ptr<GdbKernel> kernel_;
    Gdb* gdb_ = nullptr;
    std::string applied_; // the settings that GDB was told of last
};

// kcrash --gdb-index VMLINUX: writes GDB's index of the file into the cache folder. The process's exit status.
int make_gdb_index(const std::string& vmlinux);

} // namespace kcrash
