#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs every truth script over every dump of every sample, and adds up.

    tests/truth/run.py [--kcrash FILE] [SAMPLE...]     default: all

A sample of a stock kernel that is not in the cache folder counts as one skipped: vmcore-samples/make NAME makes it. One line for each script and dump; differences are printed whole.
"""
import argparse
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "tools"))
from seen import Seen  # noqa: E402

TOP = pathlib.Path(__file__).resolve().parents[2]
SCRIPTS = sorted(p for p in (TOP / "tests/truth").glob("*.py") if p.name not in ("guest.py", "run.py"))
CACHE = pathlib.Path(os.environ.get("KCRASH_SAMPLES") or
                     pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "kcrash/samples")
# The first are asked for when they are not there; the others are used when somebody made them.
EXPECTED = ["debian-6.1-amd64-cloud", "debian-6.12-amd64-cloud", "debian-6.1-arm64-cloud"]
MADE = ("debian-6.1-amd64-deaths", "debian-7.3-amd64-cloud", "debian-6.1-s390x", "debian-6.1-ppc64el", "sample-6.1-fp", "vmsplit-6.1-i386",
        "debian-6.1-armhf", "debian-6.1-i386", "debian-6.1-i386-pae", "debian-6.12-arm64-16k", "debian-7.2-loong64", "debian-6.12-riscv64", "debian-7.2-riscv64")
SAMPLES = EXPECTED + [name for name in MADE if (CACHE / name).is_dir()]
NOT_DUMPS = re.compile(r"\.(txt|json|log)$|^stream$")  # of a stream: tests/formats/converted.py


def committed_names():
    """The samples in the tree: the folders that have a dump."""
    return sorted(folder.name for folder in (TOP / "vmcore-samples").glob("sample-*") if (folder / "vmcore").exists())


def committed(folder, scratch):
    """A committed sample, its truth unpacked."""
    subprocess.run(["tar", "xf", str(folder / "truth.tar.xz"), "-C", scratch], check=True)
    for said in folder.glob("*.txt"):
        shutil.copy(said, scratch)
    yield "vmcore", folder / "vmlinux.xz", [folder / "vmcore"], pathlib.Path(scratch) / "truth"


def stock(folder):
    """The dumps of a stock kernel: one folder for each death, its truth beside its dumps. A split set is one dump."""
    for death in sorted(p for p in folder.iterdir() if (p / "truth").is_dir()):
        files = sorted(p for p in death.iterdir() if p.is_file() and not NOT_DUMPS.search(p.name))
        parts = [p for p in files if p.name.startswith("split")]
        for file in files:
            if file not in parts:
                yield f"{death.name}/{file.name}", folder / "vmlinux", [file], death / "truth"
        if parts:
            yield f"{death.name}/split", folder / "vmlinux", list(reversed(parts)), death / "truth"


class Tally:
    def __init__(self):
        self.counts = [0, 0, 0]

    def add(self, name, run):
        """Was all of it right?"""
        found = re.findall(r"^\w+: (\d+) passed, (\d+) failed, (\d+) skipped$", run.stdout, re.M)
        if not found:
            self.counts[1] += 1
            print(f"{name}: ended with status {run.returncode}\n{run.stdout[-2000:]}{run.stderr[-2000:]}")
            return False
        numbers = [int(n) for n in found[-1]]
        self.counts = [a + b for a, b in zip(self.counts, numbers)]
        if numbers[1]:
            print(run.stdout, end="")
        print(f"{name}: {numbers[0]} passed, {numbers[1]} failed, {numbers[2]} skipped", flush=True)
        return numbers[1] == 0


def dumps_of(name, scratch):
    if name in committed_names():
        return list(committed(TOP / "vmcore-samples" / name, scratch))
    return list(stock(CACHE / name)) if (CACHE / name).is_dir() else []


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kcrash", default=str(TOP / "build/release/kcrash"))
    parser.add_argument("--only", action="append", default=[], help="only these scripts, by name")
    parser.add_argument("samples", nargs="*")
    args = parser.parse_args()
    tally = Tally()
    for name in args.samples or [*committed_names(), *SAMPLES]:
        with tempfile.TemporaryDirectory() as scratch:
            dumps = dumps_of(name, scratch)
            if not dumps:
                print(f"{name}: is not there; make it with vmcore-samples/make {name}")
                tally.counts[2] += 1
            seen = Seen(name) if dumps and not args.only else None
            for dump, vmlinux, files, truth in dumps:
                right = True
                if not vmlinux.exists():
                    vmlinux = ""  # a kernel that is opened by the dump alone
                for script in SCRIPTS:
                    if args.only and script.stem not in args.only:
                        continue
                    run = subprocess.run([sys.executable, str(script), os.path.abspath(args.kcrash), str(truth), str(vmlinux), *map(str, files)],
                                         capture_output=True, text=True, timeout=1200)
                    right &= tally.add(f"{name} {dump} {script.stem}", run)
                if seen and right:
                    seen.dump(args.kcrash, files, kernel=vmlinux)
    print("truth: {} passed, {} failed, {} skipped".format(*tally.counts))
    return 1 if tally.counts[1] or not tally.counts[0] else 0


if __name__ == "__main__":
    sys.exit(main())
