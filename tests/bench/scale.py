#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Opens dumps of very large machines with kcrash, crash and drgn, and prints seconds and peak memory.

    tests/bench/scale.py [--runs 5] [--peers FOLDER] [--folder FOLDER] [KIND...]

KIND is alternating, random, full (16 TiB of RAM each, a sparse file with 1 GB in it) or flattened (10 million records, 1 GB). The
files are made once and kept in FOLDER (default: $XDG_CACHE_HOME/kcrash/scale). kcrash opens the file and reads 2,000 random pages;
crash answers --osrelease, which takes reading the bitmap; drgn opens the file and reads one page. The page cache is warm for all: one
run of each comes first and is not counted. Nobody gets more than 8 GB of address space: a list of runs needs 20 for every second page.
"""
import argparse
import os
import pathlib
import resource
import statistics
import subprocess
import sys
import tempfile
import time

TOP = pathlib.Path(__file__).resolve().parents[2]
KINDS = ["alternating", "random", "full", "flattened"]

# A page that is in each of the dumps: the first.
DRGN = """
import drgn
try:
    prog.read(0, 8, physical=True)
except drgn.FaultError as error:
    print("fault:", error)
print("opened")
"""


def options():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("kinds", nargs="*", default=KINDS)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--tool", type=pathlib.Path, default=TOP / "build/release/dump_scale")
    cache = pathlib.Path(os.environ.get("XDG_CACHE_HOME", pathlib.Path.home() / ".cache"))
    parser.add_argument("--peers", type=pathlib.Path, default=cache / "kcrash/peers")
    parser.add_argument("--folder", type=pathlib.Path, default=cache / "kcrash/scale")
    return parser.parse_args()


LIMIT = 8 << 30


def limit_memory():
    resource.setrlimit(resource.RLIMIT_AS, (LIMIT, LIMIT))


def measure(command):
    """Wall seconds, peak resident MB (of the largest process, if it starts others), what it printed, its status."""
    before = time.perf_counter()
    with tempfile.TemporaryFile("w+") as out:
        process = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, preexec_fn=limit_memory)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        seconds = time.perf_counter() - before
        out.seek(0)
        return seconds, usage.ru_maxrss // 1024, out.read(), process.returncode


def main():
    args = options()
    args.folder.mkdir(parents=True, exist_ok=True)
    script = args.folder / "open.py"
    script.write_text(DRGN)
    for kind in args.kinds:
        dump = args.folder / f"{kind}.dump"
        if not dump.exists():
            made = dump.with_suffix(".part")
            subprocess.run([args.tool, "make", kind, made], check=True)
            made.rename(dump)
        contenders = {"kcrash": [str(args.tool), "read", str(dump)]}
        if (args.peers / "bin/crash").exists():
            contenders["crash"] = [str(args.peers / "bin/crash"), "--osrelease", str(dump)]
            contenders["drgn"] = [str(args.peers / "bin/drgn"), "--quiet", "--no-default-symbols", "-c", str(dump), str(script)]
        print(f"{kind}: {dump.stat().st_size / 1e9:.1f} GB, {dump.stat().st_blocks * 512 / 1e9:.1f} GB on disk")
        for name, command in contenders.items():
            runs = [measure(command) for _ in range(args.runs + 1)][1:]
            seconds, peak = statistics.median(r[0] for r in runs), max(r[1] for r in runs)
            said = runs[-1][2].strip().splitlines()
            print(f"  {name:8} {seconds:7.3f} s ({min(r[0] for r in runs):.3f}..{max(r[0] for r in runs):.3f}), peak {peak} MB, status {runs[-1][3]}: {said[-1] if said else ''}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
