// SPDX-License-Identifier: GPL-3.0-or-later
// What ps says in its modes, for tasks that were already chosen. Each is in the file named after it.
#pragma once
#include "commands/session.hpp"

namespace kcrash {

using TaskList = std::vector<const Task*>;

void ps_ancestry(Session& session, const TaskList& tasks);  // -p: ps_relations.cpp
void ps_children(Session& session, const TaskList& tasks);  // -c
void ps_groups(Session& session, const TaskList& tasks);    // -g
void ps_times(Session& session, const TaskList& tasks);     // -t: ps_times.cpp
// -l, or -m when `as_span`; in blocks for each of the cpus, if any.
void ps_last_run(Session& session, const TaskList& tasks, bool as_span, const std::vector<unsigned>& cpus);
void ps_strings(Session& session, const TaskList& tasks);   // -a: ps_details.cpp
void ps_limits(Session& session, const TaskList& tasks);    // -r
void ps_states(Session& session, const TaskList& tasks);    // -S

} // namespace kcrash
