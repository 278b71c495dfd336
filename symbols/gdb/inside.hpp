// SPDX-License-Identifier: GPL-3.0-or-later
// The inside of the embedded GDB: only for the files of this folder, after GDB's own headers, as C++17.
#pragma once
#include "symbols/gdb/gdb.hpp"
#include <exception>
#include <map>
#include <signal.h>
#include <set>
#include <tuple>
#include <utility>

namespace kcrash::gdb_inside {

// Where everything goes that GDB prints: whole lines to whoever runs a command. Unreadable addresses get the reason.
class OutputFile final : public ui_file {
public:
    void write(const char* text, long size) override;
    void write_async_safe(const char*, long) override {} // GDB's own backtrace of an internal error
    void finish();          // what has no newline yet
    // Another takes what comes from now on, until what stood before goes on.
    using Held = std::pair<const Gdb::Output*, std::string>;
    Held begin(const Gdb::Output* output) { return {std::exchange(output_, output), std::exchange(line_, {})}; }
    void go_on(Held held) { std::tie(output_, line_) = std::move(held); }

private:
    void say(std::string text);
    const Gdb::Output* output_ = nullptr;
    std::string line_;
};

// Everything that lasts as long as the process. GDB itself is a set of globals: there is one of these.
struct State {
    GdbWorld* world = nullptr;       // null: it went away
    GdbOptions options;
    OutputFile output;
    std::exception_ptr host_error;   // thrown by an Output; goes on once GDB has been left
    std::map<uint64_t, std::string> unreadable; // address -> reason, of the running command
    bool wrote = false;              // the running command tried to write memory
    bool started = false;            // GDB was initialised
    bool loaded = false;             // the kernel's symbols, the target
    bool leave = false;
    const struct sigaction* host_interrupt = nullptr; // what SIGINT did before the call into GDB; null: no call
    std::set<struct gdbarch*> prepared;
    std::map<std::string, std::string> modules; // name -> path of those whose symbols GDB has
};
State& state();

void start_gdb(const GdbOptions& options);       // start.cpp
void refuse_commands();                          // refused.cpp: what a dead kernel cannot do
void open_target();                              // target.cpp: memory, registers, threads
void load_kernel();                              // files.cpp
void make_index(const std::string& vmlinux);     // files.cpp
void load_modules(const std::string& line);      // files.cpp
void prepare_architecture();                     // unwinder.cpp
void add_told_registers(struct gdbarch* arch);   // told_registers.cpp
void select_task(uint64_t task);                 // target.cpp: GDB's thread
int register_of_gdb(struct gdbarch* arch, unsigned dwarf); // target.cpp: by its DWARF number; below 0: GDB has none
uint64_t selected_task();                        // target.cpp; 0: none
std::string explain(const std::string& message); // execute.cpp: GDB's message with the reason of the unreadable address in it

// What GDB gets for a call into it: its handler of Ctrl-C. What the host had comes back.
class Entry {
public:
    Entry();
    ~Entry();
    Entry(const Entry&) = delete;
    Entry& operator=(const Entry&) = delete;

private:
    struct Saved;
    Saved* saved_;
};

// While the host works inside of a call into GDB: Ctrl-C is the host's.
class HostInterrupt {
public:
    HostInterrupt();
    ~HostInterrupt();
    HostInterrupt(const HostInterrupt&) = delete;
    HostInterrupt& operator=(const HostInterrupt&) = delete;
};

} // namespace kcrash::gdb_inside
