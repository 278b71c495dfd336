// SPDX-License-Identifier: GPL-3.0-or-later
// Starting GDB inside of another program.
//
// GDB is made to be a process of its own: its main() reads options and init files, takes the terminal, and catches every signal.
// Here its parts are initialised in the same order without that: input is /dev/null, output goes to a file object of ours,
// an interpreter of ours never reads a command, no init file is looked at, and signals and readline are put back as they were.
// What lasts is its globals: GDB cannot be ended and started again, so there is one in a process.
//
// Source: gdb/main.c of GDB 13.1 (captured_main_1), for the order.
#include "defs.h"
#include "bfd.h"
#include "cli-out.h"
#include "cli/cli-cmds.h"
#include "cli/cli-interp.h"
#include "cli/cli-style.h"
#include "event-top.h"
#include "extension.h"
#include "gdbcmd.h"
#include "interps.h"
#include "main.h"
#include "top.h"
#include "gdbsupport/filestuff.h"
#include "gdbsupport/pathstuff.h"
#include "gdbsupport/signals-state-save-restore.h"
#include "readline/readline.h"
#include "symbols/gdb/inside.hpp"
#include <array>
#include <locale.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <utility>

extern int batch_flag;

namespace kcrash::gdb_inside {
namespace {

constexpr const char interpreter_name[] = "kcrash";

// gdb.execute() prints through the console's output, whichever interpreter there is; so "thread" and "up" must as well.
ui_out* console_output() {
    static ui_out* const output = [] {
        ui_out* made = interp_lookup(current_ui, INTERP_CONSOLE)->interp_ui_out();
        if (auto* console = dynamic_cast<cli_ui_out*>(made)) console->set_stream(&state().output);
        return made;
    }();
    return output;
}

// Prints as GDB's console and reads nothing. Derived from the console's base: "up" and "frame" print through that.
class Interpreter final : public cli_interp_base {
public:
    explicit Interpreter(const char* name) : cli_interp_base(name) {}
    void resume() override {}
    void suspend() override {}
    gdb_exception exec(const char*) override { return {}; }
    ui_out* interp_ui_out() override { return console_output(); }
    void pre_command_loop() override {}
    bool supports_command_editing() override { return false; }
};

struct interp* make_interpreter(const char* name) { return new Interpreter(name); }

// Every signal's disposition, and the mask.
class SignalsKept {
public:
    SignalsKept() {
        for (int number = 1; number < NSIG; ++number) sigaction(number, nullptr, &actions_[static_cast<size_t>(number)]);
        sigset_t interrupt; // would leave GDB half started: it comes in when the host's own action is back
        sigemptyset(&interrupt);
        sigaddset(&interrupt, SIGINT);
        sigprocmask(SIG_BLOCK, &interrupt, &mask_);
    }
    ~SignalsKept() {
        for (int number = 1; number < NSIG; ++number) sigaction(number, &actions_[static_cast<size_t>(number)], nullptr);
        sigprocmask(SIG_SETMASK, &mask_, nullptr);
    }

private:
    std::array<struct sigaction, NSIG> actions_{};
    sigset_t mask_{};
};

// What GDB changes in readline, which the prompt uses: when it starts, and when it completes a line.
class ReadlineKept {
public:
    ~ReadlineKept() {
        rl_completion_word_break_hook = break_hook_;
        rl_attempted_completion_function = attempted_;
        rl_completer_word_break_characters = break_characters_;
        rl_completer_quote_characters = quotes_;
        rl_completion_display_matches_hook = display_;
        rl_readline_name = name_;
        rl_terminal_name = terminal_;
        rl_deprep_term_function = deprep_;
        rl_catch_sigwinch = catch_sigwinch_;
        rl_instream = in_;
        rl_outstream = out_;
        rl_filename_completion_desired = file_;
        rl_attempted_completion_over = over_;
        rl_completion_append_character = append_;
        rl_completion_suppress_append = suppress_;
    }

private:
    decltype(rl_completion_word_break_hook) break_hook_ = rl_completion_word_break_hook;
    decltype(rl_attempted_completion_function) attempted_ = rl_attempted_completion_function;
    decltype(rl_completer_word_break_characters) break_characters_ = rl_completer_word_break_characters;
    decltype(rl_completer_quote_characters) quotes_ = rl_completer_quote_characters;
    decltype(rl_completion_display_matches_hook) display_ = rl_completion_display_matches_hook;
    decltype(rl_readline_name) name_ = rl_readline_name;
    decltype(rl_terminal_name) terminal_ = rl_terminal_name;
    decltype(rl_deprep_term_function) deprep_ = rl_deprep_term_function;
    decltype(rl_catch_sigwinch) catch_sigwinch_ = rl_catch_sigwinch;
    decltype(rl_instream) in_ = rl_instream;
    decltype(rl_outstream) out_ = rl_outstream;
    decltype(rl_filename_completion_desired) file_ = rl_filename_completion_desired;
    decltype(rl_attempted_completion_over) over_ = rl_attempted_completion_over;
    decltype(rl_completion_append_character) append_ = rl_completion_append_character;
    decltype(rl_completion_suppress_append) suppress_ = rl_completion_suppress_append;
};

// Without it a script's sys.exit() would end the process: Python asks for it while it starts.
class PythonStays {
public:
    PythonStays() { setenv("PYTHONINSPECT", "1", 1); }
    ~PythonStays() { unsetenv("PYTHONINSPECT"); }
};

void make_ui() {
    FILE* nothing = fopen("/dev/null", "r");
    main_ui = new ui(nothing, stdout, stderr);
    current_ui = main_ui;
    OutputFile* output = &state().output;
    gdb_stdout = gdb_stderr = gdb_stdlog = output;
    gdb_stdtarg = gdb_stdtargerr = output;
    gdb_stdtargin = gdb_stdin;
}

void find_folders() {
    warning_pre_print = "warning: ";
    current_directory = getcwd(nullptr, 0);
    if (!current_directory) current_directory = xstrdup("/");
    gdb_sysroot = "";
    debug_file_directory = "/usr/lib/debug";
    python_libdir = "/usr/lib";
    if (!state().options.data_folder.empty()) set_gdb_data_directory(state().options.data_folder.c_str());
}

// Settings for a library: nothing asks, nothing pages, nothing is loaded because it lies somewhere.
void set_defaults() {
    static const char* const settings[] = {
        "set confirm off", "set height 0", "set width 0", "set pagination off", "set auto-load off", "set history save off",
        "set style enabled off", "set print thread-events off", "set auto-connect-native-target off", "set osabi none", "set language c",
        "set max-value-size unlimited", "set max-completions unlimited", "set backtrace past-main on", "set backtrace past-entry on",
        "set backtrace limit 1024", "set startup-quietly on",
        // An internal error ends a command, not the session; its own backtrace would write where nothing can be written.
        "maint set internal-error quit no", "maint set internal-error corefile no", "maint set internal-error backtrace off",
        "maint set internal-warning quit no", "maint set internal-warning corefile no", "maint set internal-warning backtrace off",
        "maint set demangler-warning quit no",
    };
    for (const char* setting : settings) execute_command(setting, 0);
}

void initialise() {
    notice_open_fds();
    make_ui();
    if (bfd_init() != BFD_INIT_MAGIC) error("libbfd does not fit");
    find_folders();
    interpreter_p = interpreter_name;
    interp_factory_register(interpreter_name, make_interpreter);
    batch_flag = 1;
    cli_styling = 0;
    save_original_signals_state(true);
    gdb_init();
    {
        PythonStays stays;
        ext_lang_initialization();
    }
    set_top_level_interpreter(interpreter_name);
    refuse_commands();
    set_defaults();
    open_target();
}

} // namespace

void start_gdb(const GdbOptions& options) {
    state().options = options;
    setlocale(LC_CTYPE, ""); // Python would do it
    SignalsKept signals;
    ReadlineKept readline;
    initialise();
}

// ---- one call into GDB

struct Entry::Saved {
    ReadlineKept readline;
    struct sigaction interrupt;
    const struct sigaction* outer = nullptr; // of the call that this one is inside of
    int rows = 0, columns = 0;
};

static void catch_interrupt() {
    struct sigaction ours {};
    ours.sa_handler = handle_sigint;
    ours.sa_flags = SA_RESTART;
    sigemptyset(&ours.sa_mask);
    sigaction(SIGINT, &ours, nullptr);
}

HostInterrupt::HostInterrupt() {
    if (state().host_interrupt) sigaction(SIGINT, state().host_interrupt, nullptr);
}

HostInterrupt::~HostInterrupt() {
    if (state().host_interrupt) catch_interrupt();
}

Entry::Entry() : saved_(new Saved) {
    rl_get_screen_size(&saved_->rows, &saved_->columns);
    sigaction(SIGINT, nullptr, &saved_->interrupt);
    saved_->outer = std::exchange(state().host_interrupt, &saved_->interrupt);
    catch_interrupt();
    check_quit_flag(); // a stale one
}

Entry::~Entry() {
    state().host_interrupt = saved_->outer;
    sigaction(SIGINT, &saved_->interrupt, nullptr);
    check_quit_flag();
    if (rl_instream && saved_->rows > 0 && saved_->columns > 0) rl_set_screen_size(saved_->rows, saved_->columns);
    delete saved_;
}

} // namespace kcrash::gdb_inside
