// SPDX-License-Identifier: GPL-3.0-or-later
// Commands in both directions: those that Python runs, and those that it is.
#include "commands/alias.hpp"
#include "commands/python/objects.hpp"
#include "commands/shell/redirection.hpp"
#include <array>
#include <fmt/format.h>

namespace kcrash::python {
namespace {

// One line that Python runs: its output is kept, one piece for each command (repeat runs several), and the session is afterwards
// as if nobody had looked.
class Kept {
public:
    Kept(Session& session, bool json)
        : session_(session), json_(json), execute_(std::move(session.execute)), failed_(session.failed_commands),
          closed_(session.output_closed) {
        session_.execute = [this](std::string_view line) { return run(line); };
    }
    ~Kept() {
        session_.execute = std::move(execute_);
        session_.failed_commands = failed_;
        session_.output_closed = closed_;
    }
    Kept(const Kept&) = delete;
    Kept& operator=(const Kept&) = delete;

    // Past its alias.
    bool run(std::string_view line) {
        const size_t at = outputs.size();
        outputs.emplace_back();
        const Sink out = [this, at](std::string_view bytes) { outputs[at] += bytes; };
        const Sink to_errors = [this](std::string_view bytes) { errors += bytes; };
        struct Report {
            Session& session;
            std::unique_ptr<kcrash::Report> before;
            ~Report() { session.exchange_report(std::move(before)); }
        } const kept{session_, session_.exchange_report(json_ ? make_json_report(out) : make_text_report(out, to_errors))};
        return session_.run(fmt::format("\\{}", line));
    }
    std::vector<std::string> outputs;
    std::string errors;

private:
    Session& session_;
    bool json_;
    std::function<bool(std::string_view)> execute_;
    unsigned failed_;
    bool closed_;
};

// run(line, json) -> (ok, [output, ...], errors)
PyObject* run(PyObject*, PyObject* arguments) {
    return guarded([&] {
        const char* line = nullptr;
        int json = 0;
        if (!PyArg_ParseTuple(arguments, "sp", &line, &json)) throw Raised();
        Session& own = session();
        const CommandLine parts = split_redirection(expand_alias(own, line));
        if (parts.redirection != Redirection::none)
            throw UsageError(
                "pipes and redirections are for the prompt: take the objects, or kcrash.text(), and go on in Python");
        Kept kept(own, json != 0);
        Native native(own);
        const bool ok = kept.run(parts.command);
        native.finish();
        const Ref outputs(PyList_New(0));
        for (const std::string& output : kept.outputs) append(outputs, from_text(output));
        return tuple(Ref(PyBool_FromLong(ok)), Ref(Py_NewRef(outputs.get())), from_text(kept.errors));
    });
}

// call() -> (function, name, operands, [(letters, argument), ...], raw): what C++ wants done
PyObject* call(PyObject*, PyObject*) {
    return guarded([] {
        session();
        const Call* wanted = running();
        if (!wanted) throw Error("no command is waiting for Python");
        Ref operands(PyList_New(0)), options(PyList_New(0));
        Ref raw = none();
        if (wanted->invocation) {
            for (const std::string& word : wanted->invocation->operands) append(operands, from_text(word));
            for (const auto& [letters, argument] : wanted->invocation->options)
                append(options, tuple(from_text(letters), from_text(argument)));
            raw = from_text(wanted->invocation->raw);
        }
        return tuple(from_text(wanted->function), from_text(wanted->name), std::move(operands), std::move(options),
                     std::move(raw));
    });
}

// failed(message, interrupted)
PyObject* failed(PyObject*, PyObject* arguments) {
    return guarded([&] {
        PyObject* message = nullptr;
        int interrupted = 0;
        if (!PyArg_ParseTuple(arguments, "Op", &message, &interrupted)) throw Raised();
        Call* ended = running();
        if (!ended) throw Error("no command is waiting for Python");
        ended->failed = true;
        ended->interrupted = interrupted != 0;
        ended->message = to_bytes(message);
        return none();
    });
}

ArgumentKind kind_named(std::string_view word) {
    constexpr std::array<std::pair<std::string_view, ArgumentKind>, 10> kinds = {{
        {"none", ArgumentKind::none},
        {"number", ArgumentKind::number},
        {"address", ArgumentKind::symbol_or_address},
        {"task", ArgumentKind::task},
        {"cpus", ArgumentKind::cpus},
        {"type", ArgumentKind::type},
        {"module", ArgumentKind::module},
        {"file", ArgumentKind::file},
        {"text", ArgumentKind::text},
        {"command", ArgumentKind::command},
    }};
    std::string known;
    for (const auto& [name, kind] : kinds) {
        if (name == word) return kind;
        known += fmt::format("{}{}", known.empty() ? "" : ", ", name);
    }
    throw UsageError(fmt::format("operands = \"{}\" is not one of {}", word, known));
}

void run_python_command(Session& own, const Invocation& invocation) {
    Call call{.function = "run", .name = invocation.name, .invocation = &invocation, .message = {}, .error = nullptr};
    perform(own, call);
}

// define(name, summary, synopsis, help, origin, operands, [(letters, argument, help), ...])
PyObject* define(PyObject*, PyObject* arguments) {
    return guarded([&] {
        const char *name, *summary, *synopsis, *help, *origin, *operands;
        PyObject* letters;
        if (!PyArg_ParseTuple(arguments, "ssssssO!", &name, &summary, &synopsis, &help, &origin, &operands, &PyList_Type,
                              &letters))
            throw Raised();
        auto command = std::make_shared<UserCommand>();
        command->name = name, command->summary = summary, command->synopsis = synopsis, command->help = help,
        command->origin = origin;
        command->operands = kind_named(operands);
        command->run = run_python_command;
        for (Py_ssize_t i = 0; i < PyList_GET_SIZE(letters); ++i) {
            const char *letter, *argument, *text;
            if (!PyArg_ParseTuple(PyList_GET_ITEM(letters, i), "sss", &letter, &argument, &text)) throw Raised();
            command->letters.push_back({letter, argument, text});
        }
        session().user_commands.add(std::move(command));
        return none();
    });
}

} // namespace

PyMethodDef* run_functions() {
    static PyMethodDef functions[] = {
        {"run", run, METH_VARARGS, nullptr},
        {"call", call, METH_NOARGS, nullptr},
        {"failed", failed, METH_VARARGS, nullptr},
        {"define", define, METH_VARARGS, nullptr},
        {nullptr, nullptr, 0, nullptr},
    };
    return functions;
}

} // namespace kcrash::python
