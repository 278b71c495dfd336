// SPDX-License-Identifier: GPL-3.0-or-later
// The module _kcrash, in C++, and kcrash.py above it, which is the one that scripts import.
//
//   prompt -> Session -> Python command -> "python" of GDB -> kcrash.py -> _kcrash
//          -> Session (with another report) -> native command -> GDB -> ...
//
// A script runs a native command, which asks GDB, which runs a script. What keeps that sound:
// - Python is only ever entered through GDB's own command "python", so that GDB has its state, its handler of Ctrl-C and the GIL
//   in order. What is to be run waits in a stack of Calls (perform()); kcrash.py fetches it and says how it ended.
// - A function that Python calls turns every exception of C++ into one of Python (guarded()), and no exception of Python leaves
//   kcrash.py.
// - While native code works for Python, Ctrl-C is the program's own again (Native), and becomes KeyboardInterrupt at its end.
// - Calls into GDB nest (symbols/gdb/execute.cpp).
#include "commands/gdb_bridge.hpp"
#include "commands/python/objects.hpp"
#include "commands/python/python.hpp"
#include "core/interrupt.hpp"
#include <fmt/format.h>
#include <thread>

extern "C" const char kcrash_python_source[];

namespace kcrash {
namespace python {
namespace {

constexpr size_t deepest = 16; // each level has a command of GDB and an interpreter on the stack

// Python's own state is a set of globals, and so is what it must find: there is one of these in a process.
struct Host {
    Session* session = nullptr; // null: it went away
    std::thread::id thread;
    struct sigaction interrupt{}; // the program's own handler
    std::vector<Call*> calls;
    bool installed = false;
    std::string problem = "GDB has no Python here: its modules could not be unpacked"; // why not
};

Host& host() {
    static Host* const only = new Host; // Python's threads may outlive main()
    return *only;
}

void add_functions(PyObject* module) {
    for (PyMethodDef* functions : {report_functions(), target_functions(), run_functions()})
        if (PyModule_AddFunctions(module, functions) != 0) throw Raised();
}

void make_modules() {
    static PyModuleDef definition = {
        PyModuleDef_HEAD_INIT, "_kcrash", "What kcrash.py is made of.", -1, nullptr, nullptr, nullptr, nullptr, nullptr};
    const Ref inner(PyModule_Create(&definition));
    add_functions(inner.get());
    if (PyDict_SetItemString(PyImport_GetModuleDict(), "_kcrash", inner.get()) != 0) throw Raised();
    const Ref code(Py_CompileString(kcrash_python_source, "kcrash.py", Py_file_input));
    const Ref module(PyImport_ExecCodeModule("kcrash", code.get()));
    const Ref main(PyImport_ImportModule("__main__"));
    if (PyObject_SetAttrString(main.get(), "kcrash", module.get()) != 0) throw Raised(); // as GDB does with "gdb"
}

// Python's exception, as one line; it is gone then.
std::string take_error() {
    PyObject *type = nullptr, *value = nullptr, *trace = nullptr;
    PyErr_Fetch(&type, &value, &trace);
    PyErr_NormalizeException(&type, &value, &trace);
    PyObject* text = value ? PyObject_Str(value) : nullptr;
    const char* bytes = text ? PyUnicode_AsUTF8(text) : nullptr;
    const std::string message = fmt::format("the module kcrash could not be made: {}", bytes ? bytes : "no reason is known");
    for (PyObject* object : {text, type, value, trace}) Py_XDECREF(object);
    PyErr_Clear();
    return message;
}

} // namespace

Session& session() {
    const Host& known = host();
    const char* problem = !known.session                               ? "the session has ended"
                          : std::this_thread::get_id() != known.thread ? "kcrash answers only to the thread that runs the script"
                                                                       : nullptr;
    if (problem) {
        PyErr_SetString(PyExc_RuntimeError, problem);
        throw Raised();
    }
    return *known.session;
}

Call* running() { return host().calls.empty() ? nullptr : host().calls.back(); }

Native::Native(Session& session) : session_(session) {
    session_.gdb().take_task();
    state_ = PyEval_SaveThread();
    sigaction(SIGINT, &host().interrupt, &before_);
}

void Native::leave() {
    if (!state_) return;
    sigaction(SIGINT, &before_, nullptr);
    PyEval_RestoreThread(std::exchange(state_, nullptr));
    session_.gdb().give_task();
}

Native::~Native() { leave(); }

void Native::finish() {
    leave();
    check_interrupt();
}

void perform(Session& session, Call& call) {
    if (host().calls.size() >= deepest) throw Error(fmt::format("commands of Python call each other more than {} deep", deepest));
    struct Running {
        explicit Running(Call& one) { host().calls.push_back(&one); }
        ~Running() { host().calls.pop_back(); }
    } const running(call);
    GdbBridge& bridge = session.gdb();
    bridge.wake();
    if (!host().installed) throw Error(host().problem);
    try {
        bridge.execute("python __import__('kcrash')._perform()", [&session](const std::string& text) {
            session.report().text(std::string_view(text).substr(0, text.size() - text.ends_with('\n')));
        });
    } catch (...) {
        if (call.error) std::rethrow_exception(call.error);
        throw;
    }
    if (call.error) std::rethrow_exception(call.error);
    if (session.leave) return;
    if (call.interrupted) {
        interrupt_requested = 1; // a file of commands ends with it
        throw Interrupted();
    }
    if (call.failed) throw Error(call.message);
}

} // namespace python

void install_python(Session& session) {
    python::Host& host = python::host();
    if (!Py_IsInitialized()) return;
    host.session = &session;
    host.thread = std::this_thread::get_id();
    sigaction(SIGINT, nullptr, &host.interrupt);
    if (host.installed) return;
    const PyGILState_STATE state = PyGILState_Ensure();
    try {
        python::make_modules();
        host.installed = true;
    } catch (const python::Raised&) { host.problem = python::take_error(); }
    PyGILState_Release(state);
}

void leave_python(const Session& session) {
    if (python::host().session == &session) python::host().session = nullptr;
}

void load_python(Session& session, const std::string& path) {
    python::Call call{.function = "load", .name = path, .message = {}, .error = nullptr};
    try {
        python::perform(session, call);
    } catch (...) {
        session.user_commands.remove_of(path);
        throw;
    }
}

void unload_python(Session& session, const std::string& path) {
    python::Call call{.function = "unload", .name = path, .message = {}, .error = nullptr};
    python::perform(session, call);
}

} // namespace kcrash
