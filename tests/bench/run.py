#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Times kcrash beside crash and drgn on one dump, alternating, and prints medians and ratios.

    tests/bench/run.py VMLINUX VMCORE [--runs 10] [--kcrash FILE] [--peers FOLDER]

Peers live in a root of their own (FOLDER/root, default: $XDG_CACHE_HOME/kcrash/peers); without it kcrash is timed alone.
Every contender prints the stack of the task that panicked. Runs whose frames differ are not compared: the script says
which frames and ends with status 1. The page cache is warm for everyone: one run of each comes first and is not counted.
"""
import argparse
import os
import pathlib
import platform
import re
import statistics
import subprocess
import sys
import tempfile
import time

TOP = pathlib.Path(__file__).resolve().parents[2]
INSIDE = "KCRASH_BENCH_INSIDE"

DRGN_NAMES = """
for f in prog.crashed_thread().stack_trace():
    if f.is_inline: continue
    try: print("frame", f.symbol().name)
    except LookupError: break  # user mode
"""
DRGN_LINES = "print(prog.crashed_thread().stack_trace())\n" + DRGN_NAMES


def options():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("vmlinux", type=pathlib.Path)
    parser.add_argument("vmcore", type=pathlib.Path)
    parser.add_argument("--runs", type=int, default=10)
    parser.add_argument("--kcrash", type=pathlib.Path, default=TOP / "build/release/kcrash")
    cache = pathlib.Path(os.environ.get("XDG_CACHE_HOME", pathlib.Path.home() / ".cache"))
    parser.add_argument("--peers", type=pathlib.Path, default=cache / "kcrash/peers")
    return parser.parse_args()


def enter_namespace(root):
    """Peers see this machine's files under /host. The mounts live in a namespace of this process and go with it, so that
    a timed peer costs one chroot and nothing more."""
    if os.environ.get(INSIDE) or not (root / ".done").exists():
        return
    script = 'mount --rbind / "$0/host" && mount -t proc proc "$0/proc" && exec "$@"'
    os.environ[INSIDE] = "1"
    os.execvp("unshare", ["unshare", "-m", "bash", "-c", script, str(root), sys.executable, *sys.argv])


def contenders(args):
    vmlinux, vmcore = str(args.vmlinux.resolve()), str(args.vmcore.resolve())
    ours = [str(args.kcrash), vmlinux, vmcore, "-s"]
    table = {
        "kcrash bt, no cache": ours + ["--no-cache", "-C", "bt"],
        "kcrash bt, cache": ours + ["-C", "bt"],
        "kcrash bt -l -i, no cache": ours + ["--no-cache", "-C", "bt -l -i"],
        "kcrash bt -l -i, cache": ours + ["-C", "bt -l -i"],
    }
    root = args.peers / "root"
    if os.environ.get(INSIDE):
        script = {}
        for name, text in (("names", DRGN_NAMES), ("lines", DRGN_LINES)):
            script[name] = pathlib.Path(tempfile.gettempdir()) / f"kcrash-bench-{name}.py"
            script[name].write_text(text)
        there = ["chroot", str(root)]
        drgn = there + ["drgn", "--quiet", "--no-default-symbols", "-s", "/host" + vmlinux, "-c", "/host" + vmcore]
        table["drgn stack, names"] = drgn + ["/host" + str(script["names"])]
        table["drgn stack, lines and inlines"] = drgn + ["/host" + str(script["lines"])]
        commands = pathlib.Path(tempfile.gettempdir()) / "kcrash-bench.crash"
        commands.write_text("bt\nexit\n")
        table["crash bt"] = there + ["crash", "-s", "-i", "/host" + str(commands), "/host" + vmlinux, "/host" + vmcore]
    return table


def run(command):
    """One run: its output, wall seconds, CPU seconds, peak resident kB."""
    started = time.perf_counter()
    with tempfile.TemporaryFile() as out:
        child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.DEVNULL)
        _, status, usage = os.wait4(child.pid, 0)
        wall = time.perf_counter() - started
        child.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        text = out.read().decode(errors="replace")
    return text, wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss


# One address, several names: the kernel's console prints one of them, tools another. Of an entry point and a label inside
# of it, too.
ALIAS = re.compile(r"^(__do_sys_|__se_sys_|__x64_sys_)|_after_hwframe$")


def frames(name, text):
    if name.startswith("drgn"):
        found = re.findall(r"^frame (\S+)", text, re.M)
    else:
        found = re.findall(r"^ *#\d+ \[[0-9a-f]+\] (\S+) at ", text, re.M)
    found = [ALIAS.sub("", frame.split("+")[0]) for frame in found]
    return found[found.index("panic"):] if "panic" in found else found


def same_frames(outputs):
    wanted = None
    for name, text in outputs.items():
        got = frames(name, text)
        if not got:
            print(f"{name}: printed no frames:\n{text[:600]}")
            return False
        if wanted is None:
            wanted, first = got, name
        elif got != wanted:
            print(f"not compared: {name} and {first} did not print the same frames\n  {first}: {wanted}\n  {name}: {got}")
            return False
    print(f"all print the same {len(wanted)} frames, from {wanted[0]} to {wanted[-1]}")
    return True


def machine():
    model = re.search(r"model name\s*: (.*)", pathlib.Path("/proc/cpuinfo").read_text())
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{model[1] if model else platform.machine()}, {os.cpu_count()} cores, {memory:.0f} GB, Linux {platform.release()}"


def main():
    args = options()
    enter_namespace(args.peers / "root")
    table = contenders(args)
    print(f"machine: {machine()}")
    print(f"vmlinux {args.vmlinux.stat().st_size / 1e6:.0f} MB, vmcore {args.vmcore.stat().st_size / 1e6:.0f} MB, {args.runs} runs each, alternating")
    if not same_frames({name: run(command)[0] for name, command in table.items()}):
        return 1
    figures = {name: [] for name in table}
    for _ in range(args.runs):
        for name, command in table.items():
            figures[name].append(run(command)[1:])
    median = {name: [statistics.median(column) for column in zip(*rows)] for name, rows in figures.items()}
    width = max(map(len, table))
    print(f"{'':{width}}  wall s   (min..max)       cpu s   peak MB")
    for name, (wall, cpu, rss) in median.items():
        walls = [row[0] for row in figures[name]]
        print(f"{name:{width}}  {wall:6.3f}  ({min(walls):.3f}..{max(walls):.3f})  {cpu:6.3f}  {rss / 1000:7.0f}")
    pairs = [("kcrash bt, no cache", "drgn stack, names", 0.5), ("kcrash bt, cache", "drgn stack, names", 0.15),
             ("kcrash bt -l -i, no cache", "drgn stack, lines and inlines", 0.7),
             ("kcrash bt -l -i, cache", "drgn stack, lines and inlines", 0.3), ("kcrash bt, no cache", "crash bt", None)]
    for ours, theirs, goal in pairs:
        if theirs in median:
            ratio = median[ours][0] / median[theirs][0]
            print(f"{ours} / {theirs}: {ratio:.2f}" + (f" (goal: at most {goal})" if goal else ""))
    return 0


sys.exit(main())
