#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Do ps, ps -Y, ps -t, ps -r and ps -a agree with the guest's /proc, thread by thread?

Exact: the set of tasks, command name, parent, policy and priority, start time, and of those that slept also state and CPU;
of each process its total memory, and its resident memory against the guest's own walk of the page tables (smaps_rollup: VmRSS
leaves out what threads have counted but not handed in).

What moves between the record and the death is left out by name: kworkers come and go and change their names, a kernel thread may
run where it slept; the recorder works on. Times of user and system are left out: /proc scales the kernel's counters, which
ps -t shows as they are.
"""
import re

from guest import Guest

# Kernel threads that are there for a while: workers, and the one that clears inode tables after a mount.
END_BY_THEMSELVES = (b"kworker", b"ext4lazyinit")

STATES = {"R": "RU", "S": "IN", "D": "UN", "T": "ST", "t": "TR", "Z": "ZO", "I": "ID", "X": "DE", "P": "PA"}
POLICIES = ["NORMAL", "FIFO", "RR", "BATCH", "ISO", "IDLE", "DEADLINE"]


class Thread:
    """What /proc/PID/task/TID says."""

    def __init__(self, folder):
        stat = (folder / "stat").read_bytes().decode(errors="surrogateescape")
        fields = stat[stat.rindex(")") + 2:].split()
        self.tid = int(folder.name)
        self.comm = (folder / "comm").read_bytes()[:-1]
        self.state, self.cpu = STATES[fields[0]], int(fields[36])
        status = (folder / "status").read_text(errors="surrogateescape")
        self.ppid = int(re.search(r"^PPid:\s+(\d+)", status, re.M)[1])
        self.start = int(fields[19])
        self.priority, self.policy = int(fields[15]), POLICIES[int(fields[38])]
        self.kernel = "VmSize:" not in status and self.state != "ZO"
        woken = self.comm.startswith((b"kworker", b"migration/"))  # the scheduler wakes the second when it moves a task
        self.moving = self.state == "RU" or (self.kernel and self.state == "ID") or woken
        self.vsz = re.search(r"^VmSize:\s+(\d+)", status, re.M)


def visible(comm):
    """The bytes of a name as kcrash's JSON gives them."""
    return comm.decode(errors="surrogateescape")


def threads(guest):
    for _, folder in guest.processes():
        for thread in (folder / "task").iterdir():
            if (thread / "stat").exists() and (thread / "status").exists():
                yield Thread(thread), folder


def resident(folder):
    rollup = folder / "smaps_rollup"
    found = re.search(r"^Rss:\s+(\d+)", rollup.read_text(), re.M) if rollup.exists() else None
    return int(found[1]) if found else None


def check_task(guest, thread, folder, row):
    name = f"task {thread.tid} {thread.comm!r}"
    if not thread.comm.startswith(b"kworker"):
        guest.check(f"{name}: name", visible(thread.comm[:15]), row["command"])  # TASK_COMM_LEN; /proc has kthreads' full names
    guest.check(f"{name}: parent", thread.ppid, row["ppid"])
    if not thread.moving:
        guest.check(f"{name}: state", thread.state, row["state"])
        if not thread.kernel:  # a kernel thread may have woken in between, elsewhere, and sleep again
            guest.check(f"{name}: cpu", thread.cpu, row["cpu"])
    if thread.vsz:
        guest.check(f"{name}: total memory, kB", int(thread.vsz[1]), row["vsz"])
        if resident(folder) is not None:
            guest.check(f"{name}: resident memory, kB", resident(folder), row["rss"])


def check_policies(guest, recorded, rows):
    for thread, _ in recorded:
        if thread.tid in rows:
            row = rows[thread.tid]
            guest.check(f"task {thread.tid}: policy and priority", (thread.policy, thread.priority),
                        (row["policy"], int(row["priority"]) - 100))


def check_times(guest, recorded, rows, births):
    """/proc shows start_boottime; ps -t shows start_time, a clock that was read just before it and stands still while the machine sleeps."""
    tick = 10_000_000  # ns; USER_HZ is 100
    for thread, _ in recorded:
        if thread.tid in rows:
            guest.check(f"task {thread.tid}: start, in ticks", thread.start, births.get(thread.tid, rows[thread.tid]["start_time"]) // tick)
            guest.check(f"task {thread.tid}: no clock is ahead of the other's", True, rows[thread.tid]["start_time"] <= births.get(thread.tid, 1 << 64))


def check_limits(guest, documents, pids, folders):
    for pid, document in zip(pids, documents):
        text = (folders[pid] / "limits").read_text()
        theirs = re.search(r"^Max open files +(\S+) +(\S+)", text, re.M)
        items = document["items"][0]["items"] if document["items"] else []
        ours = [(str(i["current"]), str(i["maximum"])) for i in items if i["name"] == "NOFILE"]
        guest.check(f"pid {pid}: limit of open files", [(theirs[1], theirs[2])], ours)


def check_arguments(guest, documents, pids, folders):
    for pid, document in zip(pids, documents):
        theirs = (folders[pid] / "cmdline").read_bytes().rstrip(b"\0").replace(b"\0", b" ").decode(errors="surrogateescape")
        items = document["items"][0]["items"] if document["items"] else []
        ours = [i for i in items if i["kind"] == "arguments"]
        if not theirs or not ours or "why" in ours[0]:
            guest.skipped += 1  # no arguments, or their page was excluded from the dump
            continue
        text = ours[0]["arguments"]
        guest.check(f"pid {pid}: arguments", theirs.strip(), text.strip())


def main():
    guest = Guest()
    recorded = list(threads(guest))
    folders = dict(guest.processes())
    users = [pid for pid, folder in folders.items() if resident(folder) is not None]
    questions = ["ps", "ps -Y", "ps -t", "foreach task -R start_boottime"] + [f"ps -r {pid}" for pid in users] + [f"ps -a {pid}" for pid in users]
    ps, policies, times, born, *rest = guest.ask(questions)
    rows = {row["pid"]: row for row in ps["items"] if row.get("pid")}
    for thread, folder in recorded:
        if thread.tid in rows:
            check_task(guest, thread, folder, rows[thread.tid])
        elif not thread.comm.startswith(END_BY_THEMSELVES):
            guest.check(f"task {thread.tid} {thread.comm!r}", "is there", "is not in ps")
    known = {thread.tid for thread, _ in recorded}
    for pid, row in rows.items():
        if pid not in known and not row["command"].startswith("kworker") and row["command"] != "record":
            guest.check(f"task {pid} {row['command']!r}", "not there", "is in ps")
    check_policies(guest, recorded, {row["pid"]: row for row in policies["items"] if "pid" in row})
    births = {row["pid"]: row["items"][0]["value"] for row in born["items"] if row.get("items")}  # kernels before 5.5 call it otherwise
    check_times(guest, recorded, {row["pid"]: row for row in times["items"]}, births)
    check_limits(guest, rest[:len(users)], users, folders)
    check_arguments(guest, rest[len(users):], users, folders)
    guest.end()


main()
