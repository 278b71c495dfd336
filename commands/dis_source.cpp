// SPDX-License-Identifier: GPL-3.0-or-later
// dis -s: the source of a function, with a mark on the line that an address is of.
#include "commands/dis_parts.hpp"
#include "core/error.hpp"
#include "core/interrupt.hpp"
#include "symbols/source_files.hpp"
#include <algorithm>
#include <fmt/format.h>

namespace kcrash::dis {
namespace {

constexpr unsigned lines_before = 5, lines_behind = 200;

// The line in which the function ends: the last one that has code, or the brace in the first column below it. Inlined code counts
// where it is called: it may stand anywhere.
uint64_t last_line(const Target& target, DebugInfo& info, uint64_t address, const SourceLine& here, const std::vector<std::string>& lines) {
    const CodeRange function = function_at(target, address);
    Code code(target, nullptr, [](uint64_t) { return std::string(); });
    uint64_t last = here.line;
    for (uint64_t at = function.begin; at < function.end; at += code.at(at).text.size) {
        check_interrupt();
        const auto frames = info.inline_frames(at);
        if (!frames.empty() && frames.back().location && frames.back().location->file == here.file) last = std::max<uint64_t>(last, frames.back().location->line);
    }
    for (uint64_t line = last; line && line <= lines.size() && line < last + lines_behind; ++line)
        if (lines[line - 1].starts_with('}')) return line;
    return last;
}

} // namespace

std::optional<SourceLine> line_of(const Target& target, uint64_t address) {
    if (!target.symbols().is_text(address)) return std::nullopt;
    DebugInfo* info = target.debug_info(address);
    return info ? info->line(address) : std::nullopt;
}

void list_source(Session& session, const Plan& plan) {
    const Target& target = session.target();
    const auto here = line_of(target, plan.address);
    if (!here) throw LookupError(fmt::format("{}: no line is known for 0x{:x}: that needs vmlinux, or the module, with its debug information", plan.word, plan.address));
    session.report().begin("source", "FILE: {file}\nLINE: {line}\n", {{"address", AddressValue{plan.address}}, {"file", here->file}, {"line", uint64_t{here->line}}});
    SourceFiles files(target.source_search_path());
    const auto* lines = files.lines(here->file);
    if (!lines) throw LookupError(fmt::format("{}: source code is not available; searched {}: \"--src DIR\" names its folder", plan.word, files.searched(here->file)));
    const uint64_t last = plan.count ? here->line + std::min<uint64_t>(plan.count, lines->size()) : last_line(target, *target.debug_info(plan.address), plan.address, *here, *lines);
    for (uint64_t line = here->line > lines_before ? here->line - lines_before : 1; line <= std::min<uint64_t>(last, lines->size()); ++line) {
        check_interrupt();
        session.report().record("source-line", "{mark} {line}\t{text}",
                                {{"mark", std::string(line == here->line ? "*" : " ")}, {"line", line}, {"text", (*lines)[line - 1]}});
    }
    session.report().end();
}

} // namespace kcrash::dis
