// SPDX-License-Identifier: GPL-3.0-or-later
// The inside of bt: what its files share.
#pragma once
#include "commands/session.hpp"
#include "kernel/slab.hpp"
#include "kernel/stack/scan.hpp"
#include "kernel/stack/variables.hpp"

namespace kcrash::bt {

enum class Style : uint8_t { frames, raw, text, all_text, old, exceptions };
enum class Words : uint8_t { none, numbers, symbols, caches }; // -f, -F, -FF

struct Plan {
    Style style = Style::frames;
    Words words = Words::none;
    bool lines = false, offsets = false, inlined = false, variables = false;
    bool hex = false;                       // offsets of -s
    std::shared_ptr<const SlabAllocator> slabs; // -F; null: not asked for, or not known
    std::optional<uint64_t> reference;      // -R: an address, or a symbol's
    std::string reference_name;             // -R: the word
    StackOptions stack;
};

// "schedule+68" and what belongs to it. An address of which nothing is known has no function.
struct CodePlace {
    std::string function;
    uint64_t offset = 0;
    std::string module;
};
CodePlace describe_code(const Target& target, uint64_t lookup, uint64_t pc);

void print_registers(Session& session, const ExceptionFrame& exception);
void print_frames(Session& session, const Plan& plan, const Stack& stack);

// Words of a stack, two a line. slabs: names of caches for -F; null: there is no allocator that we know.
struct WordPrinter {
    Session& session;
    Words words;
    const SlabAllocator* slabs = nullptr;
    std::string_view indent = "    ", after_address = ": ";
    void print(uint64_t begin, uint64_t end) const;
};
void print_scan(Session& session, const Plan& plan, const Unwinder& unwinder, const Task& task);
void print_exceptions_of(Session& session, const Unwinder& unwinder, const Task& task);
void print_exceptions_of_cpus(Session& session, const std::vector<unsigned>& cpus);
void print_overflows(Session& session);
void print_inlined(Session& session, const std::vector<InlineFrame>& frames);
void print_variables(Session& session, const FrameVariables& variables, size_t index); // of one frame

} // namespace kcrash::bt
