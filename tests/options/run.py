#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every option letter of crash has a case here whose output differs from the plain command's.

    tests/options/run.py [COMMAND...]

options.tsv: command, letter, case line, judge, plain line (the command's name when it is left out), between tabs. The judge is
who says what is right: guest (the guest's own truth), peer (crash 9.0.2), specification (documentation or the kernel's source).
With "/refused" behind it the option makes no sense on this dump, and the message must say so; with "/same" it changes nothing
on a 64-bit machine, or this dump has nothing for it. letters.txt lists the letters of
crash; one without a row is a failure. {task:1} in a line becomes the address of the task with that pid; " ;; " separates
several lines of one case.
"""
import pathlib
import re
import sys

HERE = pathlib.Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "tools"))
import kcrash as tool  # noqa: E402

JUDGES = ("guest", "peer", "specification")
MARK = "@@@ kcrash option "


def letters():
    table = {}
    for line in (HERE / "letters.txt").read_text().splitlines():
        words = line.split()
        if words and not line.startswith("# "):
            table.setdefault(words[0], []).extend(words[1:])
    return table


def rows():
    for number, line in enumerate((HERE / "options.tsv").read_text().splitlines(), 1):
        if line.strip() and not line.startswith("# "):
            cells = line.split("\t")
            if len(cells) not in (4, 5):
                sys.exit(f"options.tsv:{number}: {len(cells)} cells")
            yield cells + ([cells[0]] if len(cells) == 4 else [])


def outputs(options, sample, lines):
    """Text of each line, errors included; the session is put back between them."""
    script = []
    for line in lines:
        script += [f"!echo '{MARK}'", *line.split(" ;; "), f"!echo '{MARK}'", "set -p > /dev/null", "set radix 10 > /dev/null"]
    result = tool.run(options.kcrash, sample.arguments() + ["-s"], tool.Home(), "\n".join(script) + "\n", 1200, merge=True)
    return result.stdout.split(MARK + "\n")[1::2]


def resolve(options, sample, table):
    """The rows with {task:PID} filled in."""
    pids = sorted(set(re.findall(r"\{task:(\d+)\}", "\n".join("\t".join(row) for row in table))))
    lines = "\n".join(f"set {pid}" for pid in pids)
    result = tool.run(options.kcrash, sample.arguments() + ["-s", "--json"], tool.Home(), lines + "\n")
    tasks = {pid: document["items"][0]["task"] if document["ok"] else "0x0" for pid, document in zip(pids, tool.documents(result.stdout))}
    return [[re.sub(r"\{task:(\d+)\}", lambda match: tasks[match[1]][2:], cell) for cell in row] for row in table]


def looks_refused(text, command):
    return re.search(rf"^(kcrash|{re.escape(command)}): |^unknown command ", text, re.M) is not None


def check_row(count, row, plain, case):
    command, letter, line, judge, _ = row
    refused = judge.endswith("/refused")
    if judge.split("/")[0] not in JUDGES:
        return count.check(False, line, f"unknown judge {judge}")
    failed = looks_refused(case, command) and len(case.splitlines()) <= 4
    if failed != refused:
        return count.check(False, f"{line}: {'must be refused' if refused else 'fails'}", case[:500])
    if judge.endswith("/same"):
        return count.check(case == plain, f"{line}: must say the same as {row[4]}", case[:300])
    return count.check(case != plain and case.strip() != "", f"{line}: says the same as {row[4]}", case[:300])


def main():
    parser = tool.parser(__doc__.splitlines()[0])
    parser.add_argument("commands", nargs="*")
    options = parser.parse_args()
    count = tool.Count("options")
    sample = tool.sample_of(options)
    if not sample:
        count.skip("the committed sample is not here")
        count.finish()
    table = [row for row in rows() if not options.commands or row[0] in options.commands]
    table = resolve(options, sample, table)
    texts = outputs(options, sample, [line for row in table for line in (row[4], row[2])])
    if count.check(len(texts) == 2 * len(table), "every line was run", f"{len(texts)} of {2 * len(table)}; the last:\n{texts[-1][-1000:] if texts else ''}"):
        for row, plain, case in zip(table, texts[0::2], texts[1::2]):
            check_row(count, row, plain, case)
    for command, known in letters().items():
        if options.commands and command not in options.commands:
            continue
        covered = {row[1] for row in table if row[0] == command}
        missing = [letter for letter in known if letter not in covered]
        count.check(not missing, f"{command}: options without a case: {' '.join(missing)}")
    count.finish()


if __name__ == "__main__":
    main()
