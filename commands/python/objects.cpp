// SPDX-License-Identifier: GPL-3.0-or-later
#include "commands/python/objects.hpp"
#include "core/interrupt.hpp"

namespace kcrash::python {

Ref none() { return Ref(Py_NewRef(Py_None)); }
Ref from_text(std::string_view bytes) {
    return Ref(PyUnicode_DecodeUTF8(bytes.data(), static_cast<Py_ssize_t>(bytes.size()), "backslashreplace"));
}
Ref from_number(uint64_t value) { return Ref(PyLong_FromUnsignedLongLong(value)); }

void append(const Ref& list, Ref item) {
    if (PyList_Append(list.get(), item.get()) != 0) throw Raised();
}

std::string to_bytes(PyObject* object) {
    char* bytes = nullptr;
    Py_ssize_t size = 0;
    if (PyUnicode_Check(object)) {
        const Ref encoded(PyUnicode_AsEncodedString(object, "utf-8", "surrogateescape"));
        return to_bytes(encoded.get());
    }
    if (PyBytes_AsStringAndSize(object, &bytes, &size) != 0) throw Raised();
    return {bytes, static_cast<size_t>(size)};
}

uint64_t to_address(PyObject* number) {
    const Ref index(PyNumber_Index(number));
    const uint64_t value = PyLong_AsUnsignedLongLongMask(index.get());
    if (PyErr_Occurred()) throw Raised();
    return value;
}

namespace {

Ref error_class(const char* name) {
    const Ref module(PyImport_ImportModule("kcrash"));
    return Ref(PyObject_GetAttrString(module.get(), name));
}

void raise_error(std::string_view message) {
    const Ref type = error_class("Error");
    const Ref text = from_text(message);
    PyErr_SetObject(type.get(), text.get());
}

void raise_memory_error(const MemoryError& error) {
    const Ref type = error_class("MemoryError");
    const Ref arguments = tuple(from_text(error.what()), from_number(error.address), from_text(describe(error.fault)));
    PyErr_SetObject(type.get(), arguments.get());
}

void set_current_exception() {
    try {
        throw;
    } catch (const Raised&) { // Python knows
    } catch (const Interrupted&) {
        interrupt_requested = 0;
        PyErr_SetNone(PyExc_KeyboardInterrupt);
    } catch (const OutputClosed&) { // nobody reads on: the script ends as by Ctrl-C
        if (Call* call = running()) call->error = std::current_exception();
        PyErr_SetNone(PyExc_KeyboardInterrupt);
    } catch (const MemoryError& error) { raise_memory_error(error); } catch (const std::bad_alloc&) {
        PyErr_NoMemory();
    } catch (const std::logic_error& error) { // a layout that names no field
        PyErr_SetString(PyExc_ValueError, error.what());
    } catch (const std::exception& error) { raise_error(error.what()); }
}

} // namespace

PyObject* raise_current() {
    try {
        set_current_exception();
    } catch (...) { // Python could not even make the exception, and has said so itself
        if (!PyErr_Occurred()) PyErr_SetString(PyExc_RuntimeError, "kcrash failed");
    }
    return nullptr;
}

} // namespace kcrash::python
