#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Do processes' areas agree with the guest's /proc/PID/maps?

    tests/truth/maps.py KCRASH VMLINUX VMCORE TRUTH

For each area of each process, vtop of its first address must find an area with the same bounds and the same file. The task
that records the truth and dies is left out: it goes on mapping memory while it writes.
"""
import json
import pathlib
import re
import subprocess
import sys


def areas(truth):
    for folder in sorted((truth / "proc").iterdir(), key=lambda path: int(path.name)):
        maps = folder / "maps"
        if not maps.exists() or (folder / "comm").read_bytes().strip() == b"record":
            continue
        for line in maps.read_text(errors="replace").splitlines():
            found = re.match(r"([0-9a-f]+)-([0-9a-f]+) \S+ \S+ \S+ \d+ *(.*)", line)
            # The vsyscall page is no area of the process; [heap] and the like are the kernel's words, not files.
            if found and found[3] != "[vsyscall]":
                file = "" if found[3].startswith("[") else found[3]
                yield int(folder.name), int(found[1], 16), int(found[2], 16), file


def same_file(ours, theirs):
    """A deleted file has its name and the word deleted in /proc; what is in memory only has a name without a folder."""
    theirs = theirs.removesuffix(" (deleted)")
    return ours == theirs or (ours and pathlib.PurePath(ours).name == pathlib.PurePath(theirs).name)


def main():
    kcrash, vmlinux, vmcore, truth = sys.argv[1:5]
    wanted = list(areas(pathlib.Path(truth)))
    script = "".join(f"vtop -c {pid} {begin:x}\n" for pid, begin, _, _ in wanted)
    run = subprocess.run([kcrash, "-s", "--json", vmlinux, vmcore], input=script, capture_output=True, text=True, timeout=300)
    answers = [json.loads(line) for line in run.stdout.splitlines()]
    passed = failed = 0
    if len(answers) != len(wanted):
        print(f"{len(wanted)} questions, {len(answers)} answers: {run.stderr[:500]}")
        failed = 1
    for (pid, begin, end, file), answer in zip(wanted, answers):
        found = [item for top in answer["items"] for item in top.get("items", []) if item["kind"] == "vma"]
        got = (int(found[0]["start"], 16), int(found[0]["end"], 16), found[0]["file"]) if found else None
        if got and got[:2] == (begin, end) and same_file(got[2], file):
            passed += 1
        else:
            failed += 1
            print(f"pid {pid}: the guest says {begin:x}-{end:x} {file!r}, kcrash says {got and (hex(got[0]), hex(got[1]), got[2])}")
    print(f"maps: {passed} passed, {failed} failed, 0 skipped")
    return 1 if failed or not passed else 0


sys.exit(main())
