// SPDX-License-Identifier: GPL-3.0-or-later
// extend: files of Python that add commands.
#include "commands/python/python.hpp"
#include "commands/session.hpp"
#include "core/error.hpp"
#include <algorithm>
#include <filesystem>
#include <fmt/format.h>
#include <unistd.h>

namespace kcrash {

extern const Command extend_command;

namespace {

constexpr Option options[] = {{"u", "", ArgumentKind::none, "unload the files, or all of them"}};
constexpr Column columns[] = {{"file", "FILE", 30}, {"commands", "COMMANDS"}};

void list(Session& session, const std::vector<std::string>& files) {
    session.report().table("extension", columns);
    for (const std::string& file : files) {
        std::string names;
        for (const UserCommand* command : session.user_commands.all())
            if (command->origin == file) names += fmt::format("{}{}", names.empty() ? "" : " ", command->name);
        session.report().row({file, names});
    }
}

bool defines_commands(const Session& session, const std::string& file) {
    const auto files = session.user_commands.origins();
    return std::find(files.begin(), files.end(), file) != files.end();
}

// As it is loaded, and known afterwards: an absolute path.
std::string full_path(const std::string& word) {
    std::string path = word;
    const char* home = std::getenv("HOME");
    if (home && word.starts_with("~/")) path = home + word.substr(1);
    std::error_code error;
    const auto full = std::filesystem::weakly_canonical(path, error);
    return error ? path : full.string();
}

void load(Session& session, const std::string& word) {
    const std::string file = full_path(word);
    if (!file.ends_with(".py")) throw UsageError(fmt::format("{}: only files of Python (.py) can be loaded", word));
    if (access(file.c_str(), R_OK) != 0) throw Error(fmt::format("{}: there is no such file, or it cannot be read", word));
    session.user_commands.remove_of(file);
    load_python(session, file);
    if (defines_commands(session, file)) list(session, {file});
}

void unload(Session& session, std::vector<std::string> files) {
    if (files.empty()) files = session.user_commands.origins();
    for (const std::string& word : files) {
        const std::string file = full_path(word);
        if (!defines_commands(session, file)) throw UsageError(fmt::format("{} is not loaded; \"extend\" lists what is", word));
        session.user_commands.remove_of(file);
        unload_python(session, file);
        session.report().record("unloaded", "unloaded: {file}", {{"file", file}});
    }
}

void run(Session& session, const Invocation& invocation) {
    if (invocation.has("u")) return unload(session, invocation.operands);
    if (invocation.operands.empty()) {
        const std::vector<std::string> files = session.user_commands.origins();
        return files.empty() ? session.report().text("no extensions are loaded") : list(session, files);
    }
    for (const std::string& word : invocation.operands) load(session, word);
}

} // namespace

const Command extend_command = {
    .name = "extend",
    .summary = "load commands written in Python",
    .synopsis = "[file.py]... | -u [file.py]...",
    .options = options,
    .operands = ArgumentKind::file,
    .help = R"help(Loads files of Python into the Python of the embedded GDB, or lists those that were loaded and the
commands that they define. A file that is loaded again replaces what it was. A script that only does something,
and defines no command, can be given as well, here or with "kcrash -i FILE.py".

A command is a class derived from kcrash.Command. It stands in "help", is completed, says typed records that
become text or JSON, and its output goes through pipes and into files as that of all others. The name of a
command of kcrash cannot be taken. "python help(kcrash)" shows what there is.

EXAMPLES
  A file with a command in it:

    kcrash> !cat idle.py
    import kcrash

    class Idle(kcrash.Command):
        """Lists the idle tasks."""
        name = "idle"
        operands = "none"

        def run(self, args, report):
            for task in kcrash.tasks():
                if task.idle:
                    report.record("idle", "cpu {cpu}: {comm}", cpu=task.cpu, comm=task.comm)
    kcrash> extend idle.py
    FILE                            COMMANDS
    /home/me/idle.py                idle
    kcrash> idle
    cpu 0: swapper/0
    cpu 1: swapper/1)help",
    .run = run,
};

} // namespace kcrash
