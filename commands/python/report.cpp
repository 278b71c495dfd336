// SPDX-License-Identifier: GPL-3.0-or-later
// What a command in Python says: its cells come as (letter, value), kcrash.py chose the letter.
#include "commands/python/objects.hpp"
#include "commands/report/render.hpp"
#include <deque>
#include <fmt/format.h>

namespace kcrash::python {
namespace {

int64_t to_signed(PyObject* number) {
    const int64_t value = PyLong_AsLongLong(number);
    if (PyErr_Occurred()) throw Raised();
    return value;
}

CellValue integer_cell(PyObject* number) {
    int overflow = 0;
    const int64_t value = PyLong_AsLongLongAndOverflow(number, &overflow);
    if (overflow == 0) return value;
    const uint64_t large = PyLong_AsUnsignedLongLong(number);
    if (PyErr_Occurred()) throw Raised(); // OverflowError
    return large;
}

CellValue symbol_cell(PyObject* pair) {
    PyObject *address, *text;
    if (!PyArg_ParseTuple(pair, "OO", &address, &text)) throw Raised();
    return SymbolValue{to_address(address), to_bytes(text)};
}

CellValue to_cell(PyObject* pair) {
    const char* letter = nullptr;
    PyObject* value = nullptr;
    if (!PyArg_ParseTuple(pair, "sO", &letter, &value)) throw Raised();
    switch (*letter) {
    case 'n': return Nothing{};
    case 'm': return Missing{to_bytes(value)};
    case 'b': return value == Py_True;
    case 'i': return integer_cell(value);
    case 'f': return PyFloat_AsDouble(value);
    case 's': return to_bytes(value);
    case 'a': return AddressValue{to_address(value)};
    case 'h': return HexValue{to_address(value)};
    case 'y': return BytesValue{static_cast<uint64_t>(to_signed(value))};
    case 't': return NanosecondsValue{static_cast<uint64_t>(to_signed(value))};
    case '@': return symbol_cell(value);
    }
    throw std::logic_error("a cell of no kind");
}

// record(kind, layout, [(key, letter, value), ...], group)
PyObject* record(PyObject*, PyObject* arguments) {
    return guarded([&] {
        const char *kind, *layout;
        PyObject* list;
        int group = 0;
        if (!PyArg_ParseTuple(arguments, "ssO!p", &kind, &layout, &PyList_Type, &list, &group)) throw Raised();
        std::deque<std::string> keys;
        Fields fields;
        for (Py_ssize_t i = 0; i < PyList_GET_SIZE(list); ++i) {
            PyObject *key, *cell;
            if (!PyArg_ParseTuple(PyList_GET_ITEM(list, i), "OO", &key, &cell)) throw Raised();
            fields.push_back({keys.emplace_back(to_bytes(key)), to_cell(cell)});
        }
        Report& report = session().report();
        try {
            if (group) report.begin(kind, layout, fields);
            else report.record(kind, layout, fields);
        } catch (const fmt::format_error& error) {
            throw std::logic_error(fmt::format("layout \"{}\": {}", layout, error.what()));
        }
        return none();
    });
}

PyObject* end(PyObject*, PyObject*) {
    return guarded([] {
        session().report().end();
        return none();
    });
}

// A table whose columns are as wide as what is in them.
struct Table {
    std::deque<std::string> words;
    std::vector<Column> columns;
    std::vector<std::vector<CellValue>> rows;

    void add_column(PyObject* column) {
        PyObject *key, *header;
        int right = 0;
        if (!PyArg_ParseTuple(column, "OOp", &key, &header, &right)) throw Raised();
        const std::string& name = words.emplace_back(to_bytes(key));
        const std::string& title = words.emplace_back(to_bytes(header));
        columns.push_back({name, title, static_cast<int>(title.size()), right ? Align::right : Align::left, "  "});
    }
    void add_row(PyObject* row) {
        if (!PyList_Check(row) || static_cast<size_t>(PyList_GET_SIZE(row)) != columns.size())
            throw std::logic_error(fmt::format("a row of the table needs {} cells", columns.size()));
        std::vector<CellValue> cells;
        for (size_t i = 0; i < columns.size(); ++i) {
            cells.push_back(to_cell(PyList_GET_ITEM(row, static_cast<Py_ssize_t>(i))));
            columns[i].width =
                std::max(columns[i].width, static_cast<int>(std::min<size_t>(cell_text(cells.back()).size(), 200)));
        }
        rows.push_back(std::move(cells));
    }
};

// table(kind, [(key, header, right), ...], [[cell, ...], ...])
PyObject* table(PyObject*, PyObject* arguments) {
    return guarded([&] {
        const char* kind;
        PyObject *columns, *rows;
        if (!PyArg_ParseTuple(arguments, "sO!O!", &kind, &PyList_Type, &columns, &PyList_Type, &rows)) throw Raised();
        Table made;
        for (Py_ssize_t i = 0; i < PyList_GET_SIZE(columns); ++i) made.add_column(PyList_GET_ITEM(columns, i));
        for (Py_ssize_t i = 0; i < PyList_GET_SIZE(rows); ++i) made.add_row(PyList_GET_ITEM(rows, i));
        if (!made.columns.empty()) made.columns[0].before = " ";
        Report& report = session().report();
        report.table(kind, made.columns);
        for (std::vector<CellValue>& row : made.rows) report.row(std::move(row));
        return none();
    });
}

// text(bytes)
PyObject* text(PyObject*, PyObject* bytes) {
    return guarded([&] {
        session().report().text(to_bytes(bytes));
        return none();
    });
}

// note(severity, bytes): 0 note, 1 warning, 2 error
PyObject* note(PyObject*, PyObject* arguments) {
    return guarded([&] {
        int severity = 0;
        PyObject* message;
        if (!PyArg_ParseTuple(arguments, "iO", &severity, &message)) throw Raised();
        session().report().note(severity == 0   ? Severity::note
                                : severity == 1 ? Severity::warning
                                                : Severity::error,
                                to_bytes(message));
        return none();
    });
}

} // namespace

PyMethodDef* report_functions() {
    static PyMethodDef functions[] = {
        {"record", record, METH_VARARGS, nullptr}, {"end", end, METH_NOARGS, nullptr},    {"table", table, METH_VARARGS, nullptr},
        {"text", text, METH_O, nullptr},           {"note", note, METH_VARARGS, nullptr}, {nullptr, nullptr, 0, nullptr},
    };
    return functions;
}

} // namespace kcrash::python
