// SPDX-License-Identifier: GPL-3.0-or-later
// ps -p, -c, -g: who begot whom, and who shares a thread group.
#include "commands/ps_parts.hpp"
#include "commands/task_header.hpp"
#include <algorithm>
#include <unordered_set>

namespace kcrash {

static std::string indented(size_t blanks) { return std::string(blanks, ' ') + std::string(task_header_layout); }

void ps_ancestry(Session& session, const TaskList& tasks) {
    Report& report = session.report();
    for (const Task* task : tasks) {
        TaskList line{task};
        std::unordered_set<const Task*> seen{task};
        while (line.back()->parent && !line.back()->is_idle) {
            const Task* parent = session.tasks().by_address(*line.back()->parent);
            if (!parent || !seen.insert(parent).second) break;
            line.push_back(parent);
        }
        report.begin("ancestry", "", task_fields(*task));
        for (size_t level = 0; level < line.size(); ++level)
            report.record("ancestor", indented(level), task_fields(*line[line.size() - 1 - level]));
        report.end();
        report.text("", true);
    }
}

void ps_children(Session& session, const TaskList& tasks) {
    Report& report = session.report();
    std::unordered_map<uint64_t, TaskList> children;
    for (const Task& task : session.tasks().all()) // an idle task is nobody's child, though its real_parent may say init
        if (task.parent && !task.is_idle) children[*task.parent].push_back(&task);
    for (const Task* task : tasks) {
        report.begin("children", task_header_layout, task_fields(*task));
        for (const Task* child : children[task->address]) report.record("child", indented(2), task_fields(*child));
        if (children[task->address].empty()) report.text("  (no children)", true);
        report.end();
        report.text("", true);
    }
}

void ps_groups(Session& session, const TaskList& tasks) {
    Report& report = session.report();
    std::unordered_map<int64_t, TaskList> groups;
    for (const Task& task : session.tasks().all())
        if (task.tgid) groups[*task.tgid].push_back(&task);
    std::unordered_set<int64_t> shown;
    for (const Task* task : tasks) {
        if (!task->tgid || !shown.insert(*task->tgid).second) continue;
        const TaskList& group = groups[*task->tgid];
        const Task* leader = session.tasks().leader_of(*task);
        if (!leader || leader->is_idle) leader = group.front();
        report.begin("thread-group", task_header_layout, task_fields(*leader));
        for (const Task* thread : group)
            if (thread != leader) report.record("thread", indented(2), task_fields(*thread));
        if (group.size() == 1) report.text("  (no threads)", true);
        report.end();
        report.text("", true);
    }
}

} // namespace kcrash
