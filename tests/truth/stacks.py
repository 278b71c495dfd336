#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Do stacks agree with the guest's /proc/PID/task/TID/stack and with the console's own Call Trace?

Each line of theirs is a function, an offset and a size. It is compared with the return address of ours through the guest's own
kallsyms: the address must be the same, so that aliases (__do_sys_x, __x64_sys_x) do not matter and offsets do.

The kernel leaves out what belongs to the scheduler (between __sched_text_start and __sched_text_end): so do we here. Of the
console's trace the lines with "?" are guesses of the kernel; the RIP lines name where an interrupt or exception came in. Of
`panic` itself only the name is compared: it calls dump_stack() at one place and dies at another.
"""
import collections
import re

from guest import Guest

STACK_LINE = re.compile(r"\[<[0-9a-f]+>\] ([\w.]+)\+(0x[0-9a-f]+)/0x[0-9a-f]+(?: \[(\S+)\])?")
TRACE_LINE = re.compile(r"^(?:RIP: 0010:|)([\w.]+)\+(0x[0-9a-f]+)/0x[0-9a-f]+(?: \[(\w+)\])?$")
STAMP = re.compile(r"^\[ *\d+\.\d+\](?:\[ *[TC]\d+\])? ?")


class Names:
    """The guest's kallsyms: which addresses a name has."""

    def __init__(self, guest):
        self.addresses = collections.defaultdict(set)
        for line in guest.text("kallsyms").splitlines():
            address, _, name = line.split()[:3]
            self.addresses[name].add(int(address, 16))

    def places(self, line):
        name, offset = line[0], int(line[1], 16)
        return {address + offset for address in self.addresses[name]}

    def one(self, name):
        return next(iter(self.addresses[name]), 0)


def frames(document):
    items = document["items"][0]["items"] if document["items"] else []
    return [(int(item["ip"], 16), item["function"]) for item in items if item["kind"] == "frame"]


def same(names, theirs, ours):
    """Line by line: is our address one of the places that theirs names?"""
    return len(theirs) == len(ours) and all(
        ip in names.places(line) or (line[0] == "panic" and function == "panic") for line, (ip, function) in zip(theirs, ours))


def words(theirs):
    return [f"{line[0]}+{line[1]}" for line in theirs]


def check_sleepers(guest, names):
    scheduler = range(names.one("__sched_text_start"), names.one("__sched_text_end"))
    threads = {}
    for _, folder in guest.processes():
        for thread in sorted((folder / "task").iterdir()):
            stat = thread / "stat"
            if not (thread / "stack").exists() or not stat.exists():
                continue
            fields = stat.read_bytes().decode(errors="replace").rpartition(")")[2].split()
            kernel = int(fields[6]) & 0x00200000  # PF_KTHREAD
            if fields[0] not in "RZX":
                threads[int(thread.name)] = ((thread / "stack").read_text(), kernel)
    answers = guest.ask([f"bt {tid}" for tid in threads])
    for (tid, (text, kernel)), answer in zip(threads.items(), answers):
        theirs = [found.groups() for found in map(STACK_LINE.match, text.splitlines()) if found]
        ours = [frame for frame in frames(answer) if frame[0] - 1 not in scheduler]
        if same(names, theirs, ours):
            guest.passed += 1
        elif kernel and [function for _, function in ours][-1:] == ["ret_from_fork"]:
            guest.skipped += 1  # a kernel thread that woke and went to sleep elsewhere, or runs: its stack may move
            print(f"task {tid} moved: {words(theirs)} to {[function for _, function in ours]}")
        else:
            guest.check(f"task {tid}", words(theirs), [f"{function} {ip:#x}" for ip, function in ours])


def last_trace(console):
    """The functions of the console's last Call Trace, the guesses left out; from the line that says why it died."""
    lines = [STAMP.sub("", line).strip() for line in console.splitlines()]
    reasons = [i for i, line in enumerate(lines) if line.startswith(("Kernel panic - not syncing", "BUG: ", "Oops: "))]
    starts = [i for i, line in enumerate(lines) if line == "Call Trace:" and reasons and i > reasons[0]]
    if not starts:
        return []
    panics = [i for i in reasons if "Kernel panic" in lines[i]]
    start = next((i for i in starts if panics and i > panics[0]), starts[-1])
    trace = []
    for line in lines[start + 1:]:
        if line in ("</TASK>", "---[ end trace 0000000000000000 ]---") or line.startswith(("Kernel Offset", "RIP: 0033")):
            break
        found = TRACE_LINE.match(line)
        if found:
            trace.append(found.groups())
    return trace


def check_crashed(guest, names):
    console = guest.truth.parent / "console.txt"
    trace = last_trace(console.read_text(errors="replace")) if console.exists() else []
    functions = [line[0] for line in trace]
    if "panic" not in functions and "nmi_panic" not in functions:
        guest.skipped += 1
        print("the console has no trace of a panic")
        return
    first = functions.index("panic" if "panic" in functions else "nmi_panic")
    theirs = trace[first:]
    answer, = guest.ask(["bt -p"])
    ours = frames(answer)
    at = [function for _, function in ours].index(functions[first]) if functions[first] in [f for _, f in ours] else len(ours)
    ours = ours[at:]
    if same(names, theirs, ours):
        guest.passed += 1
        print(f"the crashed task: {len(theirs)} frames as on the console, from {functions[first]}")
    else:
        guest.check("the crashed task", words(theirs), [f"{function} {ip:#x}" for ip, function in ours])


def main():
    guest = Guest()
    names = Names(guest)
    check_sleepers(guest, names)
    check_crashed(guest, names)
    guest.end()


main()
