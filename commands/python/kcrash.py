# SPDX-License-Identifier: GPL-3.0-or-later
"""kcrash from Python: the dead kernel, the commands of kcrash, and commands of one's own.

    import kcrash
    for row in kcrash.command("ps -k"):         # what a command says, as dicts
        print(row["pid"], row["command"])
    print(kcrash.text("bt"))                     # the same as text
    for task in kcrash.tasks():                  # all tasks
        print(task.pid, task.comm, task.stack()[0].name)
    kcrash.current = kcrash.task(1)              # the current task, for GDB as well
    kcrash.target.read("linux_banner", 16)       # bytes of the kernel; kcrash.MemoryError says what is missing and why
    kcrash.symbol("schedule").address            # and kcrash.symbol(0xffffffff81a00044) is the one that it lies in

GDB's own module is there too: gdb.parse_and_eval("init_task.comm"), task.value["mm"], gdb.execute("info line schedule").

Where an address is wanted, it may be a number, a gdb.Value, the string "0xffff..." of a record, or the name of a symbol.
What the dump does not tell is None in an object and {"missing": "why"} in a record.

A command is a class; "extend FILE.py" loads a file of them:

    class Zombies(kcrash.Command):
        '''Lists the tasks that nobody has waited for.'''       # its page in help; the first line is the summary
        name = "zombies"
        options = {"c": "count them only"}                      # "p PID": an option with an argument

        def run(self, args, report):
            found = [task for task in kcrash.tasks() if task.state_name == "ZO"]
            if "c" in args.options:
                return report.record("count", "{count} zombies", count=len(found))
            for task in found:
                report.record("zombie", "{task}  {pid:>7}  {comm}", task=kcrash.Address(task.address), pid=task.pid, comm=task.comm)
"""
import os
import re
import sys
import traceback
import types

import _kcrash
import gdb

# What help(kcrash) shows, and "import *" takes. The kinds of numbers are told of in Report: their own pages are those of int.
__all__ = ["Command", "Error", "Frame", "MemoryError", "Missing", "Module", "Report", "Symbol", "Target", "Task", "command", "describe",
           "symbol", "target", "task", "tasks", "text"]


class Error(gdb.GdbError):
    """A command failed, or kcrash could not do what was asked. As gdb.GdbError it ends a command with its message alone.

    records: what the command had said before it failed."""
    records = ()


class MemoryError(Error):
    """Memory that cannot be read: address is its first such byte, reason is why ("page excluded from the dump by makedumpfile")."""

    def __init__(self, message, address=None, reason=""):
        super().__init__(message)
        self.address, self.reason = address, reason


# ---- values: how a cell of a report is meant

class Address(int):
    """An address: text in bare hex, JSON "0xffff..."."""


class Hex(int):
    """A number that people read in hex, such as flags."""


class Bytes(int):
    """A size in bytes."""


class Nanoseconds(int):
    """A time span."""


class Missing:
    """A value that cannot be read; reason is best one word. It is counted at the end of the command."""

    def __init__(self, reason="unreadable"):
        self.reason = reason


def _bytes(text):
    return text if isinstance(text, bytes) else str(text).encode("utf-8", "surrogateescape")


def _value_cell(value):
    code = value.type.strip_typedefs().code
    if code == gdb.TYPE_CODE_PTR:
        return "a", int(value)
    if code == gdb.TYPE_CODE_BOOL:
        return "b", bool(value)
    if code in (gdb.TYPE_CODE_INT, gdb.TYPE_CODE_CHAR):
        return "i", int(value)
    if code == gdb.TYPE_CODE_FLT:
        return "f", float(value)
    return "s", _bytes(value)


_letters = ((bool, "b"), (Address, "a"), (Hex, "h"), (Bytes, "y"), (Nanoseconds, "t"), (int, "i"), (float, "f"))


def _cell(value):
    """(letter, value) as _kcrash takes it."""
    if value is None:
        return "n", None
    if isinstance(value, Missing):
        return "m", _bytes(value.reason)
    if isinstance(value, MemoryError):
        return "m", _bytes(value.reason)
    if isinstance(value, Symbol):
        return "@", (value.address + value.offset, _bytes(value))
    if isinstance(value, gdb.Value):
        try:
            return _value_cell(value)
        except gdb.MemoryError:
            return "m", b"unreadable"
    for kind, letter in _letters:
        if isinstance(value, kind):
            return letter, value
    return "s", _bytes(value)


def _address(what):
    if isinstance(what, str):
        if re.fullmatch("0x[0-9a-fA-F]{1,16}", what):
            return int(what, 16)
        found = symbol(what)
        if found is None:
            raise Error(f"symbol not found: {what}")
        return found.address
    if isinstance(what, (Symbol, Task, Module)):
        return what.address
    return int(what) & 0xffffffffffffffff


# ---- commands of kcrash

def _run(line, as_json):
    if not isinstance(line, str) or not line.strip() or "\n" in line:
        raise ValueError("a command is one line")
    return _kcrash.run(re.sub(r"\s+--json\s*$", "", line.strip()), as_json)


def command(line):
    """Runs a command of kcrash; gives what it said: a list of dicts, one for each record or row, each with its "kind".

    Addresses are strings ("0xffff..."), numbers beyond 2**53 too; a value that cannot be read is {"missing": "excluded"}. A group has
    the records in it under "items". Raises Error when the command failed. The fields are those of "set output json"."""
    import json
    ok, outputs, _ = _run(line, True)
    documents = [json.loads(output) for output in outputs]
    records = [item for document in documents for item in document["items"]]
    if not ok:
        error = Error("; ".join(text for document in documents for text in document["errors"]) or f"{line}: the command failed")
        error.records = records
        raise error
    return records


def text(line):
    """Runs a command of kcrash; gives its text. Raises Error when the command failed."""
    ok, outputs, errors = _run(line, False)
    if not ok:
        raise Error((errors.strip() or "".join(outputs).strip()) or f"{line}: the command failed")
    return "".join(outputs)


# ---- the dead kernel

class Symbol:
    """A symbol: name, address (where it runs), size (0: not told), type (as nm prints it), module (None: the kernel's), and offset:
    how far the address that was asked for lies behind its start."""
    __slots__ = ("name", "address", "size", "type", "module", "offset")

    def __init__(self, fields):
        self.name, self.address, self.size, self.type, self.module, self.offset = fields

    def __str__(self):
        return (self.name + (f"+{self.offset}" if self.offset else "") + (f" [{self.module}]" if self.module else ""))

    def __repr__(self):
        return f"<kcrash.Symbol {self} at {self.address + self.offset:#x}>"


def symbol(name_or_address):
    """The symbol of that name, or the one that the address lies in; None: there is none."""
    if isinstance(name_or_address, str) and not name_or_address.startswith("0x"):
        found = _kcrash.symbol_named(name_or_address)
    else:
        found = _kcrash.symbol_at(_address(name_or_address))
    return Symbol(found) if found else None


def describe(address):
    """ "schedule+68", "nfs_open+4 [nfs]", or "" where no symbol is."""
    return _kcrash.describe(_address(address))


class Module:
    """A loaded module: name, address (of its struct module), base, size, object_file (None: its symbols come from the dump)."""
    __slots__ = ("name", "address", "base", "size", "object_file")

    def __init__(self, fields):
        self.name, self.address, self.base, self.size, self.object_file = fields

    def __repr__(self):
        return f"<kcrash.Module {self.name}>"


class Frame:
    """A frame of a stack: level, pc, sp, name ("schedule+68"), stack ("IRQ"; "": the task's own), rules (what led here: "ORC"),
    interrupted (an exception stopped it here)."""
    __slots__ = ("level", "pc", "sp", "name", "stack", "rules", "interrupted")

    def __init__(self, fields):
        self.level, self.pc, self.sp, self.name, self.stack, self.rules, self.interrupted = fields

    def __repr__(self):
        return f"<kcrash.Frame #{self.level} {self.name}>"


class Task:
    """A task: address (of its task_struct), pid, tgid, ppid, comm, cpu, state (the number), state_name ("RU", "IN", ...), flags, mm (0:
    none), stack_base, active (it ran), idle, kernel_thread. What the dump does not tell is None."""
    __slots__ = ("address", "pid", "tgid", "ppid", "comm", "cpu", "state", "state_name", "flags", "mm", "stack_base", "active", "idle",
                 "kernel_thread")

    def __init__(self, fields):
        for name, value in zip(Task.__slots__, fields):
            setattr(self, name, value)

    @property
    def value(self):
        """Its task_struct, as a gdb.Value."""
        return gdb.Value(self.address).cast(gdb.lookup_type("struct task_struct").pointer()).dereference()

    def stack(self):
        """Its frames, innermost first, as bt shows them; empty when they cannot be recovered."""
        return [Frame(fields) for fields in _kcrash.stack(self.address)[0]]

    def __eq__(self, other):
        return isinstance(other, Task) and other.address == self.address

    def __hash__(self):
        return hash(self.address)

    def __repr__(self):
        return f"<kcrash.Task {self.pid} {self.comm!r} at {self.address:#x}>"


def tasks():
    """All tasks: the idle ones by CPU, then by pid."""
    return [Task(fields) for fields in _kcrash.tasks()]


def task(pid_or_address):
    """The task with that pid, or whose task_struct is there. Raises Error."""
    if isinstance(pid_or_address, int) and 0 <= pid_or_address < 1 << 31:
        for one in tasks():
            if one.pid == pid_or_address:
                return one
        raise Error(f"no task has pid {pid_or_address}")
    return Task(_kcrash.task(_address(pid_or_address)))


class Target:
    """The dead kernel: architecture, release, page_size, word_size, big_endian, kaslr_offset, vmlinux (None: symbols come from the
    dump), dump_files, modules."""

    def _fact(number):
        return property(lambda self: _kcrash.facts()[number])

    architecture, release, page_size, word_size, big_endian, kaslr_offset, vmlinux, dump_files = map(_fact, range(8))
    del _fact

    @property
    def modules(self):
        return [Module(fields) for fields in _kcrash.modules()]

    def read(self, address, size):
        """That many bytes of the kernel. Raises MemoryError."""
        return _kcrash.read(_address(address), size)

    def read_user(self, task, address, size):
        """That many bytes of a task's user space. Raises MemoryError, or Error for a task without one."""
        return _kcrash.read_user(task.address, _address(address), size)

    def read_physical(self, address, size):
        """That many bytes of the machine's memory. Raises MemoryError."""
        return _kcrash.read_physical(int(address), size)


target = Target()


# ---- commands of one's own

class Arguments(list):
    """The words of a command line; options: what each option was given (True: it takes nothing); raw: the line after the command."""
    options = {}
    raw = ""


class _Group:
    def __init__(self, report):
        self.report = report

    def __enter__(self):
        return self.report

    def __exit__(self, *_):
        self.report._live()
        _kcrash.end()


class Report:
    """What a command says. Text and JSON are made of the same calls.

    A value is None (it does not apply), a bool, int, float, str or bytes, a Symbol, a gdb.Value, or one of these, which say how it is meant:
    kcrash.Address(n)      an address: bare hex in text, "0xffff..." in JSON
    kcrash.Hex(n)          a number that people read in hex, such as flags
    kcrash.Bytes(n)        a size
    kcrash.Nanoseconds(n)  a time span
    kcrash.Missing("why")  what could not be read: shown, and counted at the end of the command"""

    def __init__(self):
        self._open = True

    def _live(self):
        if not self._open:
            raise Error("the command of this report has ended")

    @staticmethod
    def _key(name):
        if not re.fullmatch("[A-Za-z][A-Za-z0-9_]*", name) or name in ("kind", "items"):
            raise ValueError(f"{name!r} cannot be the name of a field")
        return name

    def _kind(self, kind):
        self._live()
        if not re.fullmatch("[a-z][a-z0-9_-]*", kind) or kind == "value":
            raise ValueError(f"{kind!r} cannot be the kind of a record")
        return kind

    def record(self, kind, layout="", /, **fields):
        """One thing: as text by the layout ("{pid:>7} {comm}"; empty: only in JSON), in JSON an object of that kind with all fields."""
        _kcrash.record(self._kind(kind), layout, [(self._key(name), _cell(value)) for name, value in fields.items()], False)

    def group(self, kind, layout="", /, **fields):
        """A record with others in it: with report.group("cpu", "CPU {cpu}", cpu=0): ..."""
        _kcrash.record(self._kind(kind), layout, [(self._key(name), _cell(value)) for name, value in fields.items()], True)
        return _Group(self)

    def table(self, kind, columns, rows):
        """A table. A column is its key, or (key, header); numbers stand to the right. A row is a record of that kind in JSON."""
        cells = [[_cell(value) for value in row] for row in rows]
        heads = []
        for number, column in enumerate(columns):
            key, header = (column, column.upper()) if isinstance(column, str) else column
            right = bool(cells) and all(len(row) > number and row[number][0] in "ifyt" for row in cells)
            heads.append((self._key(key), header, right))
        _kcrash.table(self._kind(kind), heads, cells)

    def text(self, text):
        """Text without structure, as print() gives it."""
        self._live()
        _kcrash.text(_bytes(text))

    def note(self, message):
        """A remark, after the command's name."""
        self._live()
        _kcrash.note(0, _bytes(message))

    def warning(self, message):
        self._live()
        _kcrash.note(1, _bytes(message))

    def error(self, message):
        """What went wrong; the command goes on, and has failed. To end it, raise kcrash.Error."""
        self._live()
        _kcrash.note(2, _bytes(message))


class Command:
    """A command in Python: a class with a name is one from then on. See help(kcrash).

    name      its word
    summary   one line for its page; else the first line of the docstring
    synopsis  its arguments, "[-c] [pid]..."; else made of the options
    options   {"c": "what -c does", "p PID": "what -p does with its argument"}
    operands  what its words are, for completion: none, number, address, task, cpus, type, module, file, text or command

    run(args, report) does it; one object serves all runs of a session. args is the list of its words; args.options has what each option
    was given (True: it takes nothing), args.raw the line after the command. What it raises ends the command, which has then failed;
    kcrash.Error does so with its message alone."""
    name = summary = synopsis = None
    options = {}
    operands = "text"

    def __init_subclass__(cls, **more):
        super().__init_subclass__(**more)
        if "name" in cls.__dict__ and cls.name:
            _define(cls, os.path.abspath(sys._getframe(1).f_code.co_filename))

    def run(self, args, report):
        raise NotImplementedError("run(self, args, report) is missing")


_commands = {}    # name -> (file, object)
_extensions = {}  # file -> module


def _define(cls, origin):
    page = (cls.__doc__ or "").strip("\n")
    lines = [line.rstrip() for line in _dedent(page).splitlines()]
    letters = [(*((spelled.split(None, 1) + [""])[:2]), text) for spelled, text in cls.options.items()]
    synopsis = cls.synopsis
    if synopsis is None:
        words = [f"[-{letter}{' ' + argument if argument else ''}]" for letter, argument, _ in letters]
        synopsis = " ".join(words + ([] if cls.operands == "none" else [f"[{cls.operands}]..."]))
    summary = cls.summary or (lines[0].strip().rstrip(".") if lines else "a command in Python")
    _kcrash.define(cls.name, summary, synopsis, "\n".join(lines), origin, cls.operands, letters)
    _commands[cls.name] = origin, cls()


def _dedent(text):
    import inspect
    return inspect.cleandoc(text)


def _load(path):
    module = types.ModuleType("kcrash_extension_" + os.path.splitext(os.path.basename(path))[0])
    module.__file__ = path
    with open(path, "rb") as file:
        code = compile(file.read(), path, "exec")
    if os.path.dirname(path) not in sys.path:
        sys.path.append(os.path.dirname(path))  # for the modules beside it
    try:
        exec(code, module.__dict__)
    except BaseException:
        _unload(path)
        raise
    _extensions[path] = module


def _unload(path):
    _extensions.pop(path, None)
    for name in [name for name, (origin, _) in _commands.items() if origin == path]:
        del _commands[name]


def _run_command(name, operands, options, raw):
    args = Arguments(operands)
    args.options = {letters: argument or True for letters, argument in options}
    args.raw = raw
    report = Report()
    try:
        _commands[name][1].run(args, report)
    finally:
        report._open = False


def _describe_error(error):
    """The exception, and where in the script it came from."""
    lines = traceback.format_exception_only(type(error), error)
    places = [place for place in traceback.extract_tb(error.__traceback__) if place.filename != "kcrash.py"]
    lines += [f"  {place.filename}:{place.lineno}, in {place.name}\n" for place in reversed(places)]
    return "".join(lines).rstrip("\n")


def _perform():
    """What C++ waits for. Nothing that a script raises gets past this."""
    try:
        function, name, operands, options, raw = _kcrash.call()
        if function == "load":
            _load(name)
        elif function == "unload":
            _unload(name)
        else:
            _run_command(name, operands, options, raw)
    except KeyboardInterrupt:
        _kcrash.failed(b"interrupted", True)
    except SystemExit as leaving:
        if leaving.code not in (None, 0):
            _kcrash.failed(_bytes(f"the script left with sys.exit({leaving.code!r})"), False)
    except gdb.GdbError as error:
        _kcrash.failed(_bytes(str(error) or "the script gave up"), False)
    except OSError as error:
        _kcrash.failed(_bytes(f"{error.filename}: {error.strerror}" if error.filename and error.strerror else _describe_error(error)), False)
    except BaseException as error:
        _kcrash.failed(_bytes(_describe_error(error)), False)


class _ThisModule(types.ModuleType):
    """The module itself: so that kcrash.current can be asked and set."""

    @property
    def current(self):
        return Task(_kcrash.current())

    @current.setter
    def current(self, chosen):
        _kcrash.set_current((chosen if isinstance(chosen, Task) else task(chosen)).address)


sys.modules[__name__].__class__ = _ThisModule
del __file__  # it is inside of the program
