// SPDX-License-Identifier: GPL-3.0-or-later
// task: task_struct and thread_info.
#include "commands/session.hpp"
#include "commands/task_header.hpp"
#include "commands/value.hpp"
#include "core/error.hpp"
#include <algorithm>
#include <fmt/format.h>

namespace kcrash {
namespace {

class TaskCommand {
public:
    TaskCommand(Session& session, const Invocation& invocation)
        : session_(session), report_(session.report()), target_(session.target()), format_(value_format(session)) {
        const bool hexadecimal = invocation.has("x") || invocation.has("h");
        if (hexadecimal && invocation.has("d")) throw UsageError("-d and -x are mutually exclusive");
        if (hexadecimal) format_.radix = 16;
        if (invocation.has("d")) format_.radix = 10;
        task_struct_ = &target_.types().require("struct task_struct");
        thread_info_ = target_.types().find(TypeKind::structure, "thread_info");
        for (const std::string& list : invocation.values("R")) add_members(list);
    }

    void say(const Task& task) {
        report_.begin("task", task_header_layout, task_fields(task));
        if (members_.empty()) whole(task);
        else
            for (const auto& [path, of_task] : members_) member(task, path, of_task);
        report_.text("", true);
        report_.end();
    }

private:
    void add_members(const std::string& list) {
        for (size_t at = 0; at <= list.size();) {
            const size_t end = std::min(list.find(',', at), list.size());
            const std::string path = list.substr(at, end - at);
            at = end + 1;
            const bool of_task = find_member(task_struct_, path).has_value();
            if (!of_task && !(thread_info_ && find_member(thread_info_, path)))
                throw UsageError(fmt::format("{}: not a task_struct or thread_info member", path));
            members_.emplace_back(path, of_task);
        }
    }

    // thread_info lies in task_struct, or at the lowest address of the stack.
    std::optional<Object> thread_info(const Task& task) const {
        if (!thread_info_) return std::nullopt;
        if (const auto inside = find_member(task_struct_, "thread_info"); inside && is_compound(inside->type))
            return Object(target_, thread_info_, task.address + inside->bit_offset / 8);
        if (!task.stack) return std::nullopt;
        return Object(target_, thread_info_, *task.stack);
    }

    void whole(const Task& task) {
        report_.value(value_tree(Object(target_, task_struct_, task.address), format_), "struct task_struct ");
        const auto info = thread_info(task);
        if (!info) return;
        report_.text("", true);
        report_.value(value_tree(*info, format_), "struct thread_info ");
    }

    void member(const Task& task, const std::string& path, bool of_task) {
        const auto owner = of_task ? std::optional(Object(target_, task_struct_, task.address)) : thread_info(task);
        if (!owner) return report_.note(Severity::error, fmt::format("{}: the thread_info of this task is unreadable", path));
        ValueTree tree = value_tree((*owner)[path], format_);
        tree.name = path;
        report_.value(tree, fmt::format("  {} = ", path), ",", 2);
    }

    Session& session_;
    Report& report_;
    const Target& target_;
    ValueFormat format_;
    const Type *task_struct_ = nullptr, *thread_info_ = nullptr;
    std::vector<std::pair<std::string, bool>> members_; // path, in task_struct
};

void run(Session& session, const Invocation& invocation) {
    TaskCommand command(session, invocation);
    if (invocation.operands.empty()) return command.say(session.current());
    for (const std::string& word : invocation.operands) {
        try {
            command.say(session.task(word));
        } catch (const UsageError& error) { // the others are shown all the same
            session.report().note(Severity::error, error.what());
        }
    }
}

const Option options[] = {
    {"R", "members", ArgumentKind::member, "only these members (with commas) of task_struct or thread_info"},
    {"x", {}, ArgumentKind::none, "numbers in hexadecimal"},
    {"d", {}, ArgumentKind::none, "numbers in decimal"},
    {"h", {}, ArgumentKind::none, "the same as -x"},
};

} // namespace

extern const Command task_command;
const Command task_command{
    .name = "task",
    .summary = "a task's task_struct and thread_info",
    .synopsis = "[-R member[,member]...] [-x | -d] [pid | task]...",
    .options = options,
    .operands = ArgumentKind::task,
    .needs = needs_target | needs_types | needs_tasks,
    .help = "Prints all of a task's task_struct and thread_info: of the current task, or of those that are named. A member may be\n"
            "one of an embedded struct (se.on_rq) or an element of an array (comm[0]).\n\n"
            "Examples:\n"
            "  task                       the current task\n"
            "  task -R comm,__state 1     two members of init\n"
            "  foreach UN task -R prio    a member of all that sleep uninterruptibly\n",
    .run = run,
};

} // namespace kcrash
