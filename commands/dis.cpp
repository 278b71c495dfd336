// SPDX-License-Identifier: GPL-3.0-or-later
// dis: instructions, as they stood in memory when the kernel died.
#include "commands/dis_parts.hpp"
#include "commands/task_space.hpp"
#include "core/error.hpp"
#include "core/interrupt.hpp"
#include "symbols/source_files.hpp"
#include <algorithm>
#include <deque>
#include <fmt/format.h>

namespace kcrash::dis {
namespace {

constexpr uint64_t longest_gap = 10; // source lines without code that are shown with the line after them

// An address by name. symbol is empty where none is known.
struct Place {
    std::string symbol, module;
    uint64_t offset = 0;

    std::string text(bool hex) const {
        if (!offset) return symbol;
        return hex ? fmt::format("{}+0x{:x}", symbol, offset) : fmt::format("{}+{}", symbol, offset);
    }
};

// Also of the variables of a cpu, by their linked addresses: %gs:0x7bfe2ead(%rip).
Place place_of(const Target& target, uint64_t address) {
    if (const auto match = target.symbols().containing(address))
        return {std::string(match->symbol.name), match->module ? match->module->name : "", match->offset};
    if (!target.is_per_cpu_symbol(address)) return {};
    const SymbolTable& table = target.symbols().kernel();
    const size_t above = table.first_above(address);
    if (above == 0) return {};
    const Symbol symbol = table.at(above - 1);
    return {std::string(symbol.name), "", address - symbol.address};
}

std::string hex_text(std::span<const std::byte> bytes) {
    std::string text;
    for (const std::byte byte : bytes) text += fmt::format("{:02x}", static_cast<unsigned>(byte));
    return text;
}

class Listing {
public:
    Listing(Session& session, const Plan& plan)
        : session_(session), plan_(plan), target_(session.target()), files_(target_.source_search_path()),
          space_(plan.user ? task_space(session, session.current()) : nullptr),
          code_(target_, space_.get(), [this](uint64_t address) { return named(address); }) {}

    void run() {
        uint64_t address = plan_.count_from_end ? begin_of_last(plan_.count) : plan_.begin;
        for (uint64_t n = 0; address < plan_.end && (!plan_.count || n < plan_.count); ++n) {
            check_interrupt();
            const Instruction instruction = code_.at(address);
            if (address < plan_.address && address + instruction.text.size > plan_.address) warn_of_middle(instruction);
            if (instruction.fault != Fault::none && !replaced_) warn_of_vmlinux(instruction);
            const auto line = plan_.lines && !plan_.user ? line_of(target_, address) : std::nullopt;
            if (line) show_line(*line);
            show(instruction, line);
            const uint64_t next = behind(instruction);
            if (next <= address) break; // the end of the address space
            address = next;
        }
        if (!missing_.empty())
            session_.report().note(Severity::warning, fmt::format("source code is not available; searched {}: \"--src DIR\" names its folder", files_.searched(missing_)));
    }

private:
    uint64_t behind(const Instruction& instruction) const {
        return instruction.address + instruction.text.size + (instruction.text.mnemonic == "ud2" ? session_.settings.bug_bytes : 0);
    }

    // Where the last `count` instructions of the range begin.
    uint64_t begin_of_last(uint64_t count) {
        std::deque<uint64_t> starts;
        for (uint64_t address = plan_.begin; address < plan_.end; address = behind(code_.at(address))) {
            check_interrupt();
            starts.push_back(address);
            if (starts.size() > count) starts.pop_front();
        }
        return starts.empty() ? plan_.begin : starts.front();
    }

    Place place(uint64_t address) const { return plan_.user ? Place{} : place_of(target_, address); }

    std::string named(uint64_t address) const {
        const Place there = place(address);
        return there.symbol.empty() ? fmt::format("0x{:x}", address) : fmt::format("0x{:x} <{}>", address, there.text(plan_.hex));
    }

    // The line's header, and with -s the line; with those before it that have no code, or where the code goes on upwards.
    void show_line(const SourceLine& line) {
        if (shown_ && shown_->file == line.file && shown_->line == line.line) return;
        session_.report().record("line", "{file}: {line}", {{"file", line.file}, {"line", uint64_t{line.line}}});
        const auto* lines = plan_.source ? files_.lines(line.file) : nullptr;
        if (plan_.source && !lines) missing_ = line.file;
        if (lines) {
            const bool goes_on = shown_ && shown_->file == line.file && shown_->line < line.line && line.line - shown_->line <= longest_gap;
            for (uint64_t n = goes_on ? shown_->line + 1 : line.line; n <= std::min<uint64_t>(line.line, lines->size()); ++n)
                session_.report().record("source-line", "{line}\t{text}", {{"line", n}, {"text", (*lines)[n - 1]}});
        }
        shown_ = line;
    }

    void show(const Instruction& instruction, const std::optional<SourceLine>& line) const {
        const Place here = place(instruction.address);
        const InstructionText& text = instruction.text;
        Fields fields{{"address", AddressValue{instruction.address}}, {"symbol", Nothing{}}, {"offset", Nothing{}}, {"module", Nothing{}},
                      {"file", Nothing{}}, {"line", Nothing{}}, {"refers_to", Nothing{}}, {"bytes", hex_text(instruction.bytes)},
                      {"mnemonic", text.mnemonic}, {"operands", text.operands}, {"comment", text.comment},
                      {"from_vmlinux", instruction.fault != Fault::none}};
        std::string layout = "   0x{address}";
        if (!here.symbol.empty()) {
            fields[1].value = here.symbol, fields[2].value = here.offset;
            layout = !here.offset ? "0x{address} <{symbol}>" : plan_.hex ? "0x{address} <{symbol}+0x{offset:x}>" : "0x{address} <{symbol}+{offset}>";
        }
        if (!here.module.empty()) fields[3].value = here.module;
        if (line) fields[4].value = line->file, fields[5].value = uint64_t{line->line};
        if (text.refers_to) fields[6].value = SymbolValue{*text.refers_to, place(*text.refers_to).text(plan_.hex)};
        layout += ":\t{mnemonic}" + text.before_operands + "{operands}" + text.before_comment + "{comment}";
        session_.report().record("instruction", layout, fields);
    }

    void warn_of_middle(const Instruction& instruction) const {
        session_.report().note(Severity::warning, fmt::format("0x{:x} is inside the instruction at 0x{:x}", plan_.address, instruction.address));
    }

    void warn_of_vmlinux(const Instruction& instruction) {
        replaced_ = true;
        session_.report().note(Severity::warning,
                               fmt::format("0x{:x}: {}: the code from here is vmlinux's, without what the kernel patched at run time{}", instruction.address,
                                           describe(instruction.fault), target_.kernel_offset() ? ", absolute addresses as linked" : ""));
    }

    Session& session_;
    const Plan& plan_;
    const Target& target_;
    SourceFiles files_;
    std::unique_ptr<AddressSpace> space_;
    Code code_;
    std::optional<SourceLine> shown_;
    std::string missing_; // a source file
    bool replaced_ = false;
};

// dis -b: how many bytes behind ud2 are data. Old kernels of x86 put file and line there.
void bug_bytes(Session& session, const Invocation& invocation) {
    const bool sets = !invocation.operands.empty();
    if (sets) {
        const uint64_t bytes = session.number(invocation.operands[0]);
        if (bytes > 4096) throw UsageError(fmt::format("invalid count of bytes: {}: it is at most 4096", invocation.operands[0]));
        session.settings.bug_bytes = static_cast<unsigned>(bytes);
    }
    session.report().record("bug-bytes", sets ? "" : "encoded bytes being skipped after ud2a: {bytes}", {{"bytes", uint64_t{session.settings.bug_bytes}}});
}

// Is it the name of a function, with nothing added? Then the whole of it is meant.
bool is_function(const Target& target, const std::string& word) {
    const auto match = target.symbols().find(word);
    return match && target.symbols().is_text(match->symbol.address);
}

Plan read_plan(Session& session, const Invocation& invocation) {
    if (invocation.operands.empty()) throw UsageError("no address given: dis address | symbol | (expression) [count]");
    if (invocation.operands.size() > 2) throw UsageError(fmt::format("too many words: {}\n{}", invocation.operands[2], usage(*find_command("dis"))));
    if (invocation.has("r") && invocation.has("f")) throw UsageError("-r and -f exclude each other");
    if (invocation.has("x") && invocation.has("d")) throw UsageError("-x and -d exclude each other");
    const Target& target = session.target();
    Plan plan;
    plan.word = invocation.operands[0];
    plan.address = plan.begin = session.address(plan.word);
    plan.lines = invocation.has("l");
    plan.source = invocation.has("s");
    plan.hex = invocation.has("x") || (session.settings.radix == 16 && !invocation.has("d"));
    plan.user = invocation.has("u") || !target.kernel_address(plan.address);
    plan.end = ~uint64_t{0};
    const bool counted = invocation.operands.size() > 1;
    if (counted && (plan.count = session.number(invocation.operands[1])) == 0) throw UsageError("invalid count: 0");
    if (invocation.has("r")) {
        // Behind a function whose last call does not return there is padding: the address belongs to the call.
        const bool behind = !target.symbols().containing(plan.address) && plan.address != 0;
        plan.begin = function_at(target, plan.address - behind).begin;
        plan.end = plan.address + 1;
        plan.count_from_end = counted;
    } else if (invocation.has("f")) {
        plan.end = function_at(target, plan.address).end;
    } else if (!counted && !plan.user && is_function(target, plan.word)) {
        plan.end = function_at(target, plan.address).end;
    } else if (!counted && !(plan.source && !plan.lines)) {
        plan.count = 1;
    }
    return plan;
}

void run(Session& session, const Invocation& invocation) {
    if (invocation.has("b")) return bug_bytes(session, invocation);
    const Plan plan = read_plan(session, invocation);
    if (plan.source && !plan.lines) list_source(session, plan);
    else list_instructions(session, plan);
}

constexpr Option options[] = {
    {"r", "", ArgumentKind::none, "reverse: from the start of the function up to the address"},
    {"f", "", ArgumentKind::none, "forward: from the address to the end of the function"},
    {"l", "", ArgumentKind::none, "file and line of the source before the code that was made of it"},
    {"s", "", ArgumentKind::none, "the source alone, from the address's line to the function's end; with -l between the code"},
    {"u", "", ArgumentKind::none, "the address is a user virtual address of the current task"},
    {"x", "", ArgumentKind::none, "offsets in hexadecimal"},
    {"d", "", ArgumentKind::none, "offsets in decimal"},
    {"b", "", ArgumentKind::none, "show, or set, how many bytes after an x86 BUG (ud2) are data"},
};

} // namespace

void list_instructions(Session& session, const Plan& plan) { Listing(session, plan).run(); }

} // namespace kcrash::dis

namespace kcrash {

extern const Command dis_command;
const Command dis_command = {
    .name = "dis",
    .summary = "disassemble: code as instructions",
    .synopsis = "[-r | -f] [-l] [-s] [-u] [-x | -d] [-b [bytes]] address | symbol | (expression) [count]",
    .options = dis::options,
    .operands = ArgumentKind::symbol_or_address,
    .needs = needs_target,
    .help = R"(Shows `count` instructions. Without a count: the whole function when it is named, else one instruction. With -r, those
before and at the address.

The code is the dump's: what the kernel patched at run time (alternatives, static calls, tracing) shows as it stood. Where
the dump has left out a page of the kernel's code, vmlinux's is shown, and a warning says so.

-s looks for the source where the compiler had it, then in the folders given with --src and in the folder of vmlinux, by
as much of the end of its path as is there.

EXAMPLES
  What led to the instruction that faulted:

    kcrash> dis -r ffffffff81a02b57

  A function with its lines, and with its source between the code:

    kcrash> dis -l sysrq_handle_crash
    kcrash> dis -ls sysrq_handle_crash

  Its source alone, the line of the address with a mark:

    kcrash> dis -s sysrq_handle_crash+18

  Ten instructions of the current task's program:

    kcrash> dis -u 401000 10)",
    .run = dis::run,
    .in_minimal = true,
};

} // namespace kcrash
