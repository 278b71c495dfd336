#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""`bt -V` beside gdb: the arguments and locals of every sleeping task, and of the task that panicked.

gdb cannot open a kdump. It gets an ELF core file made here: each task is a thread with the registers that the scheduler saved (of
the panic task: those of the note), and its memory is the tasks' stacks. What gdb then says of each number and pointer of each
frame must be what bt says: the same value, or optimized out for both. gdb may miss what is not in that core file; it must not
know what bt does not. Counted as skipped without gdb.
"""
import collections
import json
import pathlib
import shutil
import struct
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "tools"))
import kcrash as tool  # noqa: E402

STACK = 16384
# struct inactive_task_frame of arch/x86/include/asm/switch_to.h, and the order of NT_PRSTATUS (struct user_regs_struct).
SAVED = ("r15", "r14", "r13", "r12", "bx", "bp", "ip")
ORDER = ("r15", "r14", "r13", "r12", "bp", "bx", "r11", "r10", "r9", "r8", "ax", "cx", "dx", "si", "di", "orig_ax", "ip", "cs", "flags", "sp",
         "ss", "fs_base", "gs_base", "ds", "es", "fs", "gs")


# gdb 13 takes an entry value in an inlined function for that of another register: the function called next got the very
# completion that we name. On Debian's 7.3 it gives the limit of a read in place of its length, which /proc/PID/syscall tells.
GDB_ERRS = {("wait_for_common", "x"), ("new_sync_read", "len")}
# Between the caller and this function lies another one that left by a jump. gdb finds it by the calls of the caller's code.
BY_JUMP = {("schedule_hrtimeout_range_clock", "mode"), ("schedule_hrtimeout_range_clock", "clock_id"), ("schedule_timeout", "timeout")}


def number(value):
    if isinstance(value, dict):
        value = value["address"]
    return int(value, 0) if isinstance(value, str) else value


def run(options, sample, home, lines):
    result = tool.run(options.kcrash, sample.arguments() + ["-s", "--json"], home, "\n".join(lines) + "\n", 600)
    return tool.documents(result.stdout)


def linked_at(vmlinux):
    for line in subprocess.run(["nm", str(vmlinux)], capture_output=True, text=True, check=True).stdout.splitlines():
        if line.endswith(" T _text"):
            return int(line.split()[0], 16)
    sys.exit(f"{vmlinux}: no _text")


def registers_of(text):
    """Of the first note that `help -r` shows."""
    found = {}
    for line in text.split("NT_PRSTATUS")[1].splitlines():
        name, _, value = line.partition(":")
        if value.strip():
            key = name.strip().lower()
            found[{"rflags": "flags", "orig_rax": "orig_ax"}.get(key, key[1:] if key[0] == "r" and key[1].isalpha() else key)] = int(value, 16)
    return found


def threads_of(options, sample, home, folder):
    """task address -> (registers, stack address, stack bytes)"""
    tasks = [item["task"] for item in run(options, sample, home, ["foreach set"])[0]["items"] if "task" in item]
    lines = [f"struct -x task_struct.thread.sp,stack {task[2:]}" for task in tasks]
    places = {}
    for task, document in zip(tasks, run(options, sample, home, lines)):
        values = {item["name"]: item["value"] for item in document["items"][0]["items"]}
        if not any(isinstance(value, dict) and "missing" in value for value in values.values()):
            places[task] = number(values["thread.sp"]), number(values["stack"])
    run(options, sample, home, [f"rd -r {folder}/{task} {stack:x} {STACK}" for task, (_, stack) in places.items()])
    active = {item["task"] for item in run(options, sample, home, ["foreach active set"])[0]["items"] if "task" in item}
    note = registers_of(tool.run(options.kcrash, sample.arguments() + ["-s"], home, "help -r\n").stdout)
    threads = {}
    for task, (sp, stack) in places.items():
        file = pathlib.Path(folder) / task
        data = file.read_bytes() if file.exists() else b""
        if len(data) != STACK or not stack <= sp <= stack + STACK - 56:
            continue
        if stack <= note["sp"] < stack + STACK:
            threads[task] = note, stack, data
            continue
        if task in active:
            continue
        registers = dict(zip(SAVED, struct.unpack_from("<7Q", data, sp - stack)), sp=sp + 56, cs=0x10, ss=0x18)
        threads[task] = registers, stack, data
    return threads


def write_core(path, threads):
    notes = b""
    for lwp, (registers, _, _) in enumerate(threads.values(), 1):
        status = bytearray(336)
        struct.pack_into("<I", status, 32, lwp)
        struct.pack_into("<27Q", status, 112, *(registers.get(name, 0) for name in ORDER))
        notes += struct.pack("<III8s", 5, len(status), 1, b"CORE") + status
    parts = [(4, 0, notes)] + [(1, stack, data) for _, stack, data in threads.values()]
    at = 64 + 56 * len(parts)
    header = struct.pack("<16sHHIQQQIHHHHHH", b"\x7fELF\x02\x01\x01", 4, 62, 1, 0, 64, 0, 0, 64, 56, len(parts), 0, 0, 0)
    body = b""
    for kind, address, data in parts:
        header += struct.pack("<IIQQQQQQ", kind, 6, at + len(body), address, 0, len(data), len(data), 4)
        body += data
    path.write_bytes(header + body)


def of_gdb(threads, vmlinux, offset, folder):
    """[task, ip, function, name] -> list of (state, value)"""
    core, out = pathlib.Path(folder) / "core", pathlib.Path(folder) / "gdb.json"
    write_core(core, threads)
    words = ["gdb", "-nx", "-batch", "-iex", "set auto-load off", "-ex", f"add-symbol-file {vmlinux} -o {offset:#x}", "-ex", f"core-file {core}",
             "-ex", f"set args {out}", "-x", str(HERE / "gdb_frames.py")]
    said = subprocess.run(words, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=900)
    if not out.exists():
        sys.exit(f"gdb did not answer:\n{said.stdout[-1000:]}{said.stderr[-2000:]}")
    names, found = list(threads), collections.defaultdict(list)
    for line in out.read_text().splitlines():
        lwp, ip, function, name, state, value = json.loads(line)
        found[names[lwp - 1], ip, function, name].append((state, value))
    return found


def of_kcrash(options, sample, home):
    found = collections.defaultdict(list)
    for task in run(options, sample, home, ["foreach bt -V"])[0]["items"]:
        for frame in task.get("items", []):
            for item in frame.get("items", []):
                if item["kind"] != "variable":
                    continue
                value = item["items"][0]["value"] if item["state"] == "value" else item["reason"]
                found[task["task"], number(frame["ip"]), item["function"], item["name"]].append((item["state"], item["type"], value))
    return found


def masked(value):
    """The numbers that gdb may show for it: JSON has signed numbers, gdb was asked for bits."""
    try:
        plain = number(value)
    except (TypeError, ValueError, KeyError):
        return None
    return {plain & (2**bits - 1) for bits in (1, 8, 16, 32, 64)} if isinstance(plain, int) else None


def agrees(name, state, value, gdb_state, gdb_value):
    if gdb_state == "error":
        return True  # its core file has no more than stacks
    if state == "not_recovered" and value.endswith(" at entry"):
        return gdb_state == "optimized_out" or name in BY_JUMP  # gdb's word for both
    if state == "synthetic":
        return gdb_state == "value"  # there is only what it points to
    if state == "unreadable":
        return gdb_value is None
    bits = masked(value) if state == "value" else None
    return state == gdb_state and (gdb_value is None or not bits or gdb_value in bits)


def compare(count, ours, theirs, notes, seen):
    for key, gdb_says in theirs.items():
        if key[1] in notes:
            continue  # bt begins later, in machine_kexec
        told = ours.get(key, [])
        if len(told) != len(gdb_says):  # gdb also lists variables of blocks without code: all of them optimized out
            told = [row for row in told if row[0] != "optimized_out"]
            gdb_says = [row for row in gdb_says if row[0] != "optimized_out"]
        if not count.check(len(told) == len(gdb_says), f"{key}: {told}, gdb: {gdb_says}"):
            continue
        for (state, kind, value), (gdb_state, gdb_value) in zip(told, gdb_says):
            seen[f"{state}, gdb: {gdb_state}"] += 1
            if key[2:] in GDB_ERRS and state == "value":
                continue
            count.check(agrees(key[2:], state, value, gdb_state, gdb_value), f"{key}: {state} {kind} {value}, gdb: {gdb_state} {gdb_value}")


def main():
    options = tool.parser(__doc__.splitlines()[0]).parse_args()
    count = tool.Count("variables")
    sample = tool.sample_of(options)
    if not sample or not shutil.which("gdb") or not shutil.which("nm"):
        count.skip("the committed sample or gdb is not here")
        count.finish()
    with tempfile.TemporaryDirectory(prefix="kcrash-variables-") as folder:
        home, seen = tool.Home(), collections.Counter()
        vmlinux = tool.plain_vmlinux(sample.vmlinux, folder)
        offset = number(run(options, sample, home, ["eval _text"])[0]["items"][0]["value"]) - linked_at(vmlinux)
        threads = threads_of(options, sample, home, folder)
        theirs = of_gdb(threads, vmlinux, offset, folder)
        notes = {registers["ip"] for registers, _, _ in threads.values() if "flags" in registers}
        compare(count, of_kcrash(options, sample, home), theirs, notes, seen)
        print("  " + "; ".join(f"{what}: {n}" for what, n in sorted(seen.items())))
        count.check(seen["value, gdb: value"] > 1000, "more than a thousand values were compared", seen)
    count.finish()


if __name__ == "__main__":
    main()
