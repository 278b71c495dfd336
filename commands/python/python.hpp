// SPDX-License-Identifier: GPL-3.0-or-later
// The Python inside of the embedded GDB knows the session as the module kcrash. Without Python's headers.
#pragma once
#include "commands/command.hpp"
#include <string>
#include <string_view>

namespace kcrash {

class Session;

// Makes the module. Python is once in a process, as GDB is: so is the session that it serves. After GDB was started, outside of
// it. Nothing happens where GDB has no Python.
void install_python(Session& session);
void leave_python(const Session& session); // the session goes away: scripts that still ask get an error

// Runs a file of Python that defines commands (extend). Error with what the script said, and none of its commands stays.
void load_python(Session& session, const std::string& path);
void unload_python(Session& session, const std::string& path);

} // namespace kcrash
