#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Do processes' areas agree with the guest's /proc/PID/maps?

For each area of each process, vtop of its first address must find an area with the same bounds and the same file.
"""
import pathlib
import re

from guest import Guest


def areas(guest):
    for pid, folder in guest.processes():
        for line in (folder / "maps").read_text(errors="replace").splitlines() if (folder / "maps").exists() else []:
            found = re.match(r"([0-9a-f]+)-([0-9a-f]+) \S+ \S+ \S+ \d+ *(.*)", line)
            # The pages of vsyscall and of arm's vectors are no areas of the process; [heap] and the like are the kernel's words, not files.
            if found and found[3] not in ("[vsyscall]", "[vectors]"):
                yield pid, int(found[1], 16), int(found[2], 16), "" if found[3].startswith("[") else found[3]


def same_file(ours, theirs):
    """A deleted file has its name and the word deleted in /proc; what is in memory only has a name without a folder."""
    theirs = theirs.removesuffix(" (deleted)")
    return ours == theirs or (ours and pathlib.PurePath(ours).name == pathlib.PurePath(theirs).name)


def main():
    guest = Guest()
    wanted = list(areas(guest))
    answers = guest.ask([f"vtop -u -c {pid} {begin:x}" for pid, begin, _, _ in wanted])
    for (pid, begin, end, file), answer in zip(wanted, answers):
        found = [item for top in answer["items"] for item in top.get("items", []) if item["kind"] == "vma"]
        ours = (found[0]["start"], found[0]["end"], found[0]["file"]) if found else None
        if ours and same_file(ours[2], file):
            ours = (*ours[:2], file)
        guest.check(f"pid {pid}, area at {begin:#x}", (hex(begin), hex(end), file), ours)
    guest.end()


main()
