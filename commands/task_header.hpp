// SPDX-License-Identifier: GPL-3.0-or-later
// The line that stands over what a command says about one task.
#pragma once
#include "commands/report/report.hpp"
#include "kernel/task.hpp"

namespace kcrash {

// pid, task, cpu, command: what every record about a task begins with.
Fields task_fields(const Task& task);

// PID: 252      TASK: ff1bffcd437c8000  CPU: 0    COMMAND: "record"
inline constexpr std::string_view task_header_layout = "PID: {pid:<7}  TASK: {task}  CPU: {cpu:<3}  COMMAND: \"{command}\"";

} // namespace kcrash
