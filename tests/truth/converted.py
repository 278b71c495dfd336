#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""The pages of the committed real dump, written as each format of which no real specimen can be made here, are read back the same.

    tests/truth/converted.py [--tools FOLDER]
"""
import argparse
import pathlib
import re
import subprocess
import sys
import tempfile

TOP = pathlib.Path(__file__).resolve().parents[2]
FORMATS = ["diskdump", "lkcd", "lkcd-rle", "sadump", "sadump-media", "xen", "xen-old"]


def check(tools, dump, name, folder):
    converted = pathlib.Path(folder) / name
    made = subprocess.run([tools / "dump_convert", name, dump, converted], capture_output=True, text=True)
    if made.returncode != 0:
        return made.stderr
    answer = subprocess.run([tools / "dump_compare", dump, converted], capture_output=True, text=True)
    converted.unlink()
    counts = re.search(r"identical (\d+), different (\d+), only in the first (\d+), only in this (\d+)", answer.stdout)
    if not counts:
        return answer.stdout + answer.stderr
    identical, *others = map(int, counts.groups())
    return "" if identical > 1000 and not any(others) else answer.stdout


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tools", type=pathlib.Path, default=TOP / "build/release")
    args = parser.parse_args()
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        for name in FORMATS:
            wrong = check(args.tools, TOP / "vmcore-samples/sample-6.1/vmcore", name, folder)
            if wrong:
                failed += 1
                print(f"{name}: {wrong}")
    print(f"converted: {len(FORMATS) - failed} passed, {failed} failed, 0 skipped")
    return 1 if failed else 0


sys.exit(main())
