// SPDX-License-Identifier: GPL-3.0-or-later
// The shell: lines with pipes and redirections, files of commands, where the output of each goes.
#pragma once
#include "commands/session.hpp"
#include "commands/shell/output.hpp"
#include "commands/shell/redirection.hpp"

namespace kcrash {

// Looks at the session, which must outlive it, and puts itself into session.execute. Nothing but interruption leaves its
// functions as an exception: what fails is said and counted in session.failed_commands.
class Shell {
public:
    explicit Shell(Session& session);
    ~Shell();

    // One line as typed. False when it failed.
    bool execute(std::string_view line);
    // One line, and those that belong to it ("define ... end" of GDB's language): `next` gives the next line, false at the end.
    using NextLine = std::function<bool(std::string& line)>;
    bool execute(std::string_view line, const NextLine& next);
    // A file of commands. echo: print "kcrash> LINE" before each.
    bool run_file(const std::string& path, bool echo);
    // Standard input, up to its end.
    void run_stdin(bool echo);
    // Is the user at a terminal? Then output is paged and errors stand between the output.
    bool interactive = false;
    // In batch mode Ctrl-C ends everything; at the prompt only the command.
    bool interrupted = false;

private:
    bool run_to(std::string_view command, const Sink& out, bool redirected);
    bool run_paged(std::string_view command);
    bool run_piped(const CommandLine& line);
    bool run_to_file(const CommandLine& line);
    bool run_with_arguments(const CommandLine& line);
    bool run_outside(const std::string& command);
    bool run_command(const std::string& command); // past alias and operators
    bool run_lines(int descriptor, bool echo);
    bool fail(std::string_view line, std::string_view message);
    std::unique_ptr<Report> make_report(const Sink& out, bool redirected);

    Session& session_;
    const Sink* current_ = nullptr; // where the running command's output goes, for commands that run others
    bool in_file_ = false;
};

} // namespace kcrash
