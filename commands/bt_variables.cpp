// SPDX-License-Identifier: GPL-3.0-or-later
// bt: inlined calls, arguments and locals, as far as DWARF knows them.
#include "commands/bt_parts.hpp"
#include "commands/value.hpp"
#include "core/error.hpp"
#include <fmt/format.h>

namespace kcrash::bt {
namespace {

// "name = value"; a value of many lines keeps its indentation.
void print_variable(Session& session, const VariableValue& variable) {
    using State = VariableValue::State;
    Fields fields{{"name", variable.name},
                  {"type", variable.type ? CellValue{type_name(variable.type)} : CellValue{Nothing{}}},
                  {"argument", variable.is_parameter},
                  {"function", variable.function}};
    const auto say = [&](std::string_view state, const std::string& text) {
        fields.push_back({"state", std::string(state)});
        fields.push_back({"reason", variable.reason.empty() ? CellValue{Nothing{}} : CellValue{variable.reason}});
        fields.push_back({"text", text});
        session.report().record("variable", "      {name} = {text}", fields);
    };
    switch (variable.state) {
    case State::optimized_out: return say("optimized_out", "<optimized out>");
    case State::not_recovered: return say("not_recovered", fmt::format("<register {} not recovered>", variable.reason));
    case State::unreadable: return say("unreadable", fmt::format("<unreadable: {}>", variable.reason));
    case State::unsupported: return say("unsupported", fmt::format("<not evaluated: {}>", variable.reason));
    case State::synthetic:
        return say("synthetic", variable.reason.empty() ? "<pointer to a value that has no address>"
                                                        : fmt::format("<pointer to {}, which has no address>", variable.reason));
    case State::value:
    case State::in_memory: break;
    }
    if (!variable.type) return say("no_type", "<no type>");
    const Target& target = session.target();
    const Object object = variable.state == State::in_memory ? target.object(variable.type, variable.address)
                                                             : Object::of_value(target, variable.type, variable.bytes);
    try {
        ValueTree tree = value_tree(object, value_format(session));
        tree.name.clear();
        fields.push_back({"state", std::string("value")});
        session.report().begin("variable", "", fields);
        session.report().value(tree, "      " + variable.name + " = " + value_prefix(object), "", 6);
        session.report().end();
    } catch (const Error& error) {
        say("unreadable", fmt::format("<unreadable: {}>", error.what()));
    }
}

} // namespace

void print_inlined(Session& session, const std::vector<InlineFrame>& frames) {
    for (const InlineFrame& inlined : frames) {
        Fields fields{{"function", inlined.function}};
        std::string layout = "    (inlined) {function}";
        if (inlined.location) {
            fields.push_back({"file", inlined.location->file});
            fields.push_back({"line", uint64_t{inlined.location->line}});
            layout += "  {file}: {line}";
        }
        session.report().record("inlined", layout, fields);
    }
}

void print_variables(Session& session, const FrameVariables& variables, size_t index) {
    std::string function;
    for (const VariableValue& variable : variables.of(index)) {
        if (variable.function != function) session.report().text(fmt::format("    {}:", function = variable.function), true);
        print_variable(session, variable);
    }
}

} // namespace kcrash::bt
