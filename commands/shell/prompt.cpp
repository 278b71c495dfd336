// SPDX-License-Identifier: GPL-3.0-or-later
// readline: its callbacks are plain functions, so what they look at stands in one pointer that lives while the prompt does.
#include "commands/shell/prompt.hpp"
#include "commands/line_words.hpp"
#include "commands/shell/completion.hpp"
#include "commands/shell/history.hpp"
#include "core/interrupt.hpp"
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fmt/format.h>
#include <optional>
#include <poll.h>
#include <pthread.h>
#include <readline/readline.h>
#include <string_view>
#include <termios.h>
#include <unistd.h>

namespace kcrash {
namespace {

struct Current {
    Completer* completer = nullptr;
    Completions found;
    size_t next = 0;
    bool line_done = false;
    size_t told = 0; // how many keys of giving_up get_key() has said
    const sigset_t* waiting = nullptr; // the signals that are blocked while a key is waited for
    std::optional<std::string> line; // nothing: Ctrl-D
};
Current* current = nullptr; // only while run_prompt() is on the stack
// While a line was waited for: Ctrl-Z; SIGCONT.
volatile std::sig_atomic_t to_stop = 0, continued = 0;
pthread_t prompt_thread; // the threads of TBB, GDB and Python must not keep them, nor Ctrl-C
struct sigaction interrupt_before {}; // what Ctrl-C does, which here only this thread is told

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

void take_line(char* typed) {
    rl_callback_handler_remove(); // the terminal is the command's now
    current->line_done = true;
    if (typed) current->line = typed;
    std::free(typed);
}

// readline's own settings, but for a read that finds nothing: Ctrl-C empties the terminal's queue, also of what poll() has just seen there,
// and nobody is to wait then for a key that was thrown away.
void prepare_terminal(int meta) {
    rl_prep_terminal(meta);
    termios settings {};
    if (tcgetattr(STDIN_FILENO, &settings) != 0) return;
    settings.c_cc[VMIN] = settings.c_cc[VTIME] = 0;
    tcsetattr(STDIN_FILENO, TCSADRAIN, &settings);
}

bool is_prepared() {
    termios settings {};
    return tcgetattr(STDIN_FILENO, &settings) == 0 && !(settings.c_lflag & ICANON) && settings.c_cc[VMIN] == 0;
}

void on_signal(int number) {
    if (!pthread_equal(pthread_self(), prompt_thread)) pthread_kill(prompt_thread, number);
    else if (number == SIGINT) interrupt_before.sa_handler(number);
    else (number == SIGTSTP ? to_stop : continued) = 1;
}

// Only who is in the foreground may look at the terminal's settings: after "bg" they are the shell's.
void wait_for_foreground() {
    constexpr int most = 100; // an orphan is never stopped
    for (int i = 0; i < most && tcgetpgrp(STDIN_FILENO) > 0 && tcgetpgrp(STDIN_FILENO) != getpgrp(); ++i) kill(0, SIGTTIN);
}

// The shell gets its terminal back, and this process stops as if it had no handler.
void stop_here() {
    rl_cleanup_after_signal();
    struct sigaction action {}, before {};
    action.sa_handler = SIG_DFL;
    sigaction(SIGTSTP, &action, &before);
    sigset_t mask, old;
    sigemptyset(&mask);
    sigaddset(&mask, SIGTSTP);
    pthread_sigmask(SIG_UNBLOCK, &mask, &old);
    kill(getpid(), SIGTSTP);
    pthread_sigmask(SIG_SETMASK, &old, nullptr);
    sigaction(SIGTSTP, &before, nullptr);
    sigemptyset(&mask);
    sigaddset(&mask, SIGCONT);
    constexpr timespec at_once{};
    sigtimedwait(&mask, nullptr, &at_once);
    continued = 1; // without SIGCONT too: a process that no shell would continue does not stop
}

// Waits for a key, the signals let in. After Ctrl-Z and fg the terminal is as the shell left it: readline's settings again, and the line.
bool wait_for_key(pollfd& input) {
    const int ready = ppoll(&input, 1, nullptr, current->waiting);
    if (to_stop) {
        to_stop = 0;
        stop_here();
    }
    if (continued) {
        continued = 0;
        wait_for_foreground();
        if (!RL_ISSTATE(RL_STATE_TERMPREPPED) || !is_prepared()) { // one SIGCONT may be told twice: a line's settings stay while it is edited
            rl_cleanup_after_signal();
            rl_reset_after_signal();
        }
        rl_reset_screen_size();
        rl_forced_update_display();
    }
    return ready > 0;
}

// What ends whatever readline waits for: Ctrl-G gives a line up, then the end of a paste (at the end of input it would read a paste that
// has no end). Behind it there is no more.
constexpr std::string_view giving_up = "\x07\x1b[201~";

// A key; after Ctrl-C those that give a line up, since readline reads on by itself while it thinks that there is more.
int get_key(FILE*) {
    while (!interrupt_requested) {
        pollfd input{STDIN_FILENO, POLLIN, 0};
        if (!wait_for_key(input)) continue;
        unsigned char key = 0;
        const ssize_t n = read(STDIN_FILENO, &key, 1);
        if (n == 1) return key;
        if (n == 0 && !is_prepared()) return EOF; // Ctrl-D of a terminal that another program has set up: after fg
        if ((n < 0 && errno != EINTR && errno != EAGAIN) || (input.revents & (POLLHUP | POLLERR | POLLNVAL))) return EOF;
    }
    return current->told < giving_up.size() ? static_cast<unsigned char>(giving_up[current->told++]) : EOF;
}

void set_up(const Session& session) {
    rl_catch_signals = 0; // they are ours, also while readline waits for the rest of a key
    rl_getc_function = get_key;
    rl_prep_term_function = prepare_terminal;
    rl_readline_name = "kcrash";
    rl_attempted_completion_function = complete;
    rl_completer_word_break_characters = const_cast<char*>(" \t\n\"'`;|<>(){}&=*+!");
    rl_variable_bind("enable-bracketed-paste", "on");
    rl_variable_bind("editing-mode", session.settings.edit.c_str());
    rl_variable_bind("completion-query-items", "200");
}

// SIGINT, SIGTSTP and SIGCONT come in while ppoll() waits and nowhere else: none is missed.
class SignalsInPoll {
public:
    SignalsInPoll() {
        sigset_t set;
        sigemptyset(&set);
        sigaddset(&set, SIGINT);
        sigaddset(&set, SIGTSTP);
        sigaddset(&set, SIGCONT);
        pthread_sigmask(SIG_BLOCK, &set, &mask_);
        prompt_thread = pthread_self();
        struct sigaction action {};
        action.sa_handler = on_signal;
        sigaction(SIGINT, &action, &interrupt_before);
        action.sa_flags = SA_RESTART;
        sigaction(SIGTSTP, nullptr, &stop_);
        if (stop_.sa_handler != SIG_IGN) sigaction(SIGTSTP, &action, nullptr); // who ignores it does not stop
        sigaction(SIGCONT, &action, &continue_);
        current->waiting = &mask_;
    }
    ~SignalsInPoll() {
        current->waiting = nullptr;
        sigaction(SIGCONT, &continue_, nullptr);
        sigaction(SIGTSTP, &stop_, nullptr);
        sigaction(SIGINT, &interrupt_before, nullptr);
        pthread_sigmask(SIG_SETMASK, &mask_, nullptr);
    }
    SignalsInPoll(const SignalsInPoll&) = delete;
    SignalsInPoll& operator=(const SignalsInPoll&) = delete;

private:
    sigset_t mask_;
    struct sigaction stop_ {}, continue_ {};
};

// Ctrl-C at the prompt: the line is given up.
void give_line_up() {
    rl_callback_sigcleanup();
    rl_free_line_state();
    rl_callback_handler_remove();
    fmt::print("^C\n");
    std::fflush(stdout);
}

// A line, or nothing at its end (Ctrl-D). readline() itself would go on with the same line after Ctrl-C, hence its callback form.
std::optional<std::string> read_line(const char* prompt) {
    const SignalsInPoll signals;
    interrupt_requested = 0;
    to_stop = 0;
    continued = 0;
    current->line_done = false;
    current->told = 0;
    current->line.reset();
    wait_for_foreground();
    rl_callback_handler_install(prompt, take_line);
    while (!current->line_done) {
        pollfd input{STDIN_FILENO, POLLIN, 0};
        if (wait_for_key(input)) rl_callback_read_char();
        if (interrupt_requested && !current->line) {
            give_line_up();
            return "";
        }
    }
    return current->line;
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
    Current now;
    now.completer = &completer;
    current = &now;
    History history;
    set_up(session);
    std::string edit = session.settings.edit;
    const auto further = [&history](std::string& line) { // of a script of GDB's
        const auto typed = read_line("> ");
        if (interrupt_requested) throw Interrupted();
        if (!typed) return false;
        if (!typed->empty()) history.add(*typed);
        line = *typed;
        return true;
    };
    while (!session.leave) {
        const auto typed = read_line("kcrash> ");
        if (!typed) {
            fmt::print("\n");
            std::fflush(stdout);
            break;
        }
        try {
            const auto line = ask_history(history, std::string(trim(*typed)));
            if (!line || line->empty()) continue;
            history.add(*line);
            shell.execute(*line, further);
        } catch (const Error& error) {
            fmt::print("kcrash: {}\n", escape(error.what(), true));
            std::fflush(stdout);
        }
        if (edit != session.settings.edit) rl_variable_bind("editing-mode", (edit = session.settings.edit).c_str());
    }
    rl_getc_function = rl_getc;
    rl_prep_term_function = rl_prep_terminal;
    current = nullptr;
}

} // namespace kcrash
