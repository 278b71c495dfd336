// SPDX-License-Identifier: GPL-3.0-or-later
// readline: its callbacks are plain functions, so what they look at stands in one pointer that lives while the prompt does.
#include "commands/shell/prompt.hpp"
#include "commands/shell/completion.hpp"
#include "commands/shell/history.hpp"
#include "core/interrupt.hpp"
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fmt/format.h>
#include <memory>
#include <readline/readline.h>
#include <unistd.h>

namespace kcrash {
namespace {

struct Current {
    Completer* completer = nullptr;
    Completions found;
    size_t next = 0;
};
Current* current = nullptr; // only while run_prompt() is on the stack

char* next_word(const char*, int state) {
    if (state == 0) current->next = 0;
    if (current->next >= current->found.words.size()) return nullptr;
    return strdup(current->found.words[current->next++].c_str());
}

char** complete(const char* word, int start, int) {
    current->found = current->completer->complete(std::string_view(rl_line_buffer, static_cast<size_t>(start)), word);
    if (current->found.files) return nullptr; // readline's own completion of file names
    rl_attempted_completion_over = 1;
    rl_completion_append_character = current->found.no_blank ? '\0' : ' ';
    return rl_completion_matches(word, next_word);
}

// Ctrl-C at the prompt: the line is given up.
int on_signal() {
    if (!interrupt_requested) return 0;
    rl_replace_line("", 1);
    rl_done = 1;
    return 0;
}

void set_up(const Session& session) {
    rl_readline_name = "kcrash";
    rl_attempted_completion_function = complete;
    rl_signal_event_hook = on_signal;
    rl_completer_word_break_characters = const_cast<char*>(" \t\n\"'`;|<>(){}&=*+!");
    rl_variable_bind("enable-bracketed-paste", "on");
    rl_variable_bind("editing-mode", session.settings.edit.c_str());
    rl_variable_bind("completion-query-items", "200");
}

// A line, or nothing at its end (Ctrl-D).
std::optional<std::string> read_line() {
    interrupt_requested = 0;
    std::unique_ptr<char, decltype(&std::free)> line(readline("kcrash> "), std::free);
    if (interrupt_requested) {
        fmt::print("^C\n");
        std::fflush(stdout);
        interrupt_requested = 0;
        return "";
    }
    if (!line) return std::nullopt;
    return std::string(line.get());
}

std::string trim(const std::string& text) {
    const size_t begin = text.find_first_not_of(" \t");
    if (begin == std::string::npos) return {};
    return text.substr(begin, text.find_last_not_of(" \t") - begin + 1);
}

// "h", "history", "r ...": what the history is asked. Nothing when the line was answered here.
std::optional<std::string> ask_history(const History& history, std::string line) {
    if (line == "h" || line == "history") {
        write_all(STDOUT_FILENO, escape(history.list(), true));
        return std::nullopt;
    }
    if (const auto earlier = history.recall(line)) {
        write_all(STDOUT_FILENO, escape(*earlier) + "\n");
        return earlier;
    }
    return line;
}

} // namespace

void run_prompt(Session& session, Shell& shell) {
    Completer completer(session);
    Current now{&completer, {}, 0};
    current = &now;
    History history;
    set_up(session);
    std::string edit = session.settings.edit;
    while (!session.leave) {
        const auto typed = read_line();
        if (!typed) {
            fmt::print("\n");
            std::fflush(stdout);
            break;
        }
        try {
            const auto line = ask_history(history, trim(*typed));
            if (!line || line->empty()) continue;
            history.add(*line);
            shell.execute(*line);
        } catch (const Error& error) {
            fmt::print("kcrash: {}\n", escape(error.what(), true));
            std::fflush(stdout);
        }
        if (edit != session.settings.edit) rl_variable_bind("editing-mode", (edit = session.settings.edit).c_str());
    }
    current = nullptr;
}

} // namespace kcrash
