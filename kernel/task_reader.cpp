// SPDX-License-Identifier: GPL-3.0-or-later
#include "kernel/task_reader.hpp"
#include "core/error.hpp"
#include "kernel/task_state.hpp"
#include <algorithm>

namespace kcrash {

// The bytes of one task: all at once where they can be read, else member by member.
class TaskReader::Source {
public:
    Source(const TaskReader& reader, uint64_t task)
        : space_(reader.target_.kernel()), task_(task), begin_(reader.begin_), bytes_(reader.end_ - reader.begin_) {
        whole_ = space_.try_read(VirtualAddress(task + begin_), bytes_) == Fault::none;
    }

    std::optional<uint64_t> number(const std::optional<Member>& member, unsigned& faults) const {
        if (!member) return std::nullopt;
        uint64_t value = 0;
        if (whole_ && member->offset >= begin_) {
            Member inside = *member;
            inside.offset -= begin_;
            return inside.load(bytes_, space_.order());
        }
        if (member->load(space_, task_, value) == Fault::none) return value;
        ++faults;
        return std::nullopt;
    }

    std::optional<std::string> string(const std::optional<Member>& member, unsigned& faults) const {
        if (!member) return std::nullopt;
        std::string text(member->size, '\0');
        const auto into = std::as_writable_bytes(std::span(text));
        if (whole_) {
            std::copy_n(bytes_.begin() + static_cast<ptrdiff_t>(member->offset - begin_), into.size(), into.begin());
        } else if (space_.try_read(VirtualAddress(task_ + member->offset), into) != Fault::none) {
            ++faults;
            return std::nullopt;
        }
        text.resize(std::min(text.find('\0'), text.size()));
        return text;
    }

private:
    const AddressSpace& space_;
    uint64_t task_, begin_;
    std::vector<std::byte> bytes_;
    bool whole_ = false;
};

TaskReader::TaskReader(const Target& target) : target_(target) {
    const auto member = [&](std::initializer_list<std::string_view> names) { return target.try_member("task_struct", names); };
    // Linux 2f064a59a11f ("sched: Change task_struct::state"), v5.14.
    state_ = member({"__state", "state"});
    exit_state_ = member({"exit_state"});
    flags_ = member({"flags"});
    mm_ = member({"mm"});
    stack_ = member({"stack", "thread_info"});
    pid_ = member({"pid"});
    tgid_ = member({"tgid"});
    parent_ = member({"real_parent", "parent"});
    comm_ = member({"comm"});
    on_cpu_ = member({"on_cpu", "oncpu"});
    signal_ = member({"signal"});
    // Linux bcf9033e5449 ("sched: move CPU field back into thread_info if THREAD_INFO_IN_TASK=y"), v5.16.
    cpu_ = member({"thread_info.cpu", "cpu"});
    if (!cpu_) stack_cpu_ = target.try_member("thread_info", {"cpu"});
    // Linux 8e1f385104ac ("kill task_struct->thread_group"), v6.7; thread_node is from 0c740d0afc3b, v3.14.
    if ((thread_node_ = member({"thread_node"}))) {
        if (const auto head = target.try_member("signal_struct", {"thread_head"})) thread_head_ = head->offset;
    } else {
        thread_node_ = member({"thread_group"});
    }
    const Member tasks = target.member("task_struct", {"tasks"});
    tasks_ = tasks.offset;
    // Linux 2c4704756cab ("pids: Move the pgrp and session pid pointers from task_struct to signal_struct"), v4.19.
    if (const auto link = member({"pid_links[0]", "pids[0].node"})) pid_link_ = link->offset;
    old_state_bits_ = has_old_state_bits(target);

    begin_ = tasks.offset;
    end_ = tasks.offset + 2 * target.arch().word_size;
    for (const auto* one : {&state_, &exit_state_, &flags_, &mm_, &stack_, &pid_, &tgid_, &parent_, &comm_, &cpu_, &on_cpu_, &signal_}) {
        if (!*one) continue;
        begin_ = std::min(begin_, (*one)->offset);
        end_ = std::max(end_, (*one)->offset + (*one)->size);
    }
    if (thread_node_) end_ = std::max(end_, thread_node_->offset + 2 * target.arch().word_size);
    if (end_ - begin_ > (1u << 16)) throw CorruptError("task_struct is impossibly large");
}

std::optional<uint64_t> TaskReader::thread_node_offset() const {
    return thread_node_ ? std::optional(thread_node_->offset) : std::nullopt;
}

std::optional<uint64_t> TaskReader::thread_head_offset() const { return thread_head_; }

// Before v5.16 and without THREAD_INFO_IN_TASK the CPU is in the thread_info at the lowest address of the stack.
void TaskReader::read_cpu(const Source& source, RawTask& raw) const {
    unsigned& faults = raw.task.faults;
    std::optional<uint64_t> cpu = source.number(cpu_, faults);
    if (!cpu_ && stack_cpu_ && raw.task.stack) {
        uint64_t value = 0;
        if (stack_cpu_->load(target_.kernel(), *raw.task.stack, value) == Fault::none) cpu = value;
        else ++faults;
    }
    if (cpu) raw.task.cpu = static_cast<unsigned>(*cpu);
}

RawTask TaskReader::read(uint64_t task_struct) const {
    const Source source(*this, task_struct);
    RawTask raw;
    Task& task = raw.task;
    const auto number = [&](const std::optional<Member>& member) { return source.number(member, task.faults); };
    const auto as_signed = [](std::optional<uint64_t> value) -> std::optional<int64_t> {
        return value ? std::optional(static_cast<int64_t>(*value)) : std::nullopt;
    };
    task.address = task_struct;
    task.pid = as_signed(number(pid_));
    task.tgid = as_signed(number(tgid_));
    task.parent = number(parent_);
    task.state = number(state_);
    task.exit_state = number(exit_state_);
    task.flags = number(flags_);
    task.mm = number(mm_);
    task.stack = number(stack_);
    task.comm = source.string(comm_, task.faults);
    task.old_state_bits = old_state_bits_;
    read_cpu(source, raw);

    const unsigned word = target_.arch().word_size;
    const auto link = [&](uint64_t offset) { return number(Member{.offset = offset, .size = word}); };
    raw.tasks_next = link(tasks_);
    raw.tasks_prev = link(tasks_ + word);
    if (thread_node_) {
        raw.thread_next = link(thread_node_->offset);
        raw.thread_prev = link(thread_node_->offset + word);
    }
    raw.signal = number(signal_);
    if (const auto on = number(on_cpu_)) raw.on_cpu = *on != 0;
    return raw;
}

} // namespace kcrash
