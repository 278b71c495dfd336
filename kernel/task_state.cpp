// SPDX-License-Identifier: GPL-3.0-or-later
// The bits are macros, so no type tells them. They changed twice since Linux 3.14, which swapped EXIT_DEAD and EXIT_ZOMBIE:
//
//              before 4.14   since 4.14                         since 4.14
//   PARKED     0x200         0x40             NOLOAD   0x400    0x400 (TASK_IDLE is UNINTERRUPTIBLE|NOLOAD)
//   DEAD       0x40          0x80             NEW      0x800    0x800
//   WAKEKILL   0x80          0x100            RTLOCK_WAIT       0x1000 (v5.15), FREEZABLE 0x2000, FROZEN 0x8000 (v6.1)
//   WAKING     0x100         0x200
//
// The kernel's own names for /proc, task_state_array in fs/proc/array.c, tell which: "P (parked)" is the name of bit n at
// index n + 1.
#include "kernel/task_state.hpp"
#include "kernel/task.hpp"
#include <span>

namespace kcrash {
namespace {

struct Bit {
    uint64_t value;
    const char* name;
};

constexpr Bit new_bits[] = {{0x1, "TASK_INTERRUPTIBLE"}, {0x2, "TASK_UNINTERRUPTIBLE"}, {0x4, "TASK_STOPPED"},
                            {0x8, "TASK_TRACED"},      {0x10, "EXIT_DEAD"},           {0x20, "EXIT_ZOMBIE"},
                            {0x40, "TASK_PARKED"},       {0x80, "TASK_DEAD"},           {0x100, "TASK_WAKEKILL"},
                            {0x200, "TASK_WAKING"},      {0x400, "TASK_NOLOAD"},        {0x800, "TASK_NEW"},
                            {0x1000, "TASK_RTLOCK_WAIT"}, {0x2000, "TASK_FREEZABLE"},   {0x8000, "TASK_FROZEN"}};
constexpr Bit old_bits[] = {{0x1, "TASK_INTERRUPTIBLE"}, {0x2, "TASK_UNINTERRUPTIBLE"}, {0x4, "TASK_STOPPED"},
                            {0x8, "TASK_TRACED"},      {0x10, "EXIT_DEAD"},           {0x20, "EXIT_ZOMBIE"},
                            {0x40, "TASK_DEAD"},         {0x80, "TASK_WAKEKILL"},       {0x100, "TASK_WAKING"},
                            {0x200, "TASK_PARKED"},      {0x400, "TASK_NOLOAD"},        {0x800, "TASK_NEW"}};

std::span<const Bit> bits_of(const Task& task) {
    return task.old_state_bits ? std::span<const Bit>(old_bits) : std::span<const Bit>(new_bits);
}

bool has(const Task& task, uint64_t state, std::string_view name) {
    for (const Bit& bit : bits_of(task))
        if (name == bit.name) return (state & bit.value) != 0;
    return false;
}

std::optional<uint64_t> whole_state(const Task& task) {
    if (!task.state) return std::nullopt;
    return *task.state | task.exit_state.value_or(0);
}

} // namespace

bool has_old_state_bits(const Target& target) {
    const auto names = target.symbol_address("task_state_array");
    if (!names) return false;
    const unsigned word = target.arch().word_size;
    for (unsigned index = 0; index < 12; ++index) {
        std::byte bytes[8];
        const std::span<std::byte> pointer(bytes, word);
        if (target.kernel().try_read(VirtualAddress(*names + index * word), pointer) != Fault::none) return false;
        char first = 0;
        const uint64_t text = load_unsigned(pointer, target.kernel().order());
        if (target.kernel().try_load(VirtualAddress(text), first) != Fault::none) return false;
        if (first == 'P') return index != 7;
    }
    return false;
}

std::string state_name(const Task& task) {
    const auto state = whole_state(task);
    if (!state) return "??";
    if (*state == 0) return "RU";
    struct Name { const char* bit; const char* word; };
    static constexpr Name order[] = {{"EXIT_ZOMBIE", "ZO"}, {"EXIT_DEAD", "DE"}, {"TASK_DEAD", "DE"}, {"TASK_INTERRUPTIBLE", "IN"},
                                     {"TASK_PARKED", "PA"}, {"TASK_UNINTERRUPTIBLE", "UN"}, {"TASK_RTLOCK_WAIT", "UN"},
                                     {"TASK_STOPPED", "ST"}, {"TASK_TRACED", "TR"}, {"TASK_WAKING", "WA"}, {"TASK_NEW", "NE"},
                                     {"TASK_FROZEN", "UN"}};
    for (const Name& name : order) {
        if (!has(task, *state, name.bit)) continue;
        if (std::string_view(name.word) == "UN" && has(task, *state, "TASK_NOLOAD")) return "ID";
        return name.word;
    }
    return "??";
}

std::string state_long_name(const Task& task) {
    const auto state = whole_state(task);
    if (!state) return "(unreadable)";
    if (*state == 0) return "TASK_RUNNING";
    std::string text;
    uint64_t left = *state;
    for (const Bit& bit : bits_of(task)) {
        if (!(*state & bit.value)) continue;
        text += text.empty() ? "" : "|";
        text += bit.name;
        left &= ~bit.value;
    }
    return left ? (text.empty() ? "" : text + "|") + "(unknown)" : text;
}

} // namespace kcrash
