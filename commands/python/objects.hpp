// SPDX-License-Identifier: GPL-3.0-or-later
// Python's objects as C++ holds them, and the border between the two: only for the files of this folder.
//
// No exception of C++ crosses Python's frames: each function that Python calls is one call of guarded(), which turns exceptions
// into Python's. All functions here want the GIL.
#pragma once
#define PY_SSIZE_T_CLEAN
#include "commands/session.hpp"
#include <Python.h>
#include <csignal>
#include <exception>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

namespace kcrash::python {

// Python's error indicator is set: the function returns null to Python.
struct Raised : std::exception {};

// Owns one reference.
class Ref {
public:
    Ref() = default;
    explicit Ref(PyObject* object) : object_(object) {
        if (!object_) throw Raised();
    }
    Ref(Ref&& other) noexcept : object_(std::exchange(other.object_, nullptr)) {}
    Ref& operator=(Ref&& other) noexcept {
        std::swap(object_, other.object_);
        return *this;
    }
    ~Ref() { Py_XDECREF(object_); }
    PyObject* get() const { return object_; }
    PyObject* release() { return std::exchange(object_, nullptr); }

private:
    PyObject* object_ = nullptr;
};

Ref none();
Ref from_text(std::string_view bytes); // what is no UTF-8 becomes \xff
Ref from_number(uint64_t value);
template <typename T> Ref from_optional(const std::optional<T>& value) {
    if (!value) return none();
    if constexpr (std::is_signed_v<T>) return Ref(PyLong_FromLongLong(*value));
    else return from_number(*value);
}
template <typename... T> Ref tuple(T&&... items) {
    Ref made(PyTuple_New(sizeof...(items)));
    Py_ssize_t at = 0;
    (PyTuple_SET_ITEM(made.get(), at++, items.release()), ...);
    return made;
}
void append(const Ref& list, Ref item);
std::string to_bytes(PyObject* object); // of bytes or str
uint64_t to_address(PyObject* number);  // modulo 2^64, as C takes it

// The session that Python serves, on the thread that GDB belongs to; else Raised.
Session& session();

// Where the exception that is being handled becomes Python's. Null, for return.
PyObject* raise_current();

template <typename F> PyObject* guarded(F&& work) noexcept {
    try {
        return Ref(work()).release();
    } catch (...) { return raise_current(); }
}

// The kernel's part of a call, which may take long: without the GIL, with the program's own handler of Ctrl-C, and on the task
// that the script has selected, in GDB or here. Ctrl-C ends it as KeyboardInterrupt: finish() throws.
class Native {
public:
    explicit Native(Session& session);
    ~Native();
    Native(const Native&) = delete;
    Native& operator=(const Native&) = delete;
    void finish();

private:
    void leave();
    Session& session_;
    struct sigaction before_{};
    PyThreadState* state_ = nullptr;
};

// What Python is to do for a command of ours: taken by kcrash.py's _perform(), which says how it ended.
struct Call {
    std::string function; // of kcrash.py
    std::string name;     // its argument: a command's name, a file
    const Invocation* invocation = nullptr;
    bool failed = false, interrupted = false;
    std::string message;
    std::exception_ptr error; // of C++, thrown in what Python called: it goes on behind Python
};
// Runs it inside of GDB; what it prints goes to the session's report. Error, Interrupted, what `error` is.
void perform(Session& session, Call& call);
Call* running(); // the innermost; null: none

PyMethodDef* report_functions(); // report.cpp
PyMethodDef* target_functions(); // target.cpp
PyMethodDef* run_functions();    // run.cpp

} // namespace kcrash::python
