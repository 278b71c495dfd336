// SPDX-License-Identifier: GPL-3.0-or-later
// The dead kernel as Python asks for it: memory, symbols, modules, tasks, stacks.
#include "commands/python/objects.hpp"
#include "commands/task_space.hpp"
#include "kernel/stack/stack.hpp"
#include <fmt/format.h>

namespace kcrash::python {
namespace {

constexpr Py_ssize_t most_bytes = Py_ssize_t{1} << 30;

// Bytes of that size, filled by read(span).
template <typename F> Ref bytes_of(Py_ssize_t size, F&& read) {
    if (size < 0 || size > most_bytes) throw std::logic_error("the size must be from 0 to 1 GB");
    Ref bytes(PyBytes_FromStringAndSize(nullptr, size));
    read(std::span(reinterpret_cast<std::byte*>(PyBytes_AS_STRING(bytes.get())), static_cast<size_t>(size)));
    return bytes;
}

// read(address, size)
PyObject* read(PyObject*, PyObject* arguments) {
    return guarded([&] {
        PyObject* at;
        Py_ssize_t size;
        if (!PyArg_ParseTuple(arguments, "On", &at, &size)) throw Raised();
        const VirtualAddress address{to_address(at)};
        return bytes_of(size, [&](std::span<std::byte> into) { session().target().kernel().read(address, into); });
    });
}

// read_physical(address, size)
PyObject* read_physical(PyObject*, PyObject* arguments) {
    return guarded([&] {
        PyObject* at;
        Py_ssize_t size;
        if (!PyArg_ParseTuple(arguments, "On", &at, &size)) throw Raised();
        const PhysicalAddress address{to_address(at)};
        return bytes_of(size, [&](std::span<std::byte> into) { session().target().physical().read(address, into); });
    });
}

const Task& task_at(PyObject* address) {
    const uint64_t wanted = to_address(address);
    const Task* task = session().tasks().by_address(wanted);
    if (!task) throw LookupError(fmt::format("no task has its task_struct at 0x{:x}", wanted));
    return *task;
}

// read_user(task, address, size)
PyObject* read_user(PyObject*, PyObject* arguments) {
    return guarded([&] {
        PyObject *task, *at;
        Py_ssize_t size;
        if (!PyArg_ParseTuple(arguments, "OOn", &task, &at, &size)) throw Raised();
        const auto space = task_space(session(), task_at(task));
        const VirtualAddress address{to_address(at)};
        return bytes_of(size, [&](std::span<std::byte> into) { space->read(address, into); });
    });
}

// (name, address, size, type, module or None, offset)
Ref symbol_tuple(const SymbolMatch& match) {
    const Symbol& symbol = match.symbol;
    return tuple(from_text(symbol.name), from_number(symbol.address), from_number(symbol.size), from_text({&symbol.type, 1}),
                 match.module ? from_text(match.module->name) : none(), from_number(match.offset));
}

PyObject* symbol_named(PyObject*, PyObject* name) {
    return guarded([&] {
        const auto found = session().target().symbols().find(to_bytes(name));
        return found ? symbol_tuple(*found) : none();
    });
}

PyObject* symbol_at(PyObject*, PyObject* address) {
    return guarded([&] {
        const auto found = session().target().symbols().containing(to_address(address));
        return found ? symbol_tuple(*found) : none();
    });
}

PyObject* describe_address(PyObject*, PyObject* address) {
    return guarded([&] { return from_text(session().target().symbols().describe(to_address(address))); });
}

// [(name, address of struct module, base, size, object file or None), ...]
PyObject* modules(PyObject*, PyObject*) {
    return guarded([] {
        Ref list(PyList_New(0));
        for (const LoadedModule& module : session().target().symbols().modules())
            append(list, tuple(from_text(module.name), from_number(module.address), from_number(module.base),
                               from_number(module.size), module.object_file.empty() ? none() : from_text(module.object_file)));
        return list;
    });
}

// (architecture, release, page size, bytes of a word, big endian?, KASLR offset, vmlinux or None, [dump file, ...])
PyObject* facts(PyObject*, PyObject*) {
    return guarded([] {
        const Target& target = session().target();
        Ref files(PyList_New(0));
        for (const std::string& file : target.options().dump_files) append(files, from_text(file));
        return tuple(from_text(target.arch().name), from_text(target.dump().info().release),
                     from_number(target.facts().page_size()), from_number(target.arch().word_size),
                     Ref(PyBool_FromLong(target.arch().order == ByteOrder::big)), from_number(target.kernel_offset()),
                     target.vmlinux_path().empty() ? none() : from_text(target.vmlinux_path()), std::move(files));
    });
}

// The order of kcrash.py's Task.
Ref task_tuple(const Task& task) {
    return tuple(from_number(task.address), from_optional(task.pid), from_optional(task.tgid), from_optional(task.ppid),
                 task.comm ? from_text(*task.comm) : none(), from_optional(task.cpu), from_optional(task.state),
                 from_text(state_name(task)), from_optional(task.flags), from_optional(task.mm), from_optional(task.stack),
                 Ref(PyBool_FromLong(task.active)), Ref(PyBool_FromLong(task.is_idle)),
                 Ref(PyBool_FromLong(task.kernel_thread())));
}

PyObject* tasks(PyObject*, PyObject*) {
    return guarded([] {
        Session& own = session();
        Native native(own);
        const std::vector<Task>& all = own.tasks().all();
        native.finish();
        Ref list(PyList_New(0));
        for (const Task& task : all) append(list, task_tuple(task));
        return list;
    });
}

PyObject* task(PyObject*, PyObject* address) {
    return guarded([&] { return task_tuple(task_at(address)); });
}

PyObject* current(PyObject*, PyObject*) {
    return guarded([] {
        Session& own = session();
        Native native(own);
        const Task& selected = own.current();
        native.finish();
        return task_tuple(selected);
    });
}

PyObject* set_current(PyObject*, PyObject* address) {
    return guarded([&] {
        Session& own = session();
        const Task& wanted = task_at(address);
        Native native(own);
        own.set_current(wanted);
        native.finish();
        return none();
    });
}

// ([(level, pc, sp, name, stack, rules, interrupted?), ...], why it ended)
PyObject* stack(PyObject*, PyObject* address) {
    return guarded([&] {
        Session& own = session();
        const Task& wanted = task_at(address);
        Native native(own);
        const Stack found = unwind(own.target(), own.tasks(), wanted);
        native.finish();
        Ref frames(PyList_New(0));
        for (const Frame& frame : found.frames)
            if (!frame.hidden)
                append(frames, tuple(from_number(frame.level), from_number(frame.pc), from_number(frame.sp),
                                     from_text(own.target().symbols().describe(frame.pc)), from_text(frame.stack_name),
                                     from_text(frame.source), Ref(PyBool_FromLong(frame.interrupted))));
        return tuple(std::move(frames), from_text(found.message));
    });
}

} // namespace

PyMethodDef* target_functions() {
    static PyMethodDef functions[] = {
        {"read", read, METH_VARARGS, nullptr},
        {"read_physical", read_physical, METH_VARARGS, nullptr},
        {"read_user", read_user, METH_VARARGS, nullptr},
        {"symbol_named", symbol_named, METH_O, nullptr},
        {"symbol_at", symbol_at, METH_O, nullptr},
        {"describe", describe_address, METH_O, nullptr},
        {"modules", modules, METH_NOARGS, nullptr},
        {"facts", facts, METH_NOARGS, nullptr},
        {"tasks", tasks, METH_NOARGS, nullptr},
        {"task", task, METH_O, nullptr},
        {"current", current, METH_NOARGS, nullptr},
        {"set_current", set_current, METH_O, nullptr},
        {"stack", stack, METH_O, nullptr},
        {nullptr, nullptr, 0, nullptr},
    };
    return functions;
}

} // namespace kcrash::python
