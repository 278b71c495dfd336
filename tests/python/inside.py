# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs inside of kcrash (kcrash -i inside.py): each part of the module against what kcrash and the guest say. Prints a line for each."""
import json
import struct

import gdb
import kcrash


def check(good, what, details=""):
    print(f"{'passed' if good else 'FAILED'} {what}" + (f": {details!r}"[:600] if not good else ""))


def fails(kind, message, what, work):
    """work() raises that, with this in its text."""
    try:
        result = work()
    except kind as error:
        check(message in str(error), f"{what}: the message", str(error))
        return error
    except BaseException as error:
        check(False, f"{what}: raises {kind.__name__}", f"{type(error).__name__}: {error}")
    else:
        check(False, f"{what}: raises {kind.__name__}", result)


def commands():
    rows = kcrash.command("ps")
    again = kcrash.command("ps --json")
    check(rows == again and len(rows) > 50, "--json at the end changes nothing", len(rows))
    check(all(isinstance(row["task"], str) and row["task"].startswith("0x") for row in rows), "addresses are strings")
    text = kcrash.text("ps")
    check(len([line for line in text.splitlines() if line.strip()]) == len(rows) + 1, "kcrash.text() is what the prompt shows", text[:200])
    check(kcrash.text("eval 2 + 3").split()[1] == "5", "kcrash.text() of another command", kcrash.text("eval 2 + 3"))
    check(kcrash.command("lsmod") == kcrash.command("mod"), "aliases are known")
    error = fails(kcrash.Error, 'unknown command "pss", did you mean "ps"?', "a command that is none", lambda: kcrash.command("pss"))
    check(isinstance(error, gdb.GdbError) and error.records == [], "kcrash.Error is a gdb.GdbError, with the records so far")
    for line in ("ps | wc", "ps > /dev/null", "!ls", "< /dev/null"):
        fails(kcrash.Error, "pipes and redirections are for the prompt", line, lambda: kcrash.command(line))
    fails(ValueError, "a command is one line", "two lines", lambda: kcrash.command("ps\nps"))
    fails(ValueError, "a command is one line", "nothing", lambda: kcrash.text(" "))


def tasks():
    rows = kcrash.command("ps")
    all_tasks = kcrash.tasks()
    check([(row["task"], row["pid"], row["command"]) for row in rows] == [(hex(t.address), t.pid, t.comm) for t in all_tasks], "kcrash.tasks() and ps")
    check([row.get("state") for row in rows] == [t.state_name for t in all_tasks], "their states", rows[0])
    check(all(int(t.value["pid"]) == t.pid and int(t.value["tgid"]) == t.tgid and int(t.value["flags"]) == t.flags for t in all_tasks),
          "task.value is the task_struct")
    check(all((t.mm or 0) == int(t.value["mm"]) for t in all_tasks), "task.mm")
    init = kcrash.task(1)
    check(init.pid == 1 and init == kcrash.task(init.address) and init == kcrash.task(hex(init.address)), "kcrash.task() by pid and by address", init)
    fails(kcrash.Error, "no task has pid 123456", "a pid that is none", lambda: kcrash.task(123456))
    fails(kcrash.Error, "no task has its task_struct at 0x", "an address that is none", lambda: kcrash.task(0xffff000000000000))
    stack = init.stack()
    frames = [row for group in kcrash.command("bt 1") for row in group.get("items", [group]) if row["kind"] == "frame"]
    check(len(stack) > 3 and [(hex(f.pc), hex(f.sp)) for f in stack] == [(row["ip"], row["sp"]) for row in frames], "task.stack() has the frames of bt",
          (stack, frames[:2]))
    check(stack[0].name.startswith(frames[0]["function"]), "and their functions", (stack[0].name, frames[0]))


def current():
    before = kcrash.current
    other = kcrash.task(1)
    check(f" {before.pid}\n" in kcrash.text("set").split("COMMAND")[0], "kcrash.current is the session's", kcrash.text("set"))
    kcrash.current = other
    check(kcrash.current == other, "kcrash.current can be set")
    check("pid 1 " in gdb.execute("thread", to_string=True), "GDB's thread is the same", gdb.execute("thread", to_string=True))
    check("PID: 1 " in kcrash.text("bt"), "bt is about it", kcrash.text("bt")[:100])
    kcrash.text(f"set {before.pid}")
    check(kcrash.current == before and f"pid {before.pid} " in gdb.execute("thread", to_string=True), "set, run from Python, is GDB's thread too")
    gdb.execute("info threads", to_string=True)
    number = next(thread.num for thread in gdb.selected_inferior().threads() if thread.ptid[2] == other.address)
    text = gdb.execute(f"thread {number}", to_string=True)
    check(f"Switching to thread {number} " in text, "what a command of GDB says goes into the string, and nowhere else", text)
    check(kcrash.command("set")[0] == kcrash.command("set 1")[0], "which set shows")
    check(kcrash.current == other, "a thread that GDB selects is the current task", kcrash.current)
    kcrash.current = before.pid if before.pid else before


def memory():
    target = kcrash.target
    banner = target.read("linux_banner", 14)
    check(banner == b"Linux version ", "target.read() by symbol", banner)
    address = kcrash.symbol("linux_banner").address
    check(target.read(address, 14) == banner and target.read(hex(address), 14) == banner, "by number and by the string of a record")
    check(target.read(gdb.parse_and_eval("&linux_banner"), 14) == banner, "by gdb.Value")
    record = kcrash.command("rd linux_banner")[0]
    check(f"{struct.unpack('<Q', target.read(address, 8))[0]:016x}" in json.dumps(record), "as rd reads it", record)
    physical = next(int(row["physical"], 16) for row in kcrash.command("vtop linux_banner") if "physical" in row)
    check(physical and target.read_physical(physical, 14) == banner, "target.read_physical()", physical)
    init = kcrash.task(1)
    start = int(init.value["mm"]["start_code"])
    error = fails(kcrash.MemoryError, f"{start:#x}", "target.read_user(): pages of programs are not in this dump", lambda: target.read_user(init, start, 4))
    check(error.reason == "page excluded from the dump by makedumpfile" and error.address == start, "why", (error.reason, hex(error.address)))
    fails(kcrash.Error, "", "user space of a kernel thread", lambda: target.read_user(kcrash.task(2), start, 4))
    error = fails(kcrash.MemoryError, "0x10", "memory that is not mapped", lambda: target.read(0x10, 8))
    check(error.address == 0x10 and error.reason, "its address and reason", (error.address, error.reason))
    fails(ValueError, "from 0 to 1 GB", "too much", lambda: target.read(address, 1 << 40))
    check(target.architecture == "x86_64" and target.release == kcrash.text("sys").split("RELEASE: ")[1].split()[0], "architecture, release")
    check(target.page_size == 4096 and target.word_size == 8 and not target.big_endian and target.dump_files, "page size, word size, byte order")
    rows = kcrash.command("mod")
    check(sorted((m.name, hex(m.base), m.size) for m in target.modules) == sorted((r["name"], r["base"], r["size"]) for r in rows), "modules")


def symbols():
    schedule = kcrash.symbol("schedule")
    check(int(kcrash.command("sym schedule")[0]["address"], 16) == schedule.address, "kcrash.symbol() and sym")
    check(schedule.address == int(gdb.parse_and_eval("(unsigned long)&schedule")), "kcrash.symbol() and GDB")
    inside = kcrash.symbol(schedule.address + 5)
    check(inside.name == "schedule" and inside.offset == 5 and str(inside) == "schedule+5", "by an address in it", inside)
    check(kcrash.describe(schedule.address + 68) == "schedule+68", "kcrash.describe()")
    check(kcrash.symbol("no_such_symbol") is None and kcrash.symbol(0x10) is None, "none is None")
    module = kcrash.target.modules[0]
    check(kcrash.symbol(module.base + 64).module == module.name, "a module's", kcrash.symbol(module.base + 64))
    fails(kcrash.Error, "symbol not found: no_such_symbol", "reading at none", lambda: kcrash.target.read("no_such_symbol", 1))


def nesting():
    seen = gdb.execute("python print(kcrash.command('gdb print 6 * 7')[0]['text'])", to_string=True)
    check("42" in seen, "GDB in Python in GDB", seen)
    print("half a line, ", end="")
    inner = kcrash.text("gdb python print(len(kcrash.tasks()))")
    check(inner.strip() == str(len(kcrash.tasks())), "kcrash in Python in GDB in kcrash", inner)
    fails(kcrash.Error, "Error while executing Python code", "an error deep inside", lambda: kcrash.text("gdb python kcrash.command('pss')"))
    fails(kcrash.Error, "Cannot access memory at address 0x10", "an error of GDB's", lambda: kcrash.text("gdb x/x 0x10"))
    check("42" in kcrash.text("gdb print 42"), "and it goes on")


for part in (commands, tasks, current, memory, symbols, nesting):
    try:
        part()
    except BaseException as error:
        check(False, f"{part.__name__}() ends", f"{type(error).__name__}: {error} line {error.__traceback__.tb_next.tb_lineno}")
print("the end of inside.py")
