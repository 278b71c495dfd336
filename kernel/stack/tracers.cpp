// SPDX-License-Identifier: GPL-3.0-or-later
// Return addresses that a tracer replaced by its own: where it keeps the original.
//
// The function graph tracer puts return_to_handler in the place of a return address and notes the original in the
// task's ret_stack, with the place (ftrace_ret_stack.retp; kernel/trace/fgraph.c). Return probes put their trampoline there and
// keep a node with the original in the task's list (rethook_node, v6.0; kretprobe_instance before).
//
// A function may have both, or several return probes: then what one of them keeps is the address of the next, for the same place.
#include "kernel/list.hpp"
#include "kernel/stack/machine.hpp"
#include "kernel/word.hpp"

namespace kcrash {
namespace {

// ret_stack was an array of entries; since Linux 42675b723b48 ("function_graph: Convert ret_stack to a series of longs"),
// v6.11, it is one of words with entries here and there. An entry is told by its retp, wherever it lies.
std::optional<uint64_t> from_graph_tracer(const Target& target, const Task& task, uint64_t slot, uint64_t own) {
    const auto stack = target.try_member("task_struct", {"ret_stack"});
    const auto original = target.try_member("ftrace_ret_stack", {"ret"}), place = target.try_member("ftrace_ret_stack", {"retp"});
    uint64_t base = 0;
    if (!stack || !original || !place || stack->load(target.kernel(), task.address, base) != Fault::none || !base) return std::nullopt;
    constexpr unsigned most = 4096; // bytes: one page of words, or 50 entries of 32 to 56 bytes
    for (unsigned at = 0; at < most; at += target.arch().word_size) {
        uint64_t word = 0;
        if (try_word(target, base + at, word) != Fault::none) return std::nullopt;
        if (word != slot || at < place->offset) continue;
        uint64_t found = 0;
        if (try_word(target, base + at - place->offset + original->offset, found) != Fault::none) continue;
        if (found != own && target.symbols().is_text(found)) return found;
    }
    return std::nullopt;
}

std::optional<uint64_t> from_list(const Target& target, uint64_t first, const Member& link, const Member& original, const Member& place,
                                  uint64_t slot, uint64_t own) {
    std::optional<uint64_t> found;
    walk_chain(target.kernel(), target.arch().word_size, first, [&](uint64_t node) {
        uint64_t at = 0, value = 0;
        const uint64_t entry = node - link.offset;
        if (place.load(target.kernel(), entry, at) != Fault::none || original.load(target.kernel(), entry, value) != Fault::none) return false;
        if (at == slot && value != own && target.symbols().is_text(value)) found = value;
        return !found;
    });
    return found;
}

std::optional<uint64_t> from_return_probes(const Target& target, const Task& task, uint64_t slot, uint64_t own) {
    struct Kind {
        const char *head, *type, *link, *place;
    };
    constexpr Kind kinds[] = {{"rethooks", "rethook_node", "llist", "frame"}, {"kretprobe_instances", "kretprobe_instance", "llist", "fp"}};
    for (const Kind& kind : kinds) {
        const auto head = target.try_member("task_struct", {kind.head});
        const auto link = target.try_member(kind.type, {kind.link}), place = target.try_member(kind.type, {kind.place}),
                   original = target.try_member(kind.type, {"ret_addr"});
        uint64_t first = 0;
        if (!head || !link || !place || !original) continue;
        if (try_word(target, task.address + head->offset, first) != Fault::none) continue;
        if (const auto found = from_list(target, first, *link, *original, *place, slot, own)) return found;
    }
    return std::nullopt;
}

} // namespace

std::vector<TracerReturn> tracer_returns(const Target& target) {
    using Kind = TracerReturn::Kind;
    constexpr std::pair<const char*, Kind> names[] = {{"return_to_handler", Kind::graph},
                                                      {"arch_rethook_trampoline", Kind::probe},
                                                      {"__kretprobe_trampoline", Kind::probe},
                                                      {"kretprobe_trampoline", Kind::probe}};
    std::vector<TracerReturn> found;
    const SymbolTable& kernel = target.symbols().kernel(); // not the modules': their symbols may not have been read yet
    for (const auto& [name, kind] : names)
        for (const size_t index : kernel.find(name)) found.push_back({kind, kernel.at(index).address});
    return found;
}

std::optional<uint64_t> original_return(const Target& target, const std::vector<TracerReturn>& tracers, const Task& task, uint64_t slot,
                                        uint64_t pc) {
    for (size_t turn = 0; turn <= tracers.size(); ++turn) { // each tracer once
        const auto tracer = std::find_if(tracers.begin(), tracers.end(), [pc](const TracerReturn& t) { return t.address == pc; });
        if (tracer == tracers.end()) return pc;
        const auto find = tracer->kind == TracerReturn::Kind::graph ? from_graph_tracer : from_return_probes;
        const auto found = find(target, task, slot, pc);
        if (!found) return std::nullopt;
        pc = *found;
    }
    return std::nullopt;
}

} // namespace kcrash
