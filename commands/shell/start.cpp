// SPDX-License-Identifier: GPL-3.0-or-later
// The start: signals, banner, and where commands come from.
#include "commands/shell/start.hpp"
#include "commands/banner.hpp"
#include "commands/settings.hpp"
#include "commands/shell/progress.hpp"
#include "commands/shell/prompt.hpp"
#include "commands/shell/rc_file.hpp"
#include "commands/shell/shell.hpp"
#include "core/interrupt.hpp"
#include "kernel/time.hpp"
#include "symbols/elf_file.hpp"
#include <csignal>
#include <fmt/format.h>
#include <unistd.h>

namespace kcrash {
namespace {

// The third press while nothing looks at the flag ends the process: a loop without check_interrupt must not hold the terminal.
void on_interrupt(int) {
    interrupt_requested = interrupt_requested + 1;
    if (interrupt_requested > 2) {
        std::signal(SIGINT, SIG_DFL);
        std::raise(SIGINT);
    }
}

void install_signals() {
    struct sigaction action = {};
    action.sa_handler = on_interrupt; // without SA_RESTART: reads and sleeps must end
    sigaction(SIGINT, &action, nullptr);
    std::signal(SIGPIPE, SIG_IGN);
}

std::unique_ptr<Report> standard_report(bool json) {
    if (json) return make_json_report(descriptor_sink(STDOUT_FILENO));
    return make_text_report(descriptor_sink(STDOUT_FILENO), descriptor_sink(STDERR_FILENO));
}

void warn(std::string_view message) { fmt::print(stderr, "kcrash: {}\n", escape(message, true)); }

std::unique_ptr<Target> open_target(Arguments& arguments) {
    sort_files(arguments);
    for (const std::string& note : arguments.notes) warn(note);
    if (arguments.target.dump_files.empty()) {
        if (arguments.target.vmlinux.empty()) throw UsageError("a dump is missing\n" + process_usage());
        throw UsageError(fmt::format("{} is a kernel; give its dump too: kcrash VMLINUX DUMP", arguments.target.vmlinux));
    }
    if (!arguments.silent && !arguments.json) arguments.target.progress = progress_on_terminal();
    auto target = Target::open(arguments.target);
    for (const std::string& warning : target->warnings()) warn(fmt::format("warning: {}", warning));
    return target;
}

void apply_settings(Session& session, const Arguments& arguments) {
    session.settings.silent = arguments.silent;
    session.minimal = arguments.minimal;
    if (arguments.json) session.settings.output = "json";
    for (const std::string& words : arguments.settings) {
        const size_t blank = words.find(' ');
        find_variable(words.substr(0, blank))->assign(session, words.substr(blank + 1));
    }
    if (!arguments.no_panic || arguments.minimal) return;
    for (const Task& task : session.tasks().all())
        if (task.is_idle && task.cpu == 0U) return session.set_current(task);
}

// "kcrash 0.1.0", sys, and the current task. A part that cannot be read does not keep the user from the prompt.
void show_banner(Session& session) {
    fmt::print("kcrash {}: \"help\" lists the commands, \"exit\" leaves\n\n", KCRASH_VERSION);
    std::fflush(stdout);
    if (session.minimal) {
        fmt::print("minimal mode: log, rd, sym, eval, set, help, exit\n\n");
        std::fflush(stdout);
        return;
    }
    session.report().begin_command("banner", "banner");
    try {
        print_banner(session);
        session.report().text("");
    } catch (const Error& error) { session.report().note(Severity::error, error.what()); }
    session.report().end_command(true);
}

void run_input(Session& session, Shell& shell, const Arguments& arguments, bool echo) {
    for (const std::string& path : arguments.input_files) {
        if (session.leave || shell.interrupted) return;
        shell.run_file(path, echo);
    }
    std::vector<CommandText> texts(arguments.commands.begin(), arguments.commands.end());
    for (size_t at = 0; at < texts.size(); ++at) {
        // A script may go on in the next -C, of which each line is one of the script then.
        const auto next = [&](std::string& line) {
            while (at < texts.size() && !texts[at].line(line)) ++at;
            return at < texts.size();
        };
        for (std::string line; at < texts.size() && !session.leave && !shell.interrupted && texts[at].command(line);) shell.execute(line, next);
    }
}

int print_timestamp(const Target& target) {
    const KernelClock clock = read_clock(target);
    fmt::print("{}\n", clock.real_seconds ? format_date(*clock.real_seconds) : "unknown");
    return clock.real_seconds ? 0 : 1;
}

int status_of(const Session& session, const Shell& shell) {
    if (shell.interrupted) return 130;
    return session.failed_commands == 0 ? 0 : 1;
}

} // namespace

int run_session(Arguments arguments) {
    install_signals();
    auto target = open_target(arguments);
    Session session(std::move(target), standard_report(arguments.json));
    session.target().set_progress(progress_of(session));
    Shell shell(session);
    apply_settings(session, arguments);
    if (arguments.mode == Mode::log) shell.execute("\\log");
    if (arguments.mode == Mode::timestamp) return print_timestamp(session.target());
    if (arguments.mode != Mode::session) return status_of(session, shell);

    const bool to_prompt = arguments.commands.empty();
    shell.interactive = to_prompt && isatty(STDIN_FILENO);
    if (!arguments.no_rc) run_home_rc(shell);
    if (!arguments.rc_file.empty()) shell.run_file(arguments.rc_file, false);
    const bool talk = !arguments.silent && session.settings.output == "text";
    if (talk && to_prompt) show_banner(session);
    run_input(session, shell, arguments, talk && to_prompt);
    if (!to_prompt || session.leave || shell.interrupted) return status_of(session, shell);
    if (shell.interactive) run_prompt(session, shell);
    else shell.run_stdin(talk);
    return status_of(session, shell);
}

int print_vmcoreinfo(Arguments& arguments, std::string_view key) {
    sort_files(arguments);
    if (arguments.target.dump_files.empty()) throw UsageError("a dump is missing");
    const auto dump = open_dump(arguments.target.dump_files);
    const VmcoreInfo info(dump->vmcoreinfo());
    std::string value(info.value(key).value_or(""));
    if (value.empty() && key == "OSRELEASE") value = dump->info().release;
    fmt::print("{}\n", value.empty() ? "unknown" : escape(value));
    return value.empty() ? 1 : 0;
}

int check_namelist(Arguments& arguments) {
    int status = 0;
    for (const std::string& path : arguments.files) {
        const bool debug = ElfFile::open(path)->has_dwarf();
        fmt::print("{}: {}\n", path, debug ? "carries debug information" : "carries no debug information");
        status |= !debug;
    }
    return status;
}

} // namespace kcrash
