// SPDX-License-Identifier: GPL-3.0-or-later
// What lies on a stack without asking whether it is in use: addresses of text, saved registers, raw words.
#pragma once
#include "kernel/stack/machine.hpp"

namespace kcrash {

// The words of a stack, in ascending addresses. What cannot be read is absent, never zero.
struct StackWord {
    uint64_t address = 0;
    std::optional<uint64_t> value;
};
std::vector<StackWord> stack_words(const Target& target, uint64_t begin, uint64_t end);

// One thing that a scan comes across.
struct ScanItem {
    enum class Kind : uint8_t { text, registers, separator } kind = Kind::text;
    uint64_t address = 0;                     // of the word
    uint64_t value = 0;                       // text: the address that it holds
    std::optional<ExceptionFrame> exception;  // registers
    std::string separator;                    // "--- <NMI exception stack> ---"
};

// Every address of text from where the unwound stack begins to its end, through all the stacks that it crosses.
std::vector<ScanItem> scan_text(const Target& target, const Stack& stack, const StackRange& process);
// Every address of text on the whole of the task's own stack, and the user's registers that `stack` ends with.
std::vector<ScanItem> scan_all_text(const Target& target, const Stack& stack, const StackRange& range);
// Under which address the function that a word of text belongs to is looked up: it may be a return address or a pointer.
uint64_t lookup_of(const Target& target, uint64_t value);

// Saved registers on a stack: what looks like them, lowest first, none inside of another.
std::vector<ExceptionFrame> find_exception_frames(const Target& target, const StackRange& range);

// What is wrong with the ends of a task's stack: one line each, empty when nothing is.
struct StackDamage {
    std::vector<std::string> problems;
    bool unreadable = false; // it could not be checked
};
StackDamage check_overflow(const Target& target, const Task& task);

} // namespace kcrash
