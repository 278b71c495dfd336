#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Do all includes point down? Prints each that does not, and the ten largest files and functions."""
import pathlib
import re
import sys

TOP = pathlib.Path(__file__).resolve().parents[2]
FLOORS = ["core", "arch", "symbols", "kernel", "commands"]
LEAVES = ["extensions"]  # include nothing of ours
BESIDE = {"dwarfcheck": "symbols"}  # programs of their own: the highest floor that they stand on; nothing includes them


def sources():
    for folder in FLOORS + LEAVES + list(BESIDE):
        for path in sorted((TOP / folder).rglob("*.[ch]pp")):
            yield path


def floor(path):
    return path.relative_to(TOP).parts[0]


def points_up(mine, theirs):
    if mine in LEAVES or theirs in BESIDE:
        return True
    return theirs in FLOORS and FLOORS.index(theirs) > FLOORS.index(BESIDE.get(mine, mine))


def includes_up(path):
    mine = floor(path)
    for number, line in enumerate(path.read_text().splitlines(), 1):
        found = re.match(r'#include "([a-z]+)/', line)
        if not found or found[1] == mine:
            continue
        if points_up(mine, found[1]):
            yield f"{path.relative_to(TOP)}:{number}: {mine}/ must not include {found[1]}/"


def functions(path):
    """Rough: a line that ends in an opening brace at one or four columns, up to its closing brace."""
    start = None
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if start is None and re.match(r"(    )?[A-Za-z~].*\)( const)?( noexcept)?( override)? \{$", line):
            start, indent = number, len(line) - len(line.lstrip())
        elif start and line == " " * indent + "}":
            yield number - start + 1, f"{path.relative_to(TOP)}:{start}"
            start = None


def main():
    files = list(sources())
    wrong = [line for path in files for line in includes_up(path)]
    print("largest files:")
    for count, path in sorted(((len(p.read_text().splitlines()), str(p.relative_to(TOP))) for p in files), reverse=True)[:10]:
        print(f"  {count:5} {path}")
    print("largest functions:")
    for count, where in sorted((f for p in files for f in functions(p)), reverse=True)[:10]:
        print(f"  {count:5} {where}")
    for line in wrong:
        print(line)
    print(f"layers: {len(files) - len(wrong)} passed, {len(wrong)} failed, 0 skipped")
    return 1 if wrong else 0


sys.exit(main())
