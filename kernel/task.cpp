// SPDX-License-Identifier: GPL-3.0-or-later
// All tasks, found in two ways so that one broken page or list costs as little as possible:
//
//   init_pid_ns.idr -> xarray -> struct pid -> tasks[PIDTYPE_PID] -> task_struct.pid_links[0]     (every thread; v4.15)
//   init_task.tasks -> leaders; signal_struct.thread_head -> task_struct.thread_node              (every thread)
//
// The idle tasks are in neither: they hang on their run queues.
#include "kernel/task.hpp"
#include "kernel/list.hpp"
#include "kernel/percpu.hpp"
#include "kernel/task_reader.hpp"
#include "kernel/xarray.hpp"
#include <algorithm>
#include <fmt/format.h>
#include <tbb/parallel_for.h>
#include <tuple>

namespace kcrash {
namespace {

class Gathering {
public:
    Gathering(const Target& target, std::vector<std::string>& warnings)
        : target_(target), reader_(target), warnings_(warnings) {}

    void from_run_queues();
    void from_pid_table();
    void from_lists();
    std::vector<Task> take();

private:
    RawTask& read(uint64_t address);
    void read_all(const std::vector<uint64_t>& addresses);
    bool listed(uint64_t address);
    LinkReader link(uint64_t offset, std::optional<uint64_t> RawTask::*member, uint64_t head);
    void threads_of(uint64_t leader);

    const Target& target_;
    TaskReader reader_;
    std::vector<std::string>& warnings_;
    std::unordered_map<uint64_t, RawTask> tasks_;
    std::unordered_map<uint64_t, int64_t> pid_of_; // from the pid table: for tasks whose own page is not there
    uint64_t broken_groups_ = 0;
    std::string broken_group_;
};

RawTask& Gathering::read(uint64_t address) {
    const auto known = tasks_.find(address);
    return known != tasks_.end() ? known->second : tasks_.emplace(address, reader_.read(address)).first->second;
}

void Gathering::read_all(const std::vector<uint64_t>& addresses) {
    std::vector<RawTask> raw(addresses.size());
    tbb::parallel_for(size_t{0}, addresses.size(), [&](size_t i) { raw[i] = reader_.read(addresses[i]); });
    tasks_.reserve(tasks_.size() + raw.size());
    for (RawTask& task : raw) tasks_.emplace(task.task.address, std::move(task));
}

void Gathering::from_run_queues() {
    const auto runqueues = target_.symbol_address("runqueues");
    const auto idle = target_.try_member("rq", {"idle"});
    if (!runqueues || !idle) {
        warnings_.push_back("idle tasks are not listed: this kernel's run queues are unknown");
        return;
    }
    for (const unsigned cpu : target_.present_cpus()) {
        uint64_t address = 0;
        const auto queue = per_cpu_address(target_, *runqueues, cpu);
        const Fault fault = queue ? idle->load(target_.kernel(), *queue, address) : Fault::no_mapping;
        if (fault != Fault::none || address == 0) {
            warnings_.push_back(fmt::format("the idle task of cpu {} is not listed: its run queue is {}", cpu,
                                            fault == Fault::none ? "not set up" : describe(fault)));
            continue;
        }
        Task& task = read(address).task;
        task.is_idle = true;
        task.cpu = cpu;
    }
}

void Gathering::from_pid_table() {
    const auto init_pid_ns = target_.symbol_address("init_pid_ns");
    const auto idr = target_.try_member("pid_namespace", {"idr"});
    const auto heads = target_.try_member("pid", {"tasks"});
    const auto link = reader_.pid_link_offset();
    if (!init_pid_ns || !idr || !heads || !link) return; // before v4.15 there is a hash: the lists have all tasks too
    std::vector<uint64_t> addresses;
    uint64_t lost = 0;
    const XarrayResult walk = walk_xarray(target_, idr_root(target_, *init_pid_ns + idr->offset), [&](uint64_t index, uint64_t pid) {
        uint64_t node = 0; // the first of pid.tasks[PIDTYPE_PID]; null for a pid that is only a session's or group's number
        Member first = *heads;
        first.size = target_.arch().word_size;
        if (first.load(target_.kernel(), pid, node) != Fault::none) ++lost;
        else if (node != 0 && pid_of_.emplace(node - *link, static_cast<int64_t>(index)).second) addresses.push_back(node - *link);
        return true;
    });
    if (walk.lost_nodes > 0)
        warnings_.push_back(fmt::format("pid table: {} of its nodes cannot be used, the first at {:#x}{}{}", walk.lost_nodes, walk.lost_at,
                                        walk.fault == Fault::none ? ": it contradicts itself" : " is ",
                                        walk.fault == Fault::none ? "" : describe(walk.fault)));
    if (lost > 0) warnings_.push_back(fmt::format("pid table: {} pids are unreadable", lost));
    read_all(addresses);
}

// Takes in a task that a list names, unless it is plainly none: a link that was overwritten leads anywhere.
bool Gathering::listed(uint64_t address) {
    constexpr int64_t pid_limit = 4 << 20; // PID_MAX_LIMIT of include/linux/threads.h
    const Task& task = read(address).task;
    if (!task.pid || (*task.pid >= 0 && *task.pid <= pid_limit)) return true;
    warnings_.push_back(fmt::format("task list: {:#x} is not a task: its pid would be {}", address, *task.pid));
    tasks_.erase(address);
    return false;
}

// A list's links come from tasks that were read before, so that no page is fetched twice. The head is read by itself.
LinkReader Gathering::link(uint64_t offset, std::optional<uint64_t> RawTask::*member, uint64_t head) {
    const bool backward = member == &RawTask::tasks_prev || member == &RawTask::thread_prev;
    const LinkReader of_head = pointer_reader(target_.kernel(), target_.arch().word_size, backward ? target_.arch().word_size : 0);
    return [this, offset, member, head, of_head](uint64_t node, uint64_t& next) {
        if (node != head) {
            if (const auto known = tasks_.find(node - offset); known != tasks_.end() && known->second.*member) {
                next = *(known->second.*member);
                return Fault::none;
            }
        }
        return of_head(node, next);
    };
}

void Gathering::threads_of(uint64_t leader) {
    const auto node = reader_.thread_node_offset();
    const auto signal = read(leader).signal;
    if (!node) return;
    uint64_t head = leader + *node;
    if (const auto offset = reader_.thread_head_offset()) {
        if (!signal || *signal == 0) return;
        head = *signal + *offset;
    }
    // Most groups have one thread, whose links lead back to the head at once.
    const RawTask& raw = read(leader);
    if (raw.thread_next == head && raw.thread_prev == head) return;
    const ListNodes threads = list_nodes(head, link(*node, &RawTask::thread_next, head), link(*node, &RawTask::thread_prev, head));
    for (const uint64_t thread : threads.nodes) listed(thread - *node);
    if (!threads.forward.whole() && broken_groups_++ == 0) broken_group_ = threads.forward.describe();
}

void Gathering::from_lists() {
    const auto init_task = target_.symbol_address("init_task");
    if (!init_task) {
        warnings_.push_back("task list: this kernel has no symbol init_task");
        return;
    }
    read(*init_task).task.is_idle = true; // also where no run queue could be read
    const uint64_t offset = reader_.tasks_offset(), head = *init_task + offset;
    const size_t before = tasks_.size();
    const ListNodes leaders = list_nodes(head, link(offset, &RawTask::tasks_next, head), link(offset, &RawTask::tasks_prev, head));
    for (const uint64_t node : leaders.nodes)
        if (listed(node - offset)) threads_of(node - offset);
    if (!leaders.forward.whole())
        warnings_.push_back(fmt::format("task list: {}; {} tasks come from the pid table, {} more from the list up to there{}",
                                        leaders.forward.describe(), pid_of_.size(), tasks_.size() - before,
                                        leaders.backward.count > 0 ? " and backward from its end" : ""));
    if (broken_groups_ > 0)
        warnings_.push_back(fmt::format("thread lists: {} are broken, the first: {}", broken_groups_, broken_group_));
}

// Idle tasks first, by CPU; then by pid.
std::vector<Task> Gathering::take() {
    std::vector<Task> all;
    all.reserve(tasks_.size());
    for (auto& [address, raw] : tasks_) {
        Task& task = raw.task;
        if (!task.pid)
            if (const auto known = pid_of_.find(address); known != pid_of_.end()) task.pid = known->second;
        if (task.is_idle) task.ppid = 0; // whatever real_parent says: the kernel makes them with init as the current task
        else if (task.parent) {
            const auto parent = tasks_.find(*task.parent);
            if (parent != tasks_.end()) task.ppid = parent->second.task.tgid;
            else if (*task.parent != 0) task.ppid = reader_.read(*task.parent).task.tgid;
        }
        task.active = raw.on_cpu.value_or(false);
        all.push_back(task);
    }
    const auto key = [](const Task& task) {
        const bool idle = task.is_idle;
        return std::tuple(!idle, idle ? int64_t{task.cpu.value_or(0)} : task.pid.value_or(INT64_MAX), task.address);
    };
    std::sort(all.begin(), all.end(), [&](const Task& a, const Task& b) { return key(a) < key(b); });
    return all;
}

} // namespace

Tasks::Tasks(const Target& target) {
    Gathering gathering(target, warnings_);
    gathering.from_run_queues();
    gathering.from_pid_table();
    gathering.from_lists();
    tasks_ = gathering.take();
    index();
    find_active(target);
    find_panic(target);
    size_t unreadable = 0;
    for (const Task& task : tasks_) unreadable += task.faults > 0;
    if (unreadable > 0) warnings_.push_back(fmt::format("{} of {} tasks are not completely readable", unreadable, tasks_.size()));
}

void Tasks::index() {
    for (size_t i = 0; i < tasks_.size(); ++i) {
        by_address_.emplace(tasks_[i].address, i);
        if (tasks_[i].pid) by_pid_.emplace(*tasks_[i].pid, i);
    }
}

// rq.curr says who runs; where it cannot be read, task_struct.on_cpu does.
void Tasks::find_active(const Target& target) {
    std::map<unsigned, size_t> running;
    for (size_t i = 0; i < tasks_.size(); ++i) {
        if (tasks_[i].active && tasks_[i].cpu) running.emplace(*tasks_[i].cpu, i);
        tasks_[i].active = false;
    }
    const auto runqueues = target.symbol_address("runqueues");
    const auto curr = target.try_member("rq", {"curr"});
    for (const unsigned cpu : target.present_cpus()) {
        uint64_t address = 0;
        const auto queue = runqueues ? per_cpu_address(target, *runqueues, cpu) : std::nullopt;
        if (queue && curr && curr->load(target.kernel(), *queue, address) == Fault::none) {
            const auto known = by_address_.find(address);
            if (known != by_address_.end()) active_[cpu] = known->second;
            else warnings_.push_back(fmt::format("the active task {:#x} of cpu {} is in no list of tasks", address, cpu));
        }
        if (!active_.contains(cpu) && running.contains(cpu)) active_[cpu] = running[cpu];
    }
    for (const auto& [cpu, i] : active_) {
        tasks_[i].active = true;
        tasks_[i].cpu = cpu;
    }
}

// panic_cpu (kernel/panic.c) is set by panic() and crash_kexec(), crashing_cpu by x86's crash shutdown; both are -1 in peace.
// A dump taken from outside of a living guest has neither: then nobody panicked.
void Tasks::find_panic(const Target& target) {
    for (const char* name : {"panic_cpu", "crashing_cpu"}) {
        const auto address = target.symbol_address(name);
        int32_t cpu = -1;
        if (!address || target.kernel().try_load(VirtualAddress(*address), cpu) != Fault::none || cpu < 0) continue;
        const auto& possible = target.possible_cpus();
        if (std::find(possible.begin(), possible.end(), static_cast<unsigned>(cpu)) == possible.end()) continue;
        panic_cpu_ = static_cast<unsigned>(cpu);
        panic_ = active_on(*panic_cpu_);
        return;
    }
}

const Task* Tasks::by_address(uint64_t task_struct) const {
    const auto known = by_address_.find(task_struct);
    return known == by_address_.end() ? nullptr : &tasks_[known->second];
}

std::vector<const Task*> Tasks::by_pid(int64_t pid) const {
    std::vector<size_t> indexes;
    const auto [begin, end] = by_pid_.equal_range(pid);
    for (auto it = begin; it != end; ++it) indexes.push_back(it->second);
    std::sort(indexes.begin(), indexes.end());
    std::vector<const Task*> found;
    for (const size_t i : indexes) found.push_back(&tasks_[i]);
    return found;
}

const Task* Tasks::active_on(unsigned cpu) const {
    const auto known = active_.find(cpu);
    return known == active_.end() ? nullptr : &tasks_[known->second];
}

void Tasks::set_active(const Task& task) {
    const auto known = by_address_.find(task.address);
    if (known == by_address_.end() || !task.cpu) return;
    if (const auto old = active_.find(*task.cpu); old != active_.end()) tasks_[old->second].active = false;
    tasks_[known->second].active = true;
    active_[*task.cpu] = known->second;
}

const Task* Tasks::leader_of(const Task& task) const {
    if (task.is_idle || (task.pid && task.pid == task.tgid)) return &task;
    if (!task.tgid) return nullptr;
    const auto leaders = by_pid(*task.tgid);
    return leaders.empty() ? nullptr : leaders.front();
}

Task read_task(const Target& target, uint64_t task_struct) {
    return TaskReader(target).read(task_struct).task;
}

} // namespace kcrash
