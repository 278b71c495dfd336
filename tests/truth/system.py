#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Do sys and log agree with what the guest said of itself, and with its console?

Exact: names, version, number of cpus, the moment of boot (to the second); every message of /dev/kmsg with its number, level, facility,
time, text and device; every line of the console from its first to its last. The uptime may be up to 10 s later than the
recorded one, since the machine went on to die; the load averages are those of the record or of the next two 5 s steps.
"""
import re

from guest import Guest


def fields(document):
    values = {}
    for item in document["items"]:
        values.update({key: value for key, value in item.items() if key != "kind"})
    return values


def check_system(guest, sys, taint):
    version = guest.text("version")
    guest.check("release and version", version.strip(), f"Linux version {sys['release']} {version.split(' ', 3)[3].split(' #')[0]} {sys['version']}")
    guest.check("cpus", len(re.findall(r"^processor", guest.text("cpuinfo"), re.M)), sys["cpus"])
    uptime = float(guest.text("uptime").split()[0])
    ours = sys["nanoseconds"] / 1e9
    guest.check("uptime", True, uptime - 0.1 <= ours <= uptime + 10)
    boot = int(re.search(r"^btime (\d+)", guest.text("stat"), re.M)[1])
    guest.check("the second of boot", True, abs(sys["seconds"] - ours - boot) < 1.5)
    recorded = [float(x) for x in guest.text("loadavg").split()[:3]]
    loads = [float(x) for x in sys["load_average"].split(",")]
    # EXP_1, EXP_5, EXP_15 of include/linux/sched/loadavg.h, in 2048ths: up to two steps with so many tasks that run. Each number was rounded.
    def step(loads, n):
        return [load * e + n * (1 - e) for load, e in zip(loads, (1884 / 2048, 2014 / 2048, 2037 / 2048))]

    steps = [recorded, *(step(recorded, n) for n in range(100)), *(step(step(recorded, n), m) for n in range(100) for m in range(100))]
    guest.check("load averages", True, any(all(abs(a - b) <= 0.0151 for a, b in zip(one, loads)) for one in steps))
    if (text := guest.text("proc/sys/kernel/tainted")) is not None:
        guest.check("taint mask", int(text), taint["items"][0]["mask"])


def unescape(text):
    """The bytes of a line of /dev/kmsg, which writes what cannot be printed as \\xNN."""
    return re.sub(r"\\x([0-9a-f]{2})", lambda found: chr(int(found[1], 16)), text)


def check_kmsg(guest, messages):
    """messages: ours, by sequence number."""
    text = guest.text("kmsg")
    if text is None:
        guest.skipped += 1
        return
    recorded = []
    for line in text.split("\n"):
        if line.startswith(" ") and recorded:
            recorded[-1][1].append(line[1:])
        elif ";" in line:
            recorded.append((line, []))
    for line, dictionary in recorded:
        head, message = line.split(";", 1)
        priority, sequence, microseconds = (int(x) for x in head.split(",")[:3])
        ours = messages.get(sequence)
        theirs = (priority, microseconds, unescape(message), "\n".join(dictionary))
        guest.check(f"message {sequence}", theirs, ours and (ours["facility"] * 8 + ours["level"], ours["nanoseconds"] // 1000,
                                                           ours["text"], ours["dictionary"] or ""))


def check_console(guest, messages):
    """The console has what the log has, line by line; also what came after the record: the death itself."""
    file = guest.truth.parent / "console.txt"
    if not file.exists():
        guest.skipped += 1
        return
    ours = set()
    for message in messages.values():
        stamp = f"[{message['nanoseconds'] // 10**9:5}.{message['nanoseconds'] // 1000 % 10**6:06}] "
        ours.update(stamp + line for line in message["text"].split("\n"))
    for line in file.read_bytes().decode("utf-8", "surrogateescape").replace("\r", "").split("\n"):
        if re.match(r"\[ *\d+\.\d{6}\] ", line):
            guest.check("a line of the console", line, line if line in ours else "no such line in log")


def main():
    guest = Guest()
    sys, taint, log = guest.ask(["sys", "sys -t", "log"])
    check_system(guest, fields(sys), taint)
    messages = {item["sequence"]: item for item in log["items"] if item["kind"] == "message"}
    check_kmsg(guest, messages)
    check_console(guest, messages)
    guest.end()


main()
