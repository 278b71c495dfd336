#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""The pages of the committed real dump, written as each format of which no real specimen can be made here, are read back the same.
A whole dump as a sadump and as Xen's, which have registers and no VMCOREINFO, shows the same stack as before: KASLR is found.

    tests/formats/converted.py [--tools FOLDER]
"""
import argparse
import os
import pathlib
import re
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "tools"))
from seen import Seen  # noqa: E402

TOP = pathlib.Path(__file__).resolve().parents[2]
FORMATS = ["diskdump", "lkcd", "lkcd-rle", "sadump", "sadump-media", "xen", "xen-old", "lime", "avml", "stream", "libvirt", "vmss"]


def check(tools, dump, name, folder, seen):
    converted = pathlib.Path(folder) / name
    made = subprocess.run([tools / "dump_convert", name, dump, converted], capture_output=True, text=True)
    if made.returncode != 0:
        return made.stderr
    answer = subprocess.run([tools / "dump_compare", dump, converted], capture_output=True, text=True)
    seen.dump(tools / "kcrash", [converted], "rewritten")
    converted.unlink()
    counts = re.search(r"identical (\d+), different (\d+), only in the first (\d+), only in this (\d+)", answer.stdout)
    if not counts:
        return answer.stdout + answer.stderr
    identical, *others = map(int, counts.groups())
    return "" if identical > 1000 and not any(others) else answer.stdout


def stack(tools, vmlinux, dump):
    answer = subprocess.run([tools / "kcrash", vmlinux, dump, "-s", "-C", "bt"], capture_output=True, text=True)
    return re.findall(r"^ *#\d+ \[[0-9a-f]+\] .*", answer.stdout, re.M) or answer.stdout + answer.stderr


def check_stack(tools, sample, name, folder):
    vmlinux, dump, converted = sample / "vmlinux", sample / "qemu/dump.kdump", pathlib.Path(folder) / name
    subprocess.run([tools / "dump_convert", name, dump, converted], check=True)
    wanted, found = stack(tools, vmlinux, dump), stack(tools, vmlinux, converted)
    converted.unlink()
    return "" if wanted == found and len(wanted) > 3 else f"{found}\ninstead of\n{wanted}"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tools", type=pathlib.Path, default=TOP / "build/release")
    args = parser.parse_args()
    cache = pathlib.Path(os.environ.get("XDG_CACHE_HOME", pathlib.Path.home() / ".cache"))
    sample = cache / "kcrash/samples/debian-6.1-amd64-cloud"
    whole = ["sadump", "xen"]
    skipped = 0 if (sample / "qemu/dump.kdump").exists() else len(whole)
    failed, seen = 0, Seen("converted")
    with tempfile.TemporaryDirectory() as folder:
        for name in FORMATS:
            wrong = check(args.tools, TOP / "vmcore-samples/sample-6.1/vmcore", name, folder, seen)
            if wrong:
                failed += 1
                print(f"{name}: {wrong}")
        for name in [] if skipped else whole:
            wrong = check_stack(args.tools, sample, name, folder)
            if wrong:
                failed += 1
                print(f"{name}, stack: {wrong}")
    print(f"converted: {len(FORMATS) + len(whole) - skipped - failed} passed, {failed} failed, {skipped} skipped")
    return 1 if failed else 0


sys.exit(main())
