// SPDX-License-Identifier: GPL-3.0-or-later
// One row for each variable of `set`.
#include "commands/settings.hpp"
#include "commands/expression.hpp"
#include "commands/shell/pager.hpp"
#include <fmt/format.h>

namespace kcrash {
namespace {

std::string on_off(bool value) { return value ? "on" : "off"; }

bool switched(std::string_view name, const std::string& value) {
    if (value == "on" || value == "1") return true;
    if (value == "off" || value == "0") return false;
    throw UsageError(fmt::format("{} is on or off, not {}", name, value));
}

template <bool Settings::*member> std::string show_switch(const Session& session) { return on_off(session.settings.*member); }

std::string one_of(std::string_view name, const std::string& value, std::initializer_list<std::string_view> choices) {
    std::string list;
    for (const std::string_view choice : choices) {
        if (choice == value) return value;
        list += fmt::format("{}{}", list.empty() ? "" : ", ", choice);
    }
    throw UsageError(fmt::format("{} is one of {}, not {}", name, list, value));
}

unsigned count(std::string_view name, const std::string& value) {
    const auto number = parse_number(value);
    if (!number || *number > UINT32_MAX) throw UsageError(fmt::format("{} is a number, not {}", name, value));
    return static_cast<unsigned>(*number);
}

std::string show_scroll(const Session& session) {
    const std::string pager = pager_command(session.settings);
    if (pager.empty()) return "off (neither less nor more is installed)";
    return fmt::format("{} ({})", on_off(session.settings.scroll), pager.substr(0, pager.find(' ')));
}

void set_scroll(Session& session, const std::string& value) {
    const bool names_pager = value == "less" || value == "more" || value == "CRASHPAGER";
    if (value == "CRASHPAGER" && !std::getenv("CRASHPAGER"))
        throw UsageError("scroll CRASHPAGER: the environment has no CRASHPAGER");
    if (names_pager) session.settings.pager = value;
    session.settings.scroll = names_pager || one_of("scroll", value, {"on", "off", "less", "more", "CRASHPAGER"}) == "on";
}

void set_radix(Session& session, const std::string& value) {
    const std::string chosen = one_of("radix", value, {"10", "16", "dec", "hex", "decimal", "hexadecimal", "d", "h"});
    session.settings.radix = chosen == "16" || chosen[0] == 'h' ? 16 : 10;
}

void set_scope(Session& session, const std::string& value) {
    const uint64_t address = value == "0" ? 0 : session.address(value);
    if (address && !session.target().symbols().is_text(address))
        throw UsageError(fmt::format("scope {}: not an address of code", value));
    session.settings.scope = address;
}

std::string show_scope(const Session& session) {
    const uint64_t scope = session.settings.scope;
    return scope ? fmt::format("{:x}: ({})", scope, session.target().symbols().describe(scope)) : "0 (not set)";
}

void set_zero_excluded(Session& session, const std::string& value) {
    session.target().physical().set_zero_excluded(switched("zero_excluded", value));
    session.forget_tasks();
}

void set_error(Session& session, const std::string& value) { session.settings.error = value; }

[[noreturn]] void only_at_start(Session&, const std::string&) {
    throw UsageError("this is chosen when kcrash starts, on its command line");
}

std::string dump_files(const Session& session) {
    if (!session.has_target()) return "(none)";
    std::string list;
    for (const std::string& file : session.target().dump().info().files) list += (list.empty() ? "" : " ") + file;
    return list;
}

#define SWITCH(name, member)                                                                                                     \
    {                                                                                                                            \
        name, "on|off", show_switch<&Settings::member>,                                                                          \
            [](Session& s, const std::string& v) { s.settings.member = switched(name, v); }                                      \
    }

const Variable table[] = {
    {"scroll", "on|off|less|more|CRASHPAGER", show_scroll, set_scroll},
    {"radix", "10|16",
     [](const Session& s) { return fmt::format("{} ({})", s.settings.radix, s.settings.radix == 16 ? "hex" : "decimal"); },
     set_radix},
    SWITCH("refresh", refresh),
    {"print_max", "number", [](const Session& s) { return fmt::format("{}", s.settings.print_max); },
     [](Session& s, const std::string& v) { s.settings.print_max = count("print_max", v); }},
    SWITCH("print_array", print_array),
    {"console", "device", [](const Session& s) { return s.settings.console; },
     [](Session& s, const std::string& v) { s.settings.console = v; }},
    {"debug", "number", [](const Session& s) { return fmt::format("{}", s.settings.debug); },
     [](Session& s, const std::string& v) { s.settings.debug = count("debug", v); }},
    SWITCH("core", core),
    SWITCH("hash", hash),
    SWITCH("silent", silent),
    {"edit", "vi|emacs", [](const Session& s) { return s.settings.edit; },
     [](Session& s, const std::string& v) {
         s.settings.edit = one_of("edit", v, {"vi", "emacs"});
     }},
    {"namelist", "",
     [](const Session& s) { return s.has_target() && !s.target().vmlinux_path().empty() ? s.target().vmlinux_path() : "(none)"; },
     only_at_start},
    {"dumpfile", "", dump_files, only_at_start},
    {"zero_excluded", "on|off", [](const Session& s) { return on_off(s.has_target() && s.target().physical().zero_excluded()); },
     set_zero_excluded},
    SWITCH("null-stop", null_stop),
    {"gdb", "on|off", show_switch<&Settings::gdb>,
     [](Session&, const std::string& v) {
         if (switched("gdb", v)) throw UsageError("there is no gdb in this build");
     }},
    {"scope", "text-address|0", show_scope, set_scope},
    {"offline", "show|hide", [](const Session& s) { return std::string(s.settings.offline_show ? "show" : "hide"); },
     [](Session& s, const std::string& v) {
         s.settings.offline_show = one_of("offline", v, {"show", "hide"}) == "show";
     }},
    SWITCH("redzone", redzone),
    {"error", "default|redirect|FILE", [](const Session& s) { return s.settings.error; }, set_error},
    {"output", "text|json", [](const Session& s) { return s.settings.output; },
     [](Session& s, const std::string& v) {
         s.settings.output = one_of("output", v, {"text", "json"});
     }},
};
#undef SWITCH

} // namespace

std::span<const Variable> variables() { return table; }

const Variable* find_variable(std::string_view name) {
    for (const Variable& variable : table)
        if (variable.name == name) return &variable;
    return nullptr;
}

} // namespace kcrash
