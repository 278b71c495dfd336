// SPDX-License-Identifier: GPL-3.0-or-later
// bt: frames, and the registers of exceptions between them.
#include "commands/bt_parts.hpp"
#include <fmt/format.h>

namespace kcrash::bt {
namespace {

// #1 [ff4940f9c03dfb18] __crash_kexec at ffffffffb9d646b7 [nfs]
std::string frame_layout(const Plan& plan, unsigned level, const CodePlace& place, bool has_line, bool shows_call) {
    std::string layout = level < 10 ? " #{level} [{sp:8x}] " : "#{level} [{sp:8x}] ";
    layout += place.function.empty() ? "(unknown)" : "{function}";
    if (plan.offsets && !place.function.empty()) layout += plan.hex ? "+0x{offset:x}" : "+{offset}";
    layout += shows_call ? " at {call}" : " at {ip}";
    if (!place.module.empty()) layout += " [{module}]";
    if (has_line) layout += "\n    {file}: {line}";
    return layout;
}

Fields frame_fields(const Frame& frame, const CodePlace& place) {
    const auto text = [](const std::string& value) { return value.empty() ? CellValue{Nothing{}} : CellValue{value}; };
    return {{"level", frame.hidden ? CellValue{Nothing{}} : CellValue{uint64_t{frame.level}}},
            {"sp", AddressValue{frame.sp}},
            {"function", text(place.function)},
            {"offset", place.function.empty() ? CellValue{Nothing{}} : CellValue{place.offset}},
            {"ip", AddressValue{frame.pc}},
            {"module", text(place.module)},
            {"stack", text(frame.stack_name)},
            {"interrupted", frame.interrupted},
            {"rules", text(frame.source)}};
}

// Words begin behind the return address into this frame, or where its frame or stack pointer leads.
uint64_t first_word(const Target& target, const Frame& frame) {
    const StackMachine& machine = stack_machine(target.arch());
    return frame.sp + (machine.frame_pointer_shown || machine.stack_pointer_shown ? 0 : target.arch().word_size);
}

// Where the words of this frame end: with the return address of the next frame on the same stack.
uint64_t end_of_words(const Target& target, const Stack& stack, size_t index) {
    const Frame& frame = stack.frames[index];
    for (size_t next = index + 1; next < stack.frames.size(); ++next) {
        if (!stack.frames[next - 1].leaves_stack.empty()) return 0;
        if (stack.frames[next].hidden) continue;
        return first_word(target, stack.frames[next]);
    }
    return frame.exception || stack.frames.back().cfa <= frame.sp || index + 1 < stack.frames.size() ? 0 : frame.cfa;
}

// Where the code of the frame's own function is, and of the calls that were inlined into it.
struct Source {
    std::optional<SourceLine> line;
    std::vector<InlineFrame> inlined; // innermost first; the function itself is not among them
};

Source find_source(const Target& target, const Plan& plan, uint64_t lookup) {
    Source source;
    DebugInfo* info = plan.lines || plan.inlined ? target.debug_info(lookup) : nullptr;
    if (!info) return source;
    if (plan.inlined) source.inlined = info->inline_frames(lookup);
    std::optional<SourceLine> own;
    while (!source.inlined.empty() && !source.inlined.back().inlined) {
        own = source.inlined.back().location;
        source.inlined.pop_back();
    }
    if (plan.lines) source.line = own ? own : info->line(lookup);
    return source;
}

void print_frame(Session& session, const Plan& plan, const Stack& stack, size_t index, const FrameVariables* variables) {
    const Target& target = session.target();
    const Frame& frame = stack.frames[index];
    const unsigned before = frame.is_return_address ? target.arch().shown_before_return : 0;
    const CodePlace place = describe_code(target, frame.lookup(), frame.pc - before);
    const Source source = find_source(target, plan, frame.lookup());
    Fields fields = frame_fields(frame, place);
    if (before) fields.push_back({"call", AddressValue{frame.pc - before}});
    if (source.line) {
        fields.push_back({"file", source.line->file});
        fields.push_back({"line", uint64_t{source.line->line}});
    }
    const bool line_last = source.line && !source.inlined.empty(); // as on the stack: the innermost call on top
    const std::string layout = frame.hidden ? "" : frame_layout(plan, frame.level, place, source.line && !line_last, before);
    if (source.inlined.empty() && !variables) return session.report().record("frame", layout, fields);
    session.report().begin("frame", layout, fields);
    print_inlined(session, source.inlined);
    if (line_last) session.report().text(fmt::format("    {}: {}", source.line->file, source.line->line), true);
    if (variables) print_variables(session, *variables, index);
    session.report().end();
}

} // namespace

CodePlace describe_code(const Target& target, uint64_t lookup, uint64_t pc) {
    const auto match = target.symbols().containing(lookup);
    if (!match) return {};
    return {std::string(match->symbol.name), pc - match->symbol.address, match->module ? match->module->name : ""};
}

void print_registers(Session& session, const ExceptionFrame& exception) {
    const Architecture& arch = session.target().arch();
    Fields fields{{"user_mode", exception.user_mode},
                  {"address", exception.address ? CellValue{AddressValue{exception.address}} : CellValue{Nothing{}}}};
    std::string layout;
    const auto code = [&](std::optional<uint64_t> at, const char* name, const char* offset) {
        const CodePlace place = at ? describe_code(session.target(), *at, *at) : CodePlace{};
        fields.push_back({name, place.function.empty() ? CellValue{Nothing{}} : CellValue{place.function}});
        fields.push_back({offset, place.offset});
    };
    if (!exception.user_mode) code(exception.registers.get(arch.pc), "exception", "offset");
    Registers registers = exception.registers;
    if (const auto lr = registers.get(arch.lr); lr && !exception.user_mode) {
        registers.set(arch.lr, unsigned_code(session.target(), *lr));
        code(registers.get(arch.lr), "caller", "caller_offset");
    }
    if (const char* cause = arch.cause ? arch.cause(registers) : nullptr) fields.push_back({"cause", std::string(cause)});
    for (const SavedRegister& saved : arch.pt_regs)
        if (const auto value = registers.get(saved.number)) fields.push_back({saved.name, AddressValue{*value}});
    const auto known = [&](std::string_view line) {
        for (size_t at = line.find('{'); at != std::string_view::npos; at = line.find('{', at + 1)) {
            const std::string_view name = line.substr(at + 1, line.find_first_of(":}", at) - at - 1);
            bool found = false;
            for (const Field& field : fields) found |= field.key == name && !std::holds_alternative<Nothing>(field.value);
            if (!found) return false;
        }
        return true;
    };
    bool before = true;
    for (std::string_view line : exception.user_mode || arch.kernel_register_lines.empty() ? arch.register_lines : arch.kernel_register_lines) {
        const bool instead = line.starts_with('|');
        if (instead) line.remove_prefix(1);
        const bool print = (!instead || !before) && known(line);
        if (print) layout += std::string(line) + "\n";
        before = print;
    }
    if (!layout.empty()) layout.pop_back();
    session.report().record("registers", layout, fields);
}

void print_frames(Session& session, const Plan& plan, const Stack& stack) {
    if (stack.active_without_registers) session.report().text("(active)");
    if (stack.start) print_registers(session, *stack.start);
    const auto variables = plan.variables ? std::make_optional<FrameVariables>(session.target(), stack) : std::nullopt;
    for (size_t i = 0; i < stack.frames.size(); ++i) {
        const Frame& frame = stack.frames[i];
        print_frame(session, plan, stack, i, variables ? &*variables : nullptr);
        if (frame.exception) print_registers(session, *frame.exception);
        if (!frame.leaves_stack.empty()) session.report().text(frame.leaves_stack, true);
        if (plan.words == Words::none || frame.hidden) continue;
        WordPrinter{session, plan.words, plan.slabs.get()}.print(first_word(session.target(), frame), end_of_words(session.target(), stack, i));
    }
    // For scripts: does the stack end because it ends, or because it could not be followed?
    constexpr const char* ends[] = {"user_mode", "outermost", "no_rules", "unreadable", "outside", "not_recovered"};
    session.report().record("end", "", {{"reason", std::string(ends[static_cast<size_t>(stack.end)])}});
    if (!stack.message.empty()) session.report().note(Severity::warning, stack.message);
}

} // namespace kcrash::bt
