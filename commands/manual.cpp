// SPDX-License-Identifier: GPL-3.0-or-later
// The manual page: the same rows, in the language of man.
#include "commands/help.hpp"
#include "commands/shell/arguments.hpp"
#include <algorithm>
#include <fmt/format.h>

namespace kcrash {
namespace {

// Text for troff: backslashes and hyphens kept, no line that looks like a request.
std::string troff(std::string_view text) {
    std::string out;
    bool line_start = true;
    for (const char c : text) {
        if (line_start && (c == '.' || c == '\'')) out += "\\&";
        line_start = c == '\n';
        if (c == '\\') out += "\\e";
        else if (c == '-') out += "\\-";
        else if (c == '\'') out += "\\(aq";
        else if (c == '^') out += "\\(ha";
        else if (c == '~') out += "\\(ti";
        else if (c == '`') out += "\\(ga";
        else out += c;
    }
    return out;
}

std::string literal(std::string_view text) { return fmt::format(".nf\n{}\n.fi\n", troff(text)); }

std::string option_rows() {
    std::string text;
    for (const ProcessOption& option : process_options()) {
        if (!option.apply) continue;
        std::string names;
        if (!option.letter.empty()) names += fmt::format("\\fB\\-{}\\fR", option.letter);
        if (!option.name.empty()) names += fmt::format("{}\\fB\\-\\-{}\\fR", names.empty() ? "" : ", ", troff(option.name));
        if (!option.argument.empty())
            names += (option.argument_optional ? " [\\fI" : " \\fI") + troff(option.argument) +
                     (option.argument_optional ? "\\fR]" : "\\fR");
        text += fmt::format(".TP\n{}\n{}\n", names, troff(option.help));
    }
    return text;
}

std::string ignored_options() {
    std::string text;
    for (const ProcessOption& option : process_options())
        if (!option.apply)
            text += fmt::format("{}\\-{}{}", text.empty() ? "" : ", ", option.name.empty() ? "" : "\\-",
                                troff(option.name.empty() ? option.letter : option.name));
    return text;
}

} // namespace

std::string manual_page() {
    std::string text = ".\\\" made by kcrash --man\n.TH KCRASH 1 \"\" \"kcrash " KCRASH_VERSION "\" \"User Commands\"\n";
    text += ".SH NAME\nkcrash \\- look into the dump of a dead Linux kernel\n";
    text += ".SH SYNOPSIS\n.B kcrash\n[\\fIOPTION\\fR]... [\\fIVMLINUX\\fR] \\fIDUMP\\fR...\n";
    text += ".SH DESCRIPTION\nOpens a kernel dump and answers commands about it: what died, where, and what else was running. "
            "The commands, "
            "their options and their columns are those of crash(8). Files come in any order and are known by what is in them; "
            "several "
            "dump files are one split set. Without \\fIVMLINUX\\fR the dump's own symbols and types are used.\n";
    text += ".SH OPTIONS\n" + option_rows();
    text += ".PP\nThese options of crash are accepted and say that they mean nothing here: " + ignored_options() + ".\n";
    text += ".SH COMMANDS\n";
    std::vector<const Command*> list(commands().begin(), commands().end());
    std::sort(list.begin(), list.end(), [](const Command* a, const Command* b) { return a->name < b->name; });
    for (const Command* command : list) text += fmt::format(".SS {}\n{}", troff(command->name), literal(help_page(*command)));
    for (const std::string_view topic : {"input", "output"}) text += fmt::format(".SS {}\n{}", topic, literal(help_topic(topic)));
    text += ".SH FILES\n.TP\n\\(ti/.kcrashrc\nRun at the start, if it belongs to the user and nobody else can write to it.\n"
            ".TP\n\\(ti/.local/state/kcrash/history\nThe history of the prompt; in \\fB$XDG_STATE_HOME\\fR if that is set.\n"
            ".TP\n\\(ti/.cache/kcrash\nIndexes of debug files; in \\fB$XDG_CACHE_HOME\\fR if that is set. May be deleted at any "
            "time.\n";
    text += ".SH ENVIRONMENT\n.TP\n\\fBCRASHPAGER\\fR\nThe pager after \\fBset scroll CRASHPAGER\\fR.\n";
    text += ".SH EXIT STATUS\n0 if every command succeeded, 1 if one failed or the dump could not be opened.\n";
    return text + ".SH SEE ALSO\n.BR crash (8),\n.BR makedumpfile (8),\n.BR kexec (8)\n";
}

} // namespace kcrash
