// SPDX-License-Identifier: GPL-3.0-or-later
// The process's own command line: crash's invocation, its words in any order.
#pragma once
#include "kernel/target.hpp"
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace kcrash {

// What the process is to do with the files.
enum class Mode : uint8_t { session, help, version, build_info, manual, os_release, build_id, log, timestamp, check_namelist, identify, gdb_index };

struct Arguments {
    Mode mode = Mode::session;
    TargetOptions target;
    std::vector<std::string> files;       // not sorted yet
    std::vector<std::string> commands;    // -C, in order; may hold several each
    std::vector<std::string> input_files; // -i, in order
    std::string rc_file;                  // --rc
    std::vector<std::string> notes;       // options that mean nothing here, each a line for the user
    std::vector<std::string> settings;    // as for `set`: "radix 16"
    std::string help_topic;
    bool silent = false, json = false, minimal = false, no_rc = false, no_panic = false;
};

// One option of the process. Usage, --help and the manual page are made of these rows.
struct ProcessOption {
    std::string_view letter;   // "i": -i; empty: none
    std::string_view name;     // "command": --command, also with = and with _ for -; empty: none
    std::string_view argument; // empty: none
    std::string_view help;     // one line; for those that mean nothing here, why
    void (*apply)(Arguments& arguments, const std::string& value); // null: accepted, means nothing here
    bool argument_optional = false;                                // -h [cmd]: the next word, unless it is an option
};

std::span<const ProcessOption> process_options();
// UsageError names the word that it does not know.
Arguments parse_arguments(std::span<char* const> words);
// Sorts `files` by what is in them: dump files, vmlinux. FileError for what is neither.
void sort_files(Arguments& arguments);
// The text of --help.
std::string process_usage();

} // namespace kcrash
