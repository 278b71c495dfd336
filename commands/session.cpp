// SPDX-License-Identifier: GPL-3.0-or-later
// The session: runs lines, and keeps every failure inside the command that failed.
#include "commands/session.hpp"
#include "commands/alias.hpp"
#include "commands/gdb_bridge.hpp"
#include "commands/line_words.hpp"
#include "core/interrupt.hpp"
#include <algorithm>
#include <cctype>
#include <fmt/format.h>

namespace kcrash {
namespace {

// "list schedule" is no expression, though there may be a symbol "list": no operator stands between the two.
bool begins_with_word(std::string_view rest) {
    rest = trim(rest);
    return !rest.empty() && (std::isalnum(static_cast<unsigned char>(rest[0])) || rest[0] == '_');
}

} // namespace

Session::Session(std::unique_ptr<Target> target, std::unique_ptr<Report> report)
    : target_(std::move(target)), report_(std::move(report)) {}
Session::~Session() = default;

Target& Session::target() const {
    if (!target_) throw UsageError("there is no dump: start kcrash with a dump file");
    return *target_;
}

GdbBridge& Session::gdb() {
    target();
    if (!gdb_) gdb_ = std::make_unique<GdbBridge>(*this);
    return *gdb_;
}

std::unique_ptr<Report> Session::exchange_report(std::unique_ptr<Report> report) {
    std::swap(report, report_);
    return report;
}

Tasks& Session::tasks() const {
    if (!tasks_) {
        tasks_ = std::make_unique<Tasks>(target());
        for (const std::string& warning : tasks_->warnings()) report_->note(Severity::warning, warning);
    }
    return *tasks_;
}

const Task& Session::current() const {
    if (current_) return *current_;
    Tasks& all = tasks();
    if (const Task* panic = all.panic_task()) return *(current_ = panic);
    for (const Task& task : all.all())
        if (task.is_idle && (!current_ || task.cpu < current_->cpu)) current_ = &task;
    if (!current_ && !all.all().empty()) current_ = &all.all().front();
    if (!current_) throw Error("no task could be read from the dump");
    return *current_;
}

void Session::set_current(const Task& task) {
    const Task* known = tasks().by_address(task.address);
    if (!known) throw Error(fmt::format("the task at {:#x} is not in the list of tasks", task.address));
    current_ = known;
}

void Session::forget_tasks() {
    const uint64_t address = current_ ? current_->address : 0;
    current_ = nullptr;
    tasks_.reset();
    if (address) current_ = tasks().by_address(address);
}

const Command* Session::command(std::string_view name) const {
    const Command* own = find_command(name);
    return own ? own : user_commands.find(name);
}

bool Session::run(std::string_view line) {
    line = trim(line);
    if (line.empty() || line.starts_with('#') || line.starts_with("//")) return true;
    std::string expanded = expand_alias(*this, line);
    std::string_view text = trim(expanded);
    const Command* found = command(first_word(text));
    if (!found) {
        std::string verb_added = with_verb(text);
        if (!verb_added.empty()) found = find_command(first_word(expanded = std::move(verb_added)));
        text = trim(expanded);
    }
    if (!found && is_gdb_command(first_word(text))) {
        found = find_command("gdb");
        expanded = fmt::format("gdb {}", text);
        text = expanded;
    }
    if (found) return run_command(*found, text);
    report_->begin_command(text, "");
    report_->note(Severity::error, unknown_command(first_word(text)));
    report_->end_command(false);
    ++failed_commands;
    return false;
}

bool Session::run_command(const Command& command, std::string_view line) {
    bool ok = false;
    output_closed = false;
    report_->begin_command(line, command.name);
    try {
        check_needs(command);
        command.run(*this, parse_invocation(command, line));
        ok = report_->errors() == 0;
    } catch (const OutputClosed&) { ok = output_closed = true; } catch (const std::bad_alloc&) {
        report_->note(Severity::error, "out of memory");
    } catch (const std::logic_error& error) {
        report_->note(Severity::error, fmt::format("internal error: {}; please report it", error.what()));
    } catch (const std::exception& error) { report_->note(Severity::error, error.what()); }
    try {
        report_->end_command(ok);
    } catch (const OutputClosed&) { // what could be said was said
        output_closed = true;
    } catch (const std::exception& error) {
        ok = false;
        report_->note(Severity::error, error.what());
    }
    failed_commands += !ok;
    return ok;
}

void Session::check_needs(const Command& command) const {
    if (minimal && !command.in_minimal) throw UsageError("not available with --minimal");
    if (command.needs == needs_nothing) return;
    const Target& opened = target();
    if ((command.needs & needs_symbols) && opened.symbols().kernel().size() == 0)
        throw UsageError("the dump carries no symbols: give the kernel's vmlinux");
    if ((command.needs & needs_types) && opened.types().sources().empty())
        throw UsageError("the dump carries no types (BTF): give the kernel's vmlinux with debug information");
    if ((command.needs & needs_tasks) && tasks().all().empty()) throw Error("no task could be read from the dump");
}

// "list_head ..." -> "struct list_head ...", "jiffies" -> "p jiffies"; empty when the word is neither type nor symbol.
std::string Session::with_verb(std::string_view line) const {
    if (!target_) return {};
    const std::string_view word = first_word(line);
    if (word.starts_with("p/")) return fmt::format("p {}", line.substr(1)); // gdb's p/x
    const std::string_view name = word.substr(0, word.find_first_of(".[-+:>"));
    if (name.empty()) return {};
    const Types& types = target_->types();
    const auto verb = [&](const Type* type) -> std::string_view {
        const Type* real = strip(type);
        return real->kind == TypeKind::structure ? "struct" : real->kind == TypeKind::union_type ? "union" : "whatis";
    };
    for (const TypeKind kind : {TypeKind::structure, TypeKind::union_type, TypeKind::enumeration, TypeKind::typedef_type})
        if (const Type* type = types.find(kind, name)) {
            const std::string_view found = verb(type);
            const bool tagged = kind == TypeKind::enumeration;
            return fmt::format("{} {}{}", found, tagged ? "enum " : "", line);
        }
    if (target_->symbols().find(name) && !begins_with_word(line.substr(word.size()))) return fmt::format("p {}", line);
    return {};
}

bool Session::is_gdb_command(std::string_view word) {
    if (!target_ || minimal) return false;
    try {
        return gdb().knows(word);
    } catch (const Error&) { return false; } // GDB serves another session
}

std::string Session::unknown_command(std::string_view word) const {
    std::vector<std::string_view> choices;
    for (const Command* own : commands()) choices.push_back(own->name);
    for (const UserCommand* extra : user_commands.all()) choices.push_back(extra->name);
    for (const BuiltinAlias& alias : builtin_aliases()) choices.push_back(alias.name);
    for (const auto& [name, text] : user_aliases) choices.push_back(name);
    std::erase_if(choices, [&](std::string_view name) { return !command(name) && !alias_text(*this, name); }); // deleted aliases
    constexpr std::string_view outside[] = {"ls", "cat", "grep", "pwd", "vi", "more", "less", "echo", "clear", "date"};
    if (std::find(std::begin(outside), std::end(outside), word) != std::end(outside))
        return fmt::format("unknown command \"{0}\"; \"!{0}\" runs it in the shell", word);
    const std::string near = did_you_mean(word, choices);
    if (near.empty()) return fmt::format("unknown command \"{}\"; \"help\" lists the commands", word);
    return fmt::format("unknown command \"{}\", did you mean \"{}\"?", word, near);
}

} // namespace kcrash
