#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""The README's table of formats and architectures, made from what the tests opened.

    tests/formats/table.py             compares the README with seen.tsv, and seen.tsv with what this machine's tests have shown
    tests/formats/table.py --update    writes both

Each test that opens a dump and finds it right says so (tests/tools/seen.py, tests/fixtures/seen.hpp) in build/seen/SOURCE.tsv. seen.tsv keeps
what every source has shown: a source that did not run here, because its dump is not on this machine, keeps its rows and counts as skipped; one
that ran must have shown exactly its rows.
"""
import argparse
import pathlib
import re
import sys

TOP = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TOP / "tests/tools"))
import kcrash as tool  # noqa: E402
from seen import FOLDER  # noqa: E402

RECORD, README = TOP / "tests/formats/seen.tsv", TOP / "README.md"
BEGIN, END = "<!-- from the tests: tests/formats/table.py -->\n", "<!-- end of it -->\n"
ARCHITECTURES = ["x86_64", "arm64", "riscv64", "s390x", "ppc64le", "loongarch64", "i386", "arm"]
X86, Z = ["x86_64", "i386"], ["s390x"]
# The row in the table, how kcrash names what belongs into it, and the only machines that the format was made for (none: any).
ROWS = [
    ("ELF", r"ELF", []),
    ("kdump-compressed", r"kdump-compressed v\d", []),
    ("- split set", r"kdump-compressed v\d \(split\)", []),
    ("- flattened", r"flattened .*", []),
    ("diskdump", r"diskdump.*", X86),
    ("LKCD", r"LKCD.*", ["x86_64", "i386", "arm", "s390x", "ppc64le"]),
    ("s390 stand-alone", r"s390.*", Z),
    ("z/VM VMDUMP", r"VMDUMP.*", Z),
    ("sadump", r"sadump.*", X86),
    ("Xen core", r"Xen.*", X86),
    ("VMware", r"VMware.*", X86),
    ("QEMU stream", r"QEMU.*", []),
    ("libvirt save", r"libvirt.*", []),
    ("raw memory", r"raw memory", []),
    ("LiME", r"LiME", []),
    ("AVML", r"AVML", []),
]
SIGNS = {"real": "●", "rewritten": "◐", "fixture": "○"}


def rows_of(path):
    return [tuple(line.split("\t")) for line in path.read_text().splitlines()]


def shown():
    """{source: its rows}, of the sources that ran here."""
    return {path.stem: sorted(set(rows_of(path))) for path in FOLDER.glob("*.tsv")} if FOLDER.is_dir() else {}


def kept():
    result = {}
    for source, *row in rows_of(RECORD) if RECORD.exists() else []:
        result.setdefault(source, []).append(tuple(row))
    return result


def title(file_format):
    return next((name for name, pattern, _ in ROWS if re.fullmatch(pattern, file_format)), None)


def render(record):
    best = {}
    for rows in record.values():
        for file_format, architecture, how in rows:
            place = title(file_format), architecture
            best[place] = min(best.get(place, how), how, key=list(SIGNS).index)
    columns = [a for a in ARCHITECTURES if any(place[1] == a for place in best)]
    lines = ["| format | " + " | ".join(columns) + " |", "|---" * (len(columns) + 1) + "|"]
    for name, _, only in ROWS:
        cells = [SIGNS[best[name, a]] if (name, a) in best else "" if not only or a in only else "–" for a in columns]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + ("\n\n● a real dump of a real kernel answers right; ◐ so does the memory of one, written as this format; ○ a fixture is read right; "
                               "– there are none.\n")


def readme_with(table):
    text = README.read_text()
    begin, end = text.index(BEGIN) + len(BEGIN), text.index(END)
    return text[:begin] + "\n" + table + "\n" + text[end:]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--update", action="store_true")
    options = parser.parse_args()
    count, here, record = tool.Count("format-table"), shown(), kept()
    if options.update:
        record.update(here)
        RECORD.write_text("".join("\t".join((source, *row)) + "\n" for source in sorted(record) for row in record[source]))
        README.write_text(readme_with(render(record)))
    for source in sorted({*here, *record}):
        if source not in here:
            count.skip(f"{source}: did not run here; what it has shown is kept")
            continue
        now, before = set(here[source]), set(record.get(source, []))
        count.check(now == before, f"{source}: shows other formats than seen.tsv has; look why, then: tests/formats/table.py --update",
                    "".join(f"- {row}\n" for row in sorted(before - now)) + "".join(f"+ {row}\n" for row in sorted(now - before)))
    for file_format in sorted({row[0] for rows in record.values() for row in rows}):
        count.check(title(file_format), f"{file_format}: has no row in tests/formats/table.py")
    if count.failed == 0:
        count.check(README.read_text() == readme_with(render(record)), "the README's table is not that of seen.tsv: tests/formats/table.py --update")
    count.finish()


if __name__ == "__main__":
    main()
