// SPDX-License-Identifier: GPL-3.0-or-later
// ~/.kcrashrc: a file that others can write would be their commands (and shell commands) in our name.
#include "commands/shell/rc_file.hpp"
#include <cstdlib>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

namespace kcrash {

void run_home_rc(Shell& shell) {
    const char* home = std::getenv("HOME");
    if (!home || !*home) return;
    const std::string path = std::string(home) + "/.kcrashrc";
    struct stat status;
    if (stat(path.c_str(), &status) != 0) return;
    std::string problem;
    if (!S_ISREG(status.st_mode)) problem = "it is no regular file";
    else if (status.st_uid != geteuid()) problem = "it does not belong to you";
    else if (status.st_mode & (S_IWGRP | S_IWOTH)) problem = "others can write to it; chmod go-w it";
    if (problem.empty()) shell.run_file(path, false);
    else fmt::print(stderr, "kcrash: {} is not used: {}\n", path, problem);
}

} // namespace kcrash
