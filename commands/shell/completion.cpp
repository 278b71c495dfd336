// SPDX-License-Identifier: GPL-3.0-or-later
// Completion: the row of the command says what its words are.
#include "commands/shell/completion.hpp"
#include "commands/alias.hpp"
#include "commands/gdb_bridge.hpp"
#include "commands/settings.hpp"
#include <algorithm>

namespace kcrash {
namespace {

constexpr size_t most = 5000; // more than that nobody reads

void add(std::string_view candidate, std::string_view word, Completions& into) {
    if (into.words.size() < most && candidate.starts_with(word)) into.words.emplace_back(candidate);
}

// Members of a compound type, and those of the anonymous ones inside it.
void add_members(const Type* type, const std::string& prefix, std::string_view word, Completions& into, unsigned depth = 0) {
    if (!type || !is_compound(type) || depth > 8) return;
    for (const TypeMember& member : strip(type)->members) {
        if (member.name.empty()) add_members(member.type, prefix, word, into, depth + 1);
        else add(prefix + std::string(member.name), word, into);
    }
}

// The command that the line is about; null: none yet, or unknown.
const Command* command_of(const Session& session, std::string_view line) {
    const auto operator_at = line.find_last_of("|;");
    if (operator_at != std::string_view::npos) line.remove_prefix(operator_at + 1);
    line.remove_prefix(std::min(line.find_first_not_of(" \t\\"), line.size()));
    std::string first(line.substr(0, line.find_first_of(" \t")));
    if (const auto alias = alias_text(session, first)) first = alias->substr(0, alias->find(' '));
    return session.command(first);
}

} // namespace

Completions Completer::complete(std::string_view before, std::string_view word) {
    Completions found;
    try {
        const bool first = before.find_first_not_of(" \t") == std::string_view::npos;
        const size_t last = before.find_last_not_of(" \t");
        const char operator_before = last == std::string_view::npos ? '\0' : before[last];
        if (operator_before == '<' || operator_before == '>' || operator_before == '|' || before.starts_with('!'))
            found.files = true;
        else if (first) {
            commands_and_aliases(word, found);
            if (found.words.empty() && !word.empty()) {
                if (!members(word, found)) types(word, found), symbols(word, found);
            }
        } else if (const Command* command = command_of(session_, before)) {
            if (word.starts_with('-')) options(*command, word, found);
            else if (command->name == "repeat" || command->name == "help" || command->name == "alias")
                commands_and_aliases(word, found);
            else if (command->name == "gdb") of_gdb(before, word, found);
            else if (command->name == "set") {
                for (const Variable& variable : variables()) add(variable.name, word, found);
            } else operands(command->operands, word, found);
        }
    } catch (const std::exception&) { // a damaged dump must not break typing
    }
    std::sort(found.words.begin(), found.words.end());
    found.words.erase(std::unique(found.words.begin(), found.words.end()), found.words.end());
    return found;
}

void Completer::commands_and_aliases(std::string_view word, Completions& into) const {
    for (const Command* command : commands()) add(command->name, word, into);
    for (const UserCommand* command : session_.user_commands.all()) add(command->name, word, into);
    for (const BuiltinAlias& alias : builtin_aliases()) add(alias.name, word, into);
    for (const auto& [name, text] : session_.user_aliases) add(name, word, into);
}

// GDB's own words are completed by GDB, as whole lines: what stands before the word is cut off again. Names in expressions are not: GDB
// would read the units of all that begin so, which takes seconds.
void Completer::of_gdb(std::string_view before, std::string_view word, Completions& into) {
    before.remove_prefix(std::min(before.find("gdb") + 3, before.size()));
    before.remove_prefix(std::min(before.find_first_not_of(" \t"), before.size()));
    constexpr std::string_view with_words[] = {"info ", "set ", "show ", "help ", "maint ", "set print ", "show print "};
    if (!before.empty() && std::find(std::begin(with_words), std::end(with_words), before) == std::end(with_words))
        return symbols(word, into), types(word, into);
    const std::string line = std::string(before) + std::string(word);
    for (const std::string& choice : session_.gdb().complete(line))
        if (choice.size() > before.size()) add(std::string_view(choice).substr(before.size()), word, into);
}

void Completer::options(const Command& command, std::string_view word, Completions& into) const {
    for (const Option& option : command.options) add("-" + std::string(option.letters), word, into);
}

void Completer::symbols(std::string_view word, Completions& into) const {
    if (!session_.has_target() || word.empty()) return;
    const Symbols& all = session_.target().symbols();
    const auto from = [&](const SymbolTable& table) {
        for (size_t i = 0; i < table.size() && into.words.size() < most; ++i) add(table.at(i).name, word, into);
    };
    from(all.kernel());
    for (const LoadedModule& module : all.modules())
        if (module.symbols) from(*module.symbols);
}

void Completer::types(std::string_view word, Completions& into) {
    if (!session_.has_target()) return;
    if (type_names_.empty())
        for (const auto& source : session_.target().types().sources()) {
            if (!type_names_.empty() && source->source().starts_with("DWARF")) continue; // slow to list, and BTF has named them
            source->each([&](const Type& type) {
                type_names_.emplace_back(type.name);
                return true;
            });
        }
    for (const std::string& name : type_names_) add(name, word, into);
}

// "task_struct.se.": the members behind the last dot.
bool Completer::members(std::string_view word, Completions& into) const {
    const size_t comma = word.find_last_of(',');
    const size_t dot = word.find_last_of('.');
    const size_t first_dot = word.find('.');
    if (first_dot == std::string_view::npos || !session_.has_target()) return false;
    const Type* type = session_.target().types().parse(word.substr(0, first_dot));
    if (!type) return false;
    const bool list = comma != std::string_view::npos && (dot == std::string_view::npos || comma > dot || comma > first_dot);
    const size_t path_begin = list ? comma + 1 : first_dot + 1;
    const bool nested = dot != std::string_view::npos && dot >= path_begin;
    if (nested) {
        const auto outer = find_member(type, word.substr(path_begin, dot - path_begin));
        type = outer ? outer->type : nullptr;
    }
    add_members(type, std::string(word.substr(0, nested ? dot + 1 : path_begin)), word, into);
    into.no_blank = true; // one may go on with a dot or a comma
    return true;
}

void Completer::tasks(std::string_view word, Completions& into) const {
    if (!session_.has_target()) return;
    for (const Task& task : session_.tasks().all())
        if (task.pid) add(std::to_string(*task.pid), word, into);
}

void Completer::modules(std::string_view word, Completions& into) const {
    if (!session_.has_target()) return;
    for (const LoadedModule& module : session_.target().symbols().modules()) add(module.name, word, into);
}

void Completer::operands(ArgumentKind kind, std::string_view word, Completions& into) {
    switch (kind) {
    case ArgumentKind::address:
    case ArgumentKind::symbol_or_address: return symbols(word, into);
    case ArgumentKind::task: return tasks(word, into);
    case ArgumentKind::module: return modules(word, into);
    case ArgumentKind::file:
    case ArgumentKind::directory: into.files = true; return;
    case ArgumentKind::command: return commands_and_aliases(word, into);
    case ArgumentKind::type:
    case ArgumentKind::member:
    case ArgumentKind::text:
        if (!members(word, into)) types(word, into), symbols(word, into);
        return;
    default: return;
    }
}

} // namespace kcrash
