// SPDX-License-Identifier: GPL-3.0-or-later
#include "commands/task_selection.hpp"
#include "core/error.hpp"
#include <algorithm>
#include <fmt/format.h>
#include <regex.h>
#include <unordered_set>

namespace kcrash {
namespace {

// A POSIX extended regular expression, as crash takes them.
class Pattern {
public:
    explicit Pattern(const std::string& text) {
        if (const int error = regcomp(&compiled_, text.c_str(), REG_EXTENDED | REG_NOSUB); error != 0) {
            char why[128];
            regerror(error, &compiled_, why, sizeof why);
            throw UsageError(fmt::format("invalid regular expression: {}: {}", text, why));
        }
    }
    ~Pattern() { regfree(&compiled_); }
    Pattern(const Pattern&) = delete;
    Pattern& operator=(const Pattern&) = delete;
    bool matches(const std::string& text) const { return regexec(&compiled_, text.c_str(), 0, nullptr, 0) == 0; }

private:
    regex_t compiled_;
};

template <typename Wanted> std::vector<const Task*> with_name(const Tasks& tasks, Wanted wanted) {
    std::vector<const Task*> found;
    for (const Task& task : tasks.all())
        if (task.comm && wanted(*task.comm)) found.push_back(&task);
    return found;
}

std::vector<const Task*> matches(Session& session, const std::string& word) {
    const Tasks& tasks = session.tasks();
    if (word.size() >= 2 && word.front() == '\'' && word.back() == '\'') {
        const Pattern pattern(word.substr(1, word.size() - 2));
        return with_name(tasks, [&](const std::string& comm) { return pattern.matches(comm); });
    }
    const bool escaped = word.starts_with('\\');
    // A name has at most 15 characters in the kernel.
    const std::string name = (escaped ? word.substr(1) : word).substr(0, 15);
    const bool numeric = !escaped && word.find_first_not_of("0123456789abcdefABCDEFxX") == std::string::npos;
    if (numeric) {
        // Decimal is a pid first; hexadecimal is a pid or an address.
        if (word.find_first_not_of("0123456789") == std::string::npos && word.size() < 10)
            if (auto found = tasks.by_pid(std::stoll(word)); !found.empty()) return found;
        char* end = nullptr;
        const uint64_t value = std::strtoull(word.c_str(), &end, 16);
        if (end && *end == '\0') {
            if (const Task* task = tasks.by_address(value)) return {task};
            if (auto found = tasks.by_pid(static_cast<int64_t>(value)); !found.empty()) return found;
        }
    }
    auto found = with_name(tasks, [&](const std::string& comm) { return comm == name; });
    if (found.empty() && numeric && word.find_first_of("0123456789") == 0) throw UsageError(fmt::format("invalid task or pid value: {}", word));
    return found;
}

} // namespace

std::vector<const Task*> select_tasks(Session& session, const std::vector<std::string>& words) {
    std::vector<const Task*> selected;
    std::unordered_set<const Task*> seen;
    for (const std::string& word : words) {
        try {
            for (const Task* task : matches(session, word))
                if (seen.insert(task).second) selected.push_back(task);
        } catch (const UsageError& error) {
            session.report().note(Severity::error, error.what());
        }
    }
    return selected;
}

} // namespace kcrash
