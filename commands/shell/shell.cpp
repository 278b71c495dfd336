// SPDX-License-Identifier: GPL-3.0-or-later
// One line: alias, operators, command; and lines from files.
#include "commands/shell/shell.hpp"
#include "commands/alias.hpp"
#include "commands/line_words.hpp"
#include "commands/shell/gdb_script.hpp"
#include "commands/shell/pager.hpp"
#include "core/interrupt.hpp"
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <fmt/format.h>
#include <optional>
#include <unistd.h>
#include <utility>

namespace kcrash {
namespace {

constexpr size_t longest_line = 65536; // a line that is longer is not one that somebody typed

bool is_comment(std::string_view line) { return line.starts_with('#') || line.starts_with("//"); }

// "grep x | page": the word page, as a program of the pipe, is the pager.
std::string with_pager(const std::string& pipe, const std::string& pager) {
    std::string out;
    std::string_view rest = pipe;
    for (;;) {
        const std::string_view part = rest.substr(0, rest.find('|'));
        if (trim(part) == "page") out += " " + pager + " ";
        else out += part;
        if (part.size() == rest.size()) return out;
        out += '|';
        rest.remove_prefix(part.size() + 1);
    }
}

// "ps --json": that line as JSON, whatever "set output" says.
bool take_json(std::string& command) {
    constexpr std::string_view word = " --json";
    if (!command.ends_with(word)) return false;
    command.resize(command.size() - word.size());
    return true;
}

// A file that is read as commands. Refuses programs and shell scripts, whose lines are none of ours.
class InputFile {
public:
    explicit InputFile(const std::string& path) : descriptor(::open(path.c_str(), O_RDONLY | O_CLOEXEC)) {
        if (descriptor < 0) throw Error(fmt::format("{}: {}", path, std::strerror(errno)));
        char head[4] = {};
        const ssize_t n = ::read(descriptor, head, sizeof head);
        const std::string_view start(head, n > 0 ? static_cast<size_t>(n) : 0);
        if (n < 0) refuse(path, std::strerror(errno));
        if (start == "\x7f"
                     "ELF")
            refuse(path, "a program is no file of commands");
        if (start.starts_with("#!")) refuse(path, "a shell script is no file of commands; run it with \"!\"");
        if (n > 0 && ::lseek(descriptor, 0, SEEK_SET) != 0) refuse(path, "not a file that can be read twice");
    }
    ~InputFile() { ::close(descriptor); }
    InputFile(const InputFile&) = delete;
    InputFile& operator=(const InputFile&) = delete;
    const int descriptor;

private:
    [[noreturn]] void refuse(const std::string& path, std::string_view why) {
        ::close(descriptor);
        throw Error(fmt::format("{}: {}", path, why));
    }
};

// Lines from a descriptor, without reading further than needed of what a child may want: whole blocks are ours.
class Lines {
public:
    explicit Lines(int descriptor) : descriptor_(descriptor) {}
    bool next(std::string& line) {
        for (;;) {
            if (const size_t end = buffer_.find('\n'); end != std::string::npos) {
                line = buffer_.substr(0, end);
                buffer_.erase(0, end + 1);
                return true;
            }
            if (buffer_.size() > longest_line)
                throw Error(fmt::format("a line of commands is longer than {} bytes", longest_line));
            char block[4096];
            const ssize_t n = ::read(descriptor_, block, sizeof block);
            if (n < 0 && errno == EINTR) check_interrupt();
            if (n < 0 && errno != EINTR) throw Error(fmt::format("cannot read commands: {}", std::strerror(errno)));
            if (n > 0) buffer_.append(block, static_cast<size_t>(n));
            if (n == 0) {
                line.swap(buffer_);
                buffer_.clear();
                return !line.empty();
            }
        }
    }

private:
    int descriptor_;
    std::string buffer_;
};

// A setting that holds for one line: comes back as it was.
class Setting {
public:
    Setting(std::string& setting, std::string value) : setting_(setting), before_(std::exchange(setting, std::move(value))) {}
    ~Setting() { setting_ = before_; }
    Setting(const Setting&) = delete;
    Setting& operator=(const Setting&) = delete;

private:
    std::string& setting_;
    std::string before_;
};

} // namespace

Shell::Shell(Session& session) : session_(session) {
    session_.execute = [this](std::string_view line) { return execute(line); };
}

Shell::~Shell() { session_.execute = nullptr; }

std::unique_ptr<Report> Shell::make_report(const Sink& out, bool redirected) {
    if (session_.settings.output == "json") return make_json_report(out);
    const std::string& mode = session_.settings.error;
    if (mode == "redirect" || (interactive && !redirected && mode == "default")) return make_text_report(out, out);
    if (mode == "default") return make_text_report(out, descriptor_sink(STDERR_FILENO));
    return make_text_report(out, [mode](std::string_view bytes) { write_all(OutputFile(mode, true).descriptor(), bytes); });
}

// Says what is wrong with a line that is no command at all.
bool Shell::fail(std::string_view line, std::string_view message) {
    const Sink out = current_ ? *current_ : descriptor_sink(STDOUT_FILENO);
    const auto report = make_report(out, false);
    report->begin_command(line, "");
    report->note(Severity::error, fmt::format("kcrash: {}", message));
    report->end_command(false);
    ++session_.failed_commands;
    return false;
}

bool Shell::execute(std::string_view line) {
    line = trim(line);
    if (line.empty() || is_comment(line)) return true;
    if (!current_) interrupt_requested = 0;
    try {
        const std::string expanded = expand_alias(session_, line);
        CommandLine parts = split_redirection(expanded);
        std::optional<Setting> output;
        if (take_json(parts.command)) output.emplace(session_.settings.output, "json");
        switch (parts.redirection) {
        case Redirection::none: return run_command(parts.command);
        case Redirection::pipe: return run_piped(parts);
        case Redirection::write:
        case Redirection::append: return run_to_file(parts);
        case Redirection::arguments: return run_with_arguments(parts);
        case Redirection::input: return run_file(parts.target, false);
        case Redirection::outside: return run_outside(parts.target);
        }
    } catch (const Error& error) { return fail(line, error.what()); }
    return false;
}

bool Shell::execute(std::string_view line, const NextLine& next) {
    auto script = GdbScript::begin(expand_alias(session_, trim(line)));
    if (!script) return execute(line);
    for (std::string more; !script->complete(); script->add(more))
        if (!next(more)) return fail(line, fmt::format("the \"end\" of \"{}\" is missing", script->word()));
    if (!current_) interrupt_requested = 0;
    return run_command(fmt::format("gdb {}", script->text()));
}

bool Shell::run_command(const std::string& command) { return current_ ? run_to(command, *current_, true) : run_paged(command); }

// The command is past its alias: the backslash keeps Session::run from replacing it once more.
bool Shell::run_to(std::string_view command, const Sink& out, bool redirected) {
    const Sink* outer = current_;
    current_ = &out;
    auto report = session_.exchange_report(make_report(out, redirected));
    bool ok = false;
    try {
        ok = session_.run(fmt::format("\\{}", command));
    } catch (...) {
        session_.exchange_report(std::move(report));
        current_ = outer;
        throw;
    }
    session_.exchange_report(std::move(report));
    current_ = outer;
    if (interrupt_requested && !interactive) interrupted = true;
    return ok;
}

bool Shell::run_paged(std::string_view command) {
    const std::string pager =
        interactive && session_.settings.scroll && !session_.settings.silent ? pager_command(session_.settings) : "";
    if (pager.empty() || !isatty(STDOUT_FILENO)) return run_to(command, descriptor_sink(STDOUT_FILENO), false);
    PagedOutput output(pager);
    const bool ok = run_to(
        command, [&](std::string_view bytes) { output.write(bytes); }, false);
    output.finish();
    return ok;
}

bool Shell::run_piped(const CommandLine& line) {
    ShellPipe pipe(with_pager(line.target, pager_command(session_.settings)));
    const bool ok = run_to(line.command, descriptor_sink(pipe.descriptor()), true);
    const int status = pipe.finish();
    if (status == 127) return fail(line.command, fmt::format("the shell could not run: {}", line.target));
    return ok; // grep that finds nothing is no failure of ours
}

bool Shell::run_to_file(const CommandLine& line) {
    const OutputFile file(line.target, line.redirection == Redirection::append);
    const bool before = std::exchange(session_.output_in_file, true);
    const bool ok = run_to(line.command, descriptor_sink(file.descriptor()), true);
    session_.output_in_file = before;
    return ok;
}

bool Shell::run_with_arguments(const CommandLine& line) {
    const InputFile file(line.target);
    Lines lines(file.descriptor);
    bool ok = true;
    for (std::string arguments; !session_.leave && !interrupted && lines.next(arguments);) {
        const std::string_view text = trim(arguments);
        if (text.empty() || is_comment(text)) continue;
        ok &= run_command(fmt::format("{} {}", line.command, text));
        check_interrupt();
    }
    return ok;
}

bool Shell::run_outside(const std::string& command) {
    const int status = run_shell(command);
    if (status == 0) return true;
    if (interactive) return false; // the shell has said why
    return fail("!" + command, fmt::format("the shell command failed with status {}", status));
}

bool Shell::run_lines(int descriptor, bool echo) {
    Lines lines(descriptor);
    bool ok = true;
    const auto next = [&](std::string_view prompt) {
        return [&lines, this, echo, prompt](std::string& line) {
            if (!lines.next(line)) return false;
            if (echo && session_.settings.output == "text") write_all(STDOUT_FILENO, fmt::format("{} {}\n", prompt, escape(line)));
            return true;
        };
    };
    const auto first = next("kcrash>"), further = next(">");
    for (std::string line; !session_.leave && !interrupted && first(line);) ok &= execute(line, further);
    return ok;
}

bool Shell::run_file(const std::string& path, bool echo) {
    if (path.ends_with(".py")) return execute(fmt::format("\\extend \"{}\"", path));
    if (in_file_) throw UsageError("a file of commands cannot run another one");
    const InputFile file(path);
    in_file_ = true;
    bool ok = false;
    try {
        ok = run_lines(file.descriptor, echo);
    } catch (...) {
        in_file_ = false;
        throw;
    }
    in_file_ = false;
    return ok;
}

void Shell::run_stdin(bool echo) {
    try {
        run_lines(STDIN_FILENO, echo);
    } catch (const Error& error) { fail("", error.what()); }
}

} // namespace kcrash
