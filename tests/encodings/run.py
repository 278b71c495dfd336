#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Do all encodings of one death hold the same bytes, and what is left of a dump that is cut?

For each sample: every dump of a death against the first (dump_compare), the committed or the zlib one written again with snappy
pages, which no packaged tool writes (kdump_rewrite), and each kind of dump cut at each tenth of its length (dump_cut).
"""
import pathlib
import subprocess
import sys
import tempfile

TOP = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TOP / "tests/truth"))
from run import CACHE, stock  # noqa: E402

BUILD = TOP / "build/release"
counts = {"passed": 0, "failed": 0, "skipped": 0}


def check(what, *command):
    run = subprocess.run([str(BUILD / command[0]), *map(str, command[1:])], capture_output=True, text=True, timeout=900)
    good = run.returncode == 0
    counts["passed" if good else "failed"] += 1
    print(f"{'ok' if good else 'FAILED'}: {what}", flush=True)
    if not good:
        print(run.stdout[-3000:] + run.stderr[-1000:])


def snappy(name, dump):
    with tempfile.NamedTemporaryFile(suffix=".snappy") as out:
        check(f"{name}: written with snappy pages", "kdump_rewrite", "snappy", dump, out.name)
        check(f"{name}: snappy pages against the original", "dump_compare", dump, out.name)


def deaths(folder):
    groups = {}
    for name, _, files, _ in stock(folder):
        groups.setdefault(name.split("/")[0], []).append((name, files))
    return groups


def main():
    sample = TOP / "vmcore-samples/sample-6.1/vmcore"
    snappy("sample-6.1", sample)
    check("sample-6.1: cut at each tenth", "dump_cut", sample)
    for name in ("debian-6.1-amd64-cloud", "debian-6.12-amd64-cloud"):
        if not (CACHE / name).is_dir():
            print(f"{name}: is not there; make it with vmcore-samples/make {name}")
            counts["skipped"] += 1
            continue
        for death, dumps in deaths(CACHE / name).items():
            (first, first_files), *others = dumps
            for other, files in others:
                check(f"{name}: {other} against {first}", "dump_compare", ",".join(map(str, first_files)), ",".join(map(str, files)))
            for kind, files in dumps:
                if kind.endswith(("d31.zlib", "d31.elf", "d31.flat")):
                    check(f"{name}: {kind} cut at each tenth", "dump_cut", *files)
                if kind.endswith("d31.zlib"):
                    snappy(f"{name}: {kind}", files[0])
    print("encodings: {passed} passed, {failed} failed, {skipped} skipped".format(**counts))
    return 1 if counts["failed"] else 0


sys.exit(main())
