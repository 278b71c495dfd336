// SPDX-License-Identifier: GPL-3.0-or-later
// What a user has besides a target: the current task, settings, aliases, history of values, where output goes.
#pragma once
#include "commands/command.hpp"
#include "commands/user_commands.hpp"
#include "kernel/target.hpp"
#include "kernel/task.hpp"
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace kcrash {

struct Settings {
    unsigned radix = 10; // 10 or 16
    bool scroll = true;
    std::string pager;        // empty: less, or more, or $CRASHPAGER
    unsigned print_max = 256; // elements
    bool print_array = false;
    bool null_stop = false;
    bool refresh = true, redzone = true, offline_show = true, hash = true;
    std::string error = "default"; // "default", "redirect", or a file
    std::string edit = "emacs";
    std::string output = "text"; // "text", "json"
    std::string console = "(not assigned)";
    unsigned debug = 0;
    bool core = false, gdb = false;
    uint64_t scope = 0;
    bool silent = false;
    bool old_bt = false;           // bt -O
    unsigned bug_bytes = 0;        // dis -b: data behind ud2
};

class GdbBridge;

// A value of the $N history.
struct HistoryValue {
    Object object;
    bool in_gdb = false; // GDB made it: it is there under the same number, and `object` is empty
};

class Session {
public:
    Session(std::unique_ptr<Target> target, std::unique_ptr<Report> report); // target null: only commands that need none
    ~Session();

    bool has_target() const { return target_ != nullptr; }
    Target& target() const; // UsageError when there is none
    Tasks& tasks() const;   // gathered on first use
    Report& report() const { return *report_; }
    GdbBridge& gdb(); // the embedded GDB, asleep until it is needed. UsageError without a target
    // Replaces the report (redirection, pipes); gives back the old one.
    std::unique_ptr<Report> exchange_report(std::unique_ptr<Report> report);

    // The current task: the panic task at first; without one, the idle task of the lowest CPU.
    const Task& current() const; // Error when there are no tasks at all
    void set_current(const Task& task);
    void forget_tasks(); // after zero_excluded changed

    Settings settings;
    std::map<std::string, std::string, std::less<>> user_aliases; // name -> text
    std::vector<HistoryValue> values;                             // $1 is values[0]
    UserCommands user_commands;                                   // those of the extensions
    bool minimal = false;
    bool leave = false; // exit was asked for
    unsigned failed_commands = 0;
    bool output_in_file = false; // the running command's output goes into a file: a bar may stand beside it
    bool output_closed = false; // the reader of the last command's output went away before its end

    // ---- words, the same for all commands; all throw UsageError with crash's wording
    const Task& task(std::string_view word) const; // pid, hex pid or task address
    uint64_t number(std::string_view word) const;  // decimal, 0x, k/m/g suffix, (expression), all with a sign
    uint64_t address(std::string_view word) const; // symbol, symbol+offset, hex (0x optional), (expression)
    std::optional<uint64_t> try_address(std::string_view word) const;
    std::vector<unsigned> cpus(std::string_view list) const; // "1,3,5-7", "a", "all", "" = current's cpu

    const Command* command(std::string_view name) const; // kcrash's own, or an extension's; null: none
    // Runs one line: aliases, command, type or symbol without its verb. Returns false if it failed (already reported).
    // A leading backslash keeps aliases away. Knows no pipes and redirections: those are the shell's.
    bool run(std::string_view line);
    // Runs one line with pipes and redirections when a shell has put itself here; else run(). For repeat.
    std::function<bool(std::string_view line)> execute;

private:
    void check_needs(const Command& command) const;
    std::string with_verb(std::string_view line) const;
    std::string unknown_command(std::string_view word) const;
    bool is_gdb_command(std::string_view word);
    std::optional<uint64_t> symbol_plus_offset(std::string_view word) const;
    bool run_command(const Command& command, std::string_view line);
    const Task* find_task(std::string_view word) const;

    std::unique_ptr<Target> target_;
    std::unique_ptr<Report> report_;
    mutable std::unique_ptr<Tasks> tasks_;
    mutable const Task* current_ = nullptr;
    std::unique_ptr<GdbBridge> gdb_; // looks at all of the above
};

} // namespace kcrash
