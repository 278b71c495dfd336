#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the embedded GDB costs: its first answer ever, the first of a later session, the next ones; memory; the size of the file.

    tests/bench/gdb.py VMLINUX VMCORE [--runs 5] [--kcrash FILE] [--without FILE]     --without: a build that has no GDB, for what having it costs

The command is `gdb print sizeof(struct page)`. "first ever" has an empty cache folder, "later" one with GDB's index in it, which the first
run has another process make. GDB itself is asked the same on the same file. Medians; the page cache is warm for all.
"""
import argparse
import os
import pathlib
import re
import statistics
import subprocess
import sys
import tempfile
import time

TOP = pathlib.Path(__file__).resolve().parents[2]
ASKED = "gdb print sizeof(struct page)"


def run(command, cache):
    started = time.perf_counter()
    environment = dict(os.environ, KCRASH_CACHE_DIR=str(cache))
    with tempfile.TemporaryFile() as out:
        child = subprocess.Popen(list(map(str, command)), stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, env=environment)
        _, status, usage = os.wait4(child.pid, 0)
        wall = time.perf_counter() - started
        child.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        text = out.read().decode(errors="replace")
    return text, wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1000


def wait_for_index(cache, seconds=120):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if any(cache.rglob("*.gdb-index")) and not subprocess.run(["pgrep", "-f", "gdb-index="], capture_output=True).stdout:
            return
        time.sleep(0.2)
    sys.exit("the index was not made")


def show(name, rows):
    wall, cpu, memory = (statistics.median(column) for column in zip(*rows))
    walls = [row[0] for row in rows]
    print(f"{name:44} {wall:7.3f} s ({min(walls):.3f}..{max(walls):.3f})  {cpu:6.3f} s CPU  {memory:5.0f} MB", flush=True)
    return wall


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("vmlinux", type=pathlib.Path)
    parser.add_argument("vmcore", type=pathlib.Path)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--kcrash", type=pathlib.Path, default=TOP / "build/release/kcrash")
    parser.add_argument("--without", type=pathlib.Path)
    args = parser.parse_args()
    ours = [args.kcrash, args.vmlinux, args.vmcore, "-s"]
    wanted = re.search(r"= (\d+)", run(["gdb", "-nx", "-batch", args.vmlinux, "-ex", "print sizeof(struct page)"], "/tmp")[0])[1]

    def right(result):
        if f"= {wanted}" not in result[0]:
            sys.exit(f"not compared: the answer is not {wanted}: {result[0][:500]}")
        return result[1:]

    first, later = [], []
    for _ in range(args.runs):
        with tempfile.TemporaryDirectory(prefix="kcrash-bench-") as folder:
            cache = pathlib.Path(folder)
            right(run(ours + ["-C", ASKED], cache))  # what GDB's Python needs is unpacked, kcrash's own index made
            wait_for_index(cache)
            for index in cache.rglob("*.gdb-index"):
                index.unlink()
            first.append(right(run(ours + ["-C", ASKED], cache)))
            wait_for_index(cache)
            later.append(right(run(ours + ["-C", ASKED], cache)))
            many = run(ours + ["-C", ";".join([ASKED] * 101)], cache)
            index_size = sum(index.stat().st_size for index in cache.rglob("*.gdb-index"))
    show("kcrash, its first GDB command ever", first)
    wall = show("kcrash, the first of a later session", later)
    print(f"each further one                             {(many[1] - wall) * 10:7.3f} ms")
    show("GDB itself", [right(run(["gdb", "-nx", "-batch", args.vmlinux, "-ex", "print sizeof(struct page)"], "/tmp")) for _ in range(3)])
    with tempfile.TemporaryDirectory(prefix="kcrash-bench-") as folder:
        run(ours + ["-C", "bt"], folder)
        for name, program in (("without GDB in it", args.without), ("with GDB in it", args.kcrash)):
            if program:
                show(f"--version, {name}", [run([program, "--version"], folder)[1:] for _ in range(40)])
                show(f"bt, {name}", [run([program, *ours[1:], "-C", "bt"], folder)[1:] for _ in range(20)])
                print(f"size of the file, {name}: {program.stat().st_size / 1e6:.1f} MB")
    print(f"GDB's index of this vmlinux: {index_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
