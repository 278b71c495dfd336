// SPDX-License-Identifier: GPL-3.0-or-later
// Where rendered bytes go: a descriptor, a file, a shell's standard input, a pager once the screen is full.
#pragma once
#include "commands/report/report.hpp"
#include <sys/types.h>

namespace kcrash {

// Writes all bytes. OutputClosed when the reader has gone, Interrupted on Ctrl-C, Error for a full disk.
void write_all(int descriptor, std::string_view bytes);
Sink descriptor_sink(int descriptor);

// A file that output is redirected to. Error when it cannot be opened.
class OutputFile {
public:
    OutputFile(const std::string& path, bool append);
    ~OutputFile();
    OutputFile(const OutputFile&) = delete;
    OutputFile& operator=(const OutputFile&) = delete;
    int descriptor() const { return descriptor_; }

private:
    int descriptor_;
};

// `sh -c COMMAND` with our output as its input (posix_spawn: nothing of ours goes on in the child).
class ShellPipe {
public:
    explicit ShellPipe(const std::string& command);
    ~ShellPipe();
    ShellPipe(const ShellPipe&) = delete;
    ShellPipe& operator=(const ShellPipe&) = delete;
    int descriptor() const { return descriptor_; }
    // Ends its input and waits for it. Its exit status, 128 + N when signal N ended it.
    int finish();

private:
    pid_t child_ = -1;
    int descriptor_ = -1;
};

// Runs a shell command with the terminal's own input and output; empty: the user's shell. Its exit status.
int run_shell(const std::string& command);

// Holds text back until it is taller than the screen, then starts the pager; what was short goes to the terminal.
class PagedOutput {
public:
    explicit PagedOutput(std::string pager) : pager_(std::move(pager)) {}
    void write(std::string_view bytes);
    void finish(); // ends the pager and waits for it, or prints what was held back

private:
    std::string pager_, held_;
    std::unique_ptr<ShellPipe> pipe_;
    unsigned rows_ = 0;
    unsigned column_ = 0;
};

} // namespace kcrash
