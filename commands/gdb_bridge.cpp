// SPDX-License-Identifier: GPL-3.0-or-later
#include "commands/gdb_bridge.hpp"
#include "commands/python/python.hpp"
#include "commands/report/report.hpp"
#include "commands/session.hpp"
#include "core/error.hpp"
#include "core/interrupt.hpp"
#include "symbols/debug_files.hpp"
#include "symbols/dwarf_file.hpp"
#include "symbols/gdb/data.hpp"
#include "symbols/gdb_index.hpp"
#include "symbols/symbol_cache.hpp"
#include "symbols/types.hpp"
#include <cerrno>
#include <cstdio>
#include <fcntl.h>
#include <filesystem>
#include <fmt/format.h>
#include <spawn.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

extern char** environ;

namespace kcrash {
namespace {

[[noreturn]] void rethrow(const GdbFailure& failure, bool has_vmlinux = true) {
    if (!has_vmlinux && std::string_view(failure.what()).starts_with("No symbol table is loaded"))
        throw Error("GDB has no symbols: kcrash was started without the kernel's vmlinux"); // GDB's advice is a command that is refused
    if (failure.interrupted) {
        interrupt_requested = 1; // GDB's handler took the signal
        throw Interrupted();
    }
    if (failure.calls) throw UsageError("the kernel is dead: none of its functions can be called");
    throw Error(failure.what());
}

// Our own index, made in a fraction of the time that GDB needs for its own. False when the file has what that does not cover.
bool write_own_index(const std::string& vmlinux, const std::string& index, const ProgressMaker& progress) {
    try {
        const auto elf = ElfFile::open(vmlinux);
        const Architecture* arch = find_architecture(elf->machine(), elf->order(), elf->word_size());
        if (!arch) return false;
        const auto bytes = make_gdb_index(DwarfFile(elf, *arch, Slide{}, nullptr), progress);
        return !bytes.empty() && write_whole_file(index, bytes);
    } catch (const FileError&) { return false; } // GDB is to say what is wrong with it
}

// Another process of this program, for a file that only later sessions will read. It is not waited for.
void spawn_index_maker(const std::string& vmlinux) {
    const std::string program = "/proc/self/exe", option = "--gdb-index=" + vmlinux;
    char* const words[] = {const_cast<char*>("kcrash"), const_cast<char*>(option.c_str()), nullptr};
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    for (const int descriptor : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO})
        posix_spawn_file_actions_addopen(&actions, descriptor, "/dev/null", O_RDWR, 0);
    posix_spawnattr_t attributes;
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSID); // Ctrl-C at the prompt is not for it
    pid_t child = 0;
    if (posix_spawn(&child, program.c_str(), &actions, &attributes, words, environ) != 0) child = 0; // then there is no index: slower, not wrong
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
}

// GDB names an index by build-id alone: what makes them differ is in the folder's name. Change it when make_gdb_index() does.
std::string index_folder(const std::string& cache) {
    const std::string folder = cache + "/gdb-index-2";
    return !cache.empty() && (mkdir(folder.c_str(), 0700) == 0 || errno == EEXIST) ? folder : std::string();
}

GdbOptions options_of(bool use_cache, const ProgressMaker& progress, bool may_spawn) {
    GdbOptions options;
    const std::string cache = cache_directory();
    options.cache_folder = use_cache ? index_folder(cache) : std::string();
    options.use_index = use_cache;
    options.make_index = [progress, may_spawn](const std::string& vmlinux, const std::string& index) {
        if (write_own_index(vmlinux, index, progress)) return true;
        if (may_spawn) spawn_index_maker(vmlinux);
        return false;
    };
    options.data_folder = gdb_data_folder(cache);
    return options;
}

// How GDB names this value, as an expression.
std::string expression_of(const Object& object) {
    const Type* type = object.type();
    if (object.has_address() && object.bit_size() == 0) return fmt::format("*({}) 0x{:x}", declare(type, "*"), object.address());
    const auto value = object.try_u64();
    if (!value) throw LookupError("a value that GDB cannot be given");
    return fmt::format("({}) 0x{:x}", declare(type, ""), *value);
}

} // namespace

GdbBridge::GdbBridge(Session& session) : session_(session) {}

GdbBridge::~GdbBridge() {
    leave_python(session_);
    if (kernel_) Gdb::leave(*kernel_);
}

Gdb& GdbBridge::gdb() {
    if (gdb_) return *gdb_;
    const GdbHost host{[this]() -> const Tasks& { return session_.tasks(); }, [this]() -> const Task& { return session_.current(); },
                       [this](const Task& task) { session_.set_current(task); }};
    kernel_ = std::make_unique<GdbKernel>(session_.target(), host);
    try {
        gdb_ = &Gdb::start(*kernel_, options_of(session_.target().options().use_cache, session_.target().options().progress, true));
    } catch (const GdbFailure& failure) { rethrow(failure); }
    install_python(session_);
    return *gdb_;
}

void GdbBridge::give_values() {
    for (unsigned known = gdb_->values(); known < session_.values.size(); ++known) {
        try {
            gdb_->record(expression_of(session_.values[known].object));
        } catch (const std::exception&) { // its place in the history is kept
            gdb_->record("\"a value that only kcrash has\"");
        }
    }
}

void GdbBridge::take_values() {
    for (const unsigned known = gdb_->values(); session_.values.size() < known;) session_.values.push_back({Object{}, true});
}

void GdbBridge::apply_settings() {
    const Settings& settings = session_.settings;
    std::string wanted = fmt::format("set print elements {}\nset print array {}\nset print null-stop {}\nset output-radix {}\nset print pretty on",
                                     settings.print_max, settings.print_array ? "on" : "off", settings.null_stop ? "on" : "off", settings.radix);
    if (applied_.empty())
        for (const std::string& folder : session_.target().options().source_directories)
            wanted += fmt::format("\ndirectory \"{}\"", std::filesystem::absolute(folder).string());
    if (wanted == applied_) return;
    gdb_->execute(wanted, [](const std::string&) {}); // GDB repeats what it was told
    applied_ = wanted;
}

void GdbBridge::execute(const std::string& command, const Gdb::Output& output) {
    Gdb& woken = gdb();
    try {
        apply_settings();
        give_values();
        woken.execute(command, output);
        take_values();
    } catch (const GdbFailure& failure) {
        take_values();
        rethrow(failure, session_.target().elf() != nullptr);
    }
    if (woken.wants_to_leave()) session_.leave = true;
}

std::string GdbBridge::output_of(const std::string& command) {
    std::string all;
    execute(command, [&all](const std::string& text) { all += text; });
    if (all.ends_with('\n')) all.pop_back();
    return all;
}

bool GdbBridge::knows(std::string_view word) { return gdb().knows(std::string(word.substr(0, word.find('/')))); }

std::vector<std::string> GdbBridge::complete(const std::string& line) {
    Gdb& woken = gdb();
    try {
        return woken.complete(line);
    } catch (const GdbFailure&) { return {}; }
}

void GdbBridge::take_task() {
    if (gdb_) gdb_->take_task();
}

void GdbBridge::give_task() {
    if (gdb_) gdb_->give_task();
}

void GdbBridge::forget_stacks() {
    if (gdb_) gdb_->forget_stacks();
}

int make_gdb_index(const std::string& vmlinux) {
    const GdbOptions options = options_of(true, {}, false);
    if (options.cache_folder.empty()) return 1;
    if (nice(10) == -1) {} // whoever waits for an answer goes first
    // One such process at a time.
    const int lock = open((options.cache_folder + "/lock").c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0600);
    if (lock < 0 || flock(lock, LOCK_EX | LOCK_NB) != 0) return 0;
    try {
        Gdb::make_index(vmlinux, options);
    } catch (const GdbFailure& failure) {
        fmt::print(stderr, "kcrash: {}\n", failure.what());
        return 1;
    }
    return 0;
}

} // namespace kcrash
