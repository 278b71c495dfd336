// SPDX-License-Identifier: GPL-3.0-or-later
// Descriptors, files, pipes to the shell, the pager.
#include "commands/shell/output.hpp"
#include "core/interrupt.hpp"
#include <cerrno>
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <fmt/format.h>
#include <spawn.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

extern char** environ;

namespace kcrash {
namespace {

// Starts `file` with arguments; `input`: its standard input, or -1 for ours. The child gets the default signals back.
pid_t spawn(const char* file, std::vector<const char*> arguments, int input) {
    arguments.push_back(nullptr);
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attributes);
    if (input >= 0) posix_spawn_file_actions_adddup2(&actions, input, STDIN_FILENO);
    sigset_t defaults;
    sigemptyset(&defaults);
    sigaddset(&defaults, SIGPIPE);
    sigaddset(&defaults, SIGINT);
    posix_spawnattr_setsigdefault(&attributes, &defaults);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF);
    pid_t child = -1;
    const int error = posix_spawnp(&child, file, &actions, &attributes, const_cast<char* const*>(arguments.data()), environ);
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
    if (error) throw Error(fmt::format("cannot run {}: {}", file, std::strerror(error)));
    return child;
}

int wait_for(pid_t child) {
    int status = 0;
    while (waitpid(child, &status, 0) < 0)
        if (errno != EINTR) return 127;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

struct ScreenSize {
    unsigned rows = 24, columns = 80;
};

ScreenSize screen_size() {
    winsize size{};
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_row == 0 || size.ws_col == 0) return {};
    return {size.ws_row, size.ws_col};
}

} // namespace

void write_all(int descriptor, std::string_view bytes) {
    while (!bytes.empty()) {
        const ssize_t n = ::write(descriptor, bytes.data(), bytes.size());
        if (n >= 0) bytes.remove_prefix(static_cast<size_t>(n));
        else if (errno == EINTR) check_interrupt();
        else if (errno == EPIPE) throw OutputClosed();
        else throw Error(fmt::format("cannot write the output: {}", std::strerror(errno)));
    }
}

Sink descriptor_sink(int descriptor) {
    return [descriptor](std::string_view bytes) { write_all(descriptor, bytes); };
}

OutputFile::OutputFile(const std::string& path, bool append)
    : descriptor_(::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC | (append ? O_APPEND : O_TRUNC), 0666)) {
    if (descriptor_ < 0) throw Error(fmt::format("cannot write to {}: {}", path, std::strerror(errno)));
}

OutputFile::~OutputFile() { ::close(descriptor_); }

ShellPipe::ShellPipe(const std::string& command) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) throw Error(fmt::format("cannot make a pipe: {}", std::strerror(errno)));
    descriptor_ = ends[1];
    try {
        child_ = spawn("/bin/sh", {"sh", "-c", command.c_str()}, ends[0]);
    } catch (...) {
        ::close(ends[0]);
        ::close(ends[1]);
        throw;
    }
    ::close(ends[0]);
}

ShellPipe::~ShellPipe() { finish(); }

int ShellPipe::finish() {
    if (descriptor_ >= 0) ::close(descriptor_);
    descriptor_ = -1;
    const int status = child_ > 0 ? wait_for(child_) : 0;
    child_ = -1;
    return status;
}

int run_shell(const std::string& command) {
    const int nothing = isatty(STDIN_FILENO) ? -1 : ::open("/dev/null", O_RDONLY | O_CLOEXEC); // our commands are not its input
    const char* shell = std::getenv("SHELL");
    if (!shell || command.size() > 0) shell = "/bin/sh";
    const pid_t child = command.empty() ? spawn(shell, {shell}, nothing) : spawn(shell, {"sh", "-c", command.c_str()}, nothing);
    const int status = wait_for(child);
    if (nothing >= 0) ::close(nothing);
    return status;
}

void PagedOutput::write(std::string_view bytes) {
    if (pipe_) return write_all(pipe_->descriptor(), bytes);
    held_ += bytes;
    const ScreenSize screen = screen_size();
    for (const char c : bytes) {
        column_ = c == '\n' ? 0 : column_ + 1;
        rows_ += c == '\n' || column_ % screen.columns == 0;
    }
    if (rows_ < screen.rows) return;
    pipe_ = std::make_unique<ShellPipe>(pager_);
    std::string text;
    text.swap(held_);
    write_all(pipe_->descriptor(), text);
}

void PagedOutput::finish() {
    std::string text;
    text.swap(held_);
    if (pipe_) pipe_->finish();
    pipe_.reset();
    write_all(STDOUT_FILENO, text);
}

} // namespace kcrash
