// SPDX-License-Identifier: GPL-3.0-or-later
// One call into GDB: a command goes in, lines come out, and whatever happens inside ends in a GdbFailure.
#include "defs.h"
#include "arch-utils.h"
#include "cli/cli-decode.h"
#include "cli/cli-script.h"
#include "completer.h"
#include "frame.h"
#include "gdbcmd.h"
#include "gdbthread.h"
#include "inferior.h"
#include "regcache.h"
#include "top.h"
#include "value.h"
#include "symbols/gdb/inside.hpp"
#include <cinttypes>
#include <functional>

namespace kcrash {
namespace gdb_inside {

State& state() {
    static State* const only = new State; // GDB's globals outlive everything
    return *only;
}

// "Cannot access memory at address 0xffff..." as GDB says it, with what the dump says of that address behind it.
std::string explain(const std::string& message) {
    static const char words[] = "Cannot access memory at address ";
    std::string text;
    size_t done = 0;
    for (size_t at = message.find(words); at != std::string::npos; at = message.find(words, done)) {
        size_t end = at + sizeof words - 1;
        const uint64_t address = std::strtoull(message.c_str() + end, nullptr, 16);
        end = message.find_first_not_of("0123456789abcdefABCDEFx", end);
        end = std::min(end, message.size());
        text += message.substr(done, end - done);
        done = end;
        const auto known = state().unreadable.lower_bound(address);
        if (state().wrote) text += ": the kernel is dead, its dump is only read, never written";
        else if (known != state().unreadable.end() && known->first - address < 4096) text += " (" + known->second + ")";
    }
    return text + message.substr(done);
}

void OutputFile::write(const char* text, long size) {
    line_.append(text, static_cast<size_t>(size));
    const size_t end = line_.rfind('\n');
    if (end == std::string::npos) return;
    std::string lines = line_.substr(0, end + 1);
    line_.erase(0, end + 1);
    say(std::move(lines));
}

void OutputFile::finish() {
    if (!line_.empty()) say(std::exchange(line_, {}));
}

void OutputFile::say(std::string text) {
    if (!output_ || !*output_ || state().host_error) return;
    try {
        (*output_)(explain(text));
    } catch (...) { // no exception of ours goes through GDB: it is asked to stop, and the exception goes on afterwards
        state().host_error = std::current_exception();
        set_quit_flag();
    }
}

namespace {

[[noreturn]] void fail(const gdb_exception& error) {
    if (state().host_error) std::rethrow_exception(std::exchange(state().host_error, nullptr));
    const char* text = error.message ? error.what() : "";
    GdbFailure failure(explain(*text ? text : "the command was given up"));
    failure.interrupted = error.reason == RETURN_QUIT && error.error == GDB_NO_ERROR && (!*text || std::string(text) == "Quit");
    failure.calls = std::string_view(text).substr(0, 38) == "You can't do that without a process to"; // GDB has no number for it
    failure.unreadable = error.error == MEMORY_ERROR || error.error == NOT_AVAILABLE_ERROR;
    throw failure;
}

// What belongs to one call into GDB. A script that GDB runs may have the host do something that calls into GDB again: what the inner
// call has is its own, and the outer one goes on with what it had.
class OwnState {
public:
    explicit OwnState(const Gdb::Output& output)
        : unreadable_(std::exchange(state().unreadable, {})), wrote_(std::exchange(state().wrote, false)),
          host_error_(std::exchange(state().host_error, nullptr)), output_(state().output.begin(&output)) {}
    ~OwnState() {
        state().output.go_on(std::move(output_));
        state().unreadable = std::move(unreadable_);
        state().wrote = wrote_;
        state().host_error = std::move(host_error_);
        if (state().host_error) set_quit_flag(); // the outer one still has to end
    }
    OwnState(const OwnState&) = delete;
    OwnState& operator=(const OwnState&) = delete;

private:
    std::map<uint64_t, std::string> unreadable_;
    bool wrote_;
    std::exception_ptr host_error_;
    OutputFile::Held output_;
};

// Runs it inside of GDB, with the session's task selected.
void enter(const std::function<void()>& work, const Gdb::Output& output, bool with_kernel) {
    if (!state().world) throw GdbFailure("GDB has no dump: its session has ended");
    const Entry entry;
    const OwnState own(output);
    try {
        if (with_kernel) {
            load_kernel();
            prepare_architecture();
            select_task(state().world->current_task());
        }
        execute_fn_to_ui_file(&state().output, work);
        state().output.finish();
    } catch (const gdb_exception& error) {
        try {
            state().output.finish();
        } catch (...) { state().host_error = std::current_exception(); }
        if (state().leave) return;
        fail(error);
    }
    if (state().host_error) std::rethrow_exception(std::exchange(state().host_error, nullptr));
    if (with_kernel && selected_task() && selected_task() != state().world->current_task()) state().world->select_task(selected_task());
}

// "source FILE": only when somebody typed it does GDB call it an error that there is no such file.
bool is_source(const std::string& script) {
    if (script.find('\n') != std::string::npos) return false;
    const char* line = script.c_str();
    const cmd_list_element* command = lookup_cmd(&line, cmdlist, "", nullptr, 1, 1);
    return command && command != CMD_LIST_AMBIGUOUS && std::string(command->name) == "source";
}

void run_lines(const std::string& script) {
    size_t at = 0;
    const auto next_line = [&](std::string& buffer) -> const char* {
        if (at >= script.size()) return nullptr;
        const size_t end = std::min(script.find('\n', at), script.size());
        buffer = script.substr(at, end - at);
        at = end + 1;
        return buffer.c_str();
    };
    const counted_command_line lines = read_command_lines_1(next_line, 1, nullptr);
    if (!lines && script.find_first_not_of(" \t\n") != std::string::npos && script[script.find_first_not_of(" \t\n")] != '#')
        error("the lines are no script of GDB's: an \"else\" or an \"end\" is in the wrong place");
    execute_control_commands(lines.get(), is_source(script) ? 1 : 0);
}

} // namespace
} // namespace gdb_inside

using namespace gdb_inside;

Gdb& the_gdb() {
    static Gdb* const only = new Gdb;
    return *only;
}

static void start_once(const GdbOptions& options) {
    if (state().started) return;
    state().started = true;
    start_gdb(options);
}

Gdb& Gdb::start(GdbWorld& world, const GdbOptions& options) {
    if (state().world && state().world != &world) throw GdbFailure("GDB serves another dump of this process: there is one GDB in a process");
    if (!state().world && state().loaded) throw GdbFailure("GDB served another dump of this process, and can serve no second one");
    try {
        start_once(options);
    } catch (const gdb_exception& error) { fail(error); }
    state().world = &world;
    return the_gdb();
}

Gdb* Gdb::running(const GdbWorld& world) { return state().world == &world ? &the_gdb() : nullptr; }

void Gdb::leave(const GdbWorld& world) {
    if (state().world == &world) state().world = nullptr;
}

void Gdb::execute(const std::string& command, const Output& output) {
    enter(
        [&command] {
            load_modules(command);
            if (command.rfind("thread ", 0) == 0) update_thread_list(); // its number may be one of those that nobody asked for yet
            run_lines(command);
        },
        output, true);
}

bool Gdb::knows(const std::string& word) {
    if (word.empty()) return false;
    const cmd_list_element* command = lookup_cmd_exact(word.c_str(), cmdlist);
    return command && !command->is_command_class_help();
}

std::vector<std::string> Gdb::complete(const std::string& line) {
    std::vector<std::string> choices;
    const Output collect = [&choices](const std::string& text) {
        for (size_t at = 0; at < text.size();) {
            const size_t end = std::min(text.find('\n', at), text.size());
            choices.push_back(text.substr(at, end - at));
            at = end + 1;
        }
    };
    enter([&line] { execute_command(("complete " + line).c_str(), 0); }, collect, true);
    return choices;
}

bool Gdb::wants_to_leave() const { return state().leave; }

void Gdb::take_task() {
    if (!state().loaded || !state().world || !selected_task()) return;
    if (selected_task() != state().world->current_task()) state().world->select_task(selected_task());
}

void Gdb::give_task() {
    if (!state().loaded || !state().world) return;
    try {
        select_task(state().world->current_task());
    } catch (const gdb_exception&) {} // GDB keeps the one it had
}

void Gdb::forget_stacks() {
    if (!state().loaded || !state().world) return;
    registers_changed();
    reinit_frame_cache();
}

unsigned Gdb::values() {
    static int count = 0;
    const Entry entry;
    try {
        while (true) {
            access_value_history(count + 1);
            ++count;
        }
    } catch (const gdb_exception&) {} // "History has not yet reached"
    return static_cast<unsigned>(count);
}

void Gdb::record(const std::string& expression) {
    enter([&expression] { record_latest_value(parse_and_eval(expression.c_str())); }, {}, true);
}

void Gdb::make_index(const std::string& vmlinux, const GdbOptions& options) {
    try {
        start_once(options);
        gdb_inside::make_index(vmlinux);
    } catch (const gdb_exception& error) { fail(error); }
}

} // namespace kcrash

// LeakSanitizer asks this when the process ends. GDB keeps what it once allocated, and Python hides pointers where nobody searches: in a
// process that has started them there is nothing to learn.
extern "C" int __lsan_is_turned_off();
extern "C" int __lsan_is_turned_off() { return kcrash::gdb_inside::state().started; }

// GDB's static constructors print names into memory that nobody frees; nothing of ours prints with vasprintf.
extern "C" const char* __lsan_default_suppressions();
extern "C" const char* __lsan_default_suppressions() { return "leak:vasprintf\n"; }
extern "C" const char* __lsan_default_options();
extern "C" const char* __lsan_default_options() { return "print_suppressions=0"; }
