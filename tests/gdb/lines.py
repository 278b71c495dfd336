#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Does kcrash name the source line of an address that GDB names?

Where several rows of the line table share an address, readers of DWARF differ; crash, which asks GDB, is what people compare with. Addresses
are functions' first ones and others inside of them, the same ones in each run.
"""
import os
import pathlib
import random
import re
import sys

HERE = pathlib.Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "tools"))
import kcrash as tool  # noqa: E402

MARK = "@@@"
ASKED = 400


def code(options, arguments, home):
    """Addresses of functions of the kernel itself: freed memory of its start is left out."""
    lines = [line.split() for line in tool.run(options.kcrash, [*arguments, "-s", "-C", "sym -l"], home).stdout.splitlines()]
    known = {words[2]: int(words[0], 16) for words in lines if len(words) >= 3 and re.fullmatch("[0-9a-f]+", words[0])}
    return sorted(int(words[0], 16) for words in lines if len(words) >= 3 and words[1].lower() == "(t)"
                  and known["_stext"] <= int(words[0], 16) < known["_etext"])


def place(name, number):
    return os.path.basename(name), int(number)


def compare(count, options, sample):
    home = tool.Home()
    functions = code(options, sample.arguments(), home)
    chosen = random.Random(61)
    asked = chosen.sample(functions, ASKED // 2) + [address + 4 * chosen.randrange(1, 40) for address in chosen.sample(functions, ASKED // 2)]
    script = "".join(f"sym {address:x}\ngdb info line *0x{address:x}\n!echo {MARK}\n" for address in asked)
    parts = tool.run(options.kcrash, [*sample.arguments(), "-s"], home, script, merge=True, timeout=300).stdout.split(MARK + "\n")
    both = 0
    for address, part in zip(asked, parts):
        own = re.search(r"^[0-9a-f]+ \(.*? (\S+): (\d+) *$", part, re.M)
        gdbs = re.search(r'^Line (\d+) of "([^"]+)"', part, re.M)
        both += bool(own and gdbs)
        count.check((own and place(own[1], own[2])) == (gdbs and place(gdbs[2], gdbs[1])), f"{sample.name}: the line of {address:#x}", part)
    count.check(both > ASKED * 3 // 4, f"{sample.name}: most addresses have a line", both)


def main():
    options = tool.parser(__doc__.splitlines()[0]).parse_args()
    count = tool.Count("gdb-lines")
    for sample in tool.committed_samples():
        compare(count, options, sample)
    count.finish()


if __name__ == "__main__":
    main()
