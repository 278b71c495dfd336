// SPDX-License-Identifier: GPL-3.0-or-later
// A task in functions that are traced by the function graph tracer, by return probes, or by both.
#include "kernel/stack/machine.hpp"
#include "tests/fixtures/kernel.hpp"
#include <doctest/doctest.h>

using namespace kcrash;

namespace {

constexpr const char* types = R"(
    int 'long unsigned int' 8 unsigned
    ptr 1
    struct llist_node 8 next:2:0
    struct task_struct 32 ret_stack:2:64 rethooks:3:128
    struct ftrace_ret_stack 24 ret:1:0 func:1:64 retp:2:128
    struct rethook_node 24 llist:3:0 ret_addr:1:64 frame:1:128
)";

constexpr uint64_t text = fixtures::Kernel::text, data = fixtures::Kernel::data, task_address = data, graph_stack = data + 0x100,
                   nodes = data + 0x200, slot = data + 0x1000, caller = text + 0x123, of_graph = text + 0x800, of_probes = text + 0x900;

struct Fixture {
    fixtures::Kernel kernel{types};
    Fixture() {
        kernel.symbol("return_to_handler", of_graph, 16), kernel.symbol("arch_rethook_trampoline", of_probes, 16);
        kernel.put(task_address + 8, graph_stack), kernel.put(task_address + 16, 0);
        kernel.put(graph_stack, 0), kernel.put(nodes, 0);
    }
    void graph_entry(unsigned index, uint64_t original, uint64_t place) {
        kernel.put(graph_stack + index * 24, original), kernel.put(graph_stack + index * 24 + 16, place);
    }
    // The newest is first.
    void probe_node(unsigned index, uint64_t original, uint64_t place, bool last) {
        const uint64_t node = nodes + index * 24;
        if (index == 0) kernel.put(task_address + 16, node);
        kernel.put(node, last ? 0 : node + 24), kernel.put(node + 8, original), kernel.put(node + 16, place);
    }
    std::optional<uint64_t> original(uint64_t pc) {
        const auto target = kernel.open();
        Task task;
        task.address = task_address;
        return original_return(*target, tracer_returns(*target), task, slot, pc);
    }
};

} // namespace

TEST_CASE_FIXTURE(Fixture, "tracers: an address that is no tracer's stays") { CHECK(original(caller) == caller); }

TEST_CASE_FIXTURE(Fixture, "tracers: the graph tracer's entry is told by its place") {
    graph_entry(0, text + 0x55, slot + 64), graph_entry(1, caller, slot);
    CHECK(original(of_graph) == caller);
}

TEST_CASE_FIXTURE(Fixture, "tracers: the return probe's node is told by its place") {
    probe_node(0, text + 0x55, slot - 64, false), probe_node(1, caller, slot, true);
    CHECK(original(of_probes) == caller);
}

TEST_CASE_FIXTURE(Fixture, "tracers: a probe on a function whose graph is traced keeps the graph tracer's address, and the other way round") {
    graph_entry(0, caller, slot), probe_node(0, of_graph, slot, true);
    CHECK(original(of_probes) == caller);
    graph_entry(0, of_probes, slot), probe_node(0, caller, slot, true);
    CHECK(original(of_graph) == caller);
}

TEST_CASE_FIXTURE(Fixture, "tracers: of two probes on one function the older one keeps the original") {
    probe_node(0, of_probes, slot, false), probe_node(1, caller, slot, true);
    CHECK(original(of_probes) == caller);
}

TEST_CASE_FIXTURE(Fixture, "tracers: nothing, where nobody keeps it, or each only the other's") {
    CHECK(original(of_probes) == std::nullopt);
    graph_entry(0, of_probes, slot), probe_node(0, of_graph, slot, true);
    CHECK(original(of_graph) == std::nullopt);
}
