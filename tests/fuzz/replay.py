#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Replays the committed corpus through every fuzz driver, built with ASan and UBSan: what was found once, and what covers most.

    tests/fuzz/replay.py [--build FOLDER]
"""
import argparse
import os
import pathlib
import subprocess
import sys
import tarfile
import tempfile

TOP = pathlib.Path(__file__).resolve().parents[2]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", type=pathlib.Path, default=TOP / "build/asan")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="kcrash-corpus-") as folder:
        with tarfile.open(TOP / "tests/fuzz/corpus.tar.xz") as tar:
            tar.extractall(folder)
        # As run.py has it: no number in a file may size what the file does not back.
        limits = {**os.environ, "ASAN_OPTIONS": f"{os.environ.get('ASAN_OPTIONS', '')}:max_allocation_size_mb=512:allocator_may_return_null=0"}
        result = subprocess.run([args.build / "fuzz_replay", folder], capture_output=True, text=True, timeout=600, env=limits)
    print(result.stdout, end="")
    if result.returncode not in (0, 1):
        print(f"{result.stderr[-6000:]}\nended with status {result.returncode}\nfuzz-corpus: 0 passed, 1 failed, 0 skipped")
        return 1
    return result.returncode


if __name__ == "__main__":
    sys.exit(main())
