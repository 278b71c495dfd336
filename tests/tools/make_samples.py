#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes the named samples of stock kernels where they are missing or out of date. Quick when they are there.

A sample that cannot be made (no network, no time) is counted as skipped, with the last lines of what was said: the suites that
use it then skip it too.
"""
import pathlib
import subprocess
import sys

MAKE = pathlib.Path(__file__).resolve().parents[2] / "vmcore-samples/make"
passed = skipped = 0
for name in sys.argv[1:]:
    try:
        run = subprocess.run([str(MAKE), name], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=2400)
        said, good = run.stdout, run.returncode == 0
    except subprocess.TimeoutExpired as late:
        said, good = str(late), False
    passed, skipped = passed + good, skipped + (not good)
    if not good:
        print(f"{name}: could not be made:\n{said[-1500:]}")
print(f"samples: {passed} passed, 0 failed, {skipped} skipped")
