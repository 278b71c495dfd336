#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every option letter of crash has a case here whose output differs from the plain command's.

    tests/options/run.py [--ask] [COMMAND...]

options.tsv: command, letter, case line, judge, plain line (the command's name when it is left out), between tabs. The judge is
who says what is right: guest (the guest's own truth), peer (crash 9.0.2), specification (documentation or the kernel's source).
With "/refused" behind it the option makes no sense on this dump, and the message must say so; with "/same" it changes nothing
on a 64-bit machine, or this dump has nothing for it; neither is enough for a letter, unless the specification says so of every
dump. With "peer/asked" crash is asked, where tests/bench's peers are installed: both print the same. letters.txt lists the letters
of crash; one without a row is a failure. In a line {task:1} is the address of the task with that pid, {code:1} where its
program begins; " ;; " separates several lines of one case.

A line "@ SAMPLE FILE" says on which dump of the cache folder, or of the committed samples, the rows after it are run; they count as
skipped when it is not there.
A line "@ message OLD > NEW" stands for the committed sample with other words in one message of its log.

--ask prints, for every row whose judge is the peer, whether crash says the same, and the first lines that differ.
"""
import dataclasses
import itertools
import os
import pathlib
import re
import subprocess
import sys
import tempfile
from collections import namedtuple

HERE = pathlib.Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "tools"))
import kcrash as tool  # noqa: E402
from patched import Patcher  # noqa: E402

JUDGES = ("guest", "peer", "specification")
MARK = "@@@ kcrash option "
CACHE = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "kcrash"
SAMPLES = pathlib.Path(os.environ.get("KCRASH_SAMPLES") or CACHE / "samples")
CRASH = CACHE / "peers/bin/crash"
Row = namedtuple("Row", "command letter case judge plain dump")


def letters():
    table = {}
    for line in (HERE / "letters.txt").read_text().splitlines():
        words = line.split()
        if words and not line.startswith("# "):
            table.setdefault(words[0], []).extend(words[1:])
    return table


def rows():
    dump = ""
    for number, line in enumerate((HERE / "options.tsv").read_text().splitlines(), 1):
        if line.startswith("@ "):
            dump = line[2:]
        elif line.strip() and not line.startswith("# "):
            cells = line.split("\t")
            if len(cells) not in (4, 5) or cells[3].split("/")[0] not in JUDGES:
                sys.exit(f"options.tsv:{number}: {len(cells)} cells, or an unknown judge")
            yield Row(*cells, *([cells[0]] if len(cells) == 4 else []), dump)


def with_message(sample, options, old, new):
    """The committed sample with other words in one message of its log."""
    return sample and dataclasses.replace(sample, dump=Patcher(options, sample).with_message(old.encode(), new.encode()))


def sample_for(options, dump):
    """The sample that rows are for; None when it is not there."""
    if not dump:
        return tool.sample_of(options)
    name, file = dump.split(maxsplit=1)
    if name == "message":
        return with_message(tool.sample_of(options), options, *file.split(" > "))
    for sample in tool.committed_samples():
        if sample.name == name:
            return sample
    folder = SAMPLES / name
    return tool.Sample(dump, folder / file, folder / "vmlinux") if (folder / file).exists() else None


def outputs(options, sample, lines):
    """Text of each line, errors included; the session is put back between them."""
    script = []
    for line in lines:
        script += [f"!echo '{MARK}'", *line.split(" ;; "), f"!echo '{MARK}'", "set -p > /dev/null", "set radix 10 > /dev/null"]
    result = tool.run(options.kcrash, sample.arguments() + ["-s"], tool.Home(), "\n".join(script) + "\n", 1200, merge=True)
    return result.stdout.split(MARK + "\n")[1::2]


def ask_crash(sample, lines):
    """The same of crash; None when it is not installed, or did not come to the end."""
    unpacked = pathlib.Path(tempfile.mkdtemp(prefix="kcrash-options-"))
    vmlinux = tool.plain_vmlinux(sample.vmlinux, unpacked)
    script = unpacked / "commands"
    text = ["set scroll off"]
    for line in lines:
        text += [f"!echo '{MARK}'", *line.split(" ;; "), f"!echo '{MARK}'", "set -p > /dev/null", "set radix 10 > /dev/null"]
    script.write_text("\n".join(text + ["quit", ""]))
    words = [str(CRASH), "-s", "-i", str(script), str(vmlinux), str(sample.dump)] + (["--mod", str(sample.modules)] if sample.modules else [])
    said = subprocess.run(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=600,
                          encoding="utf-8", errors="backslashreplace", env=dict(os.environ, TZ="UTC")).stdout
    for file in (script, unpacked / "vmlinux"):
        file.unlink(missing_ok=True)
    unpacked.rmdir()
    texts = said.split(MARK + "\n")[1::2]
    return texts if len(texts) == len(lines) else None


def ask(options, sample, lines):
    """The JSON documents of some lines."""
    return tool.documents(tool.run(options.kcrash, sample.arguments() + ["-s", "--json"], tool.Home(), "\n".join(lines) + "\n").stdout)


def first_value(document):
    """Of the first member that `struct` shows, without its 0x; "0" when there is none."""
    value = document["items"][0]["items"][0]["value"] if document["ok"] else "0x0"
    value = value["address"] if isinstance(value, dict) else value
    return f"{int(value, 0) if isinstance(value, str) else value:x}"


def resolve(options, sample, table):
    """The rows with {task:PID} and {code:PID} filled in."""
    pids = sorted(set(re.findall(r"\{(?:task|code):(\d+)\}", "\n".join("\t".join(row) for row in table))))
    tasks = [document["items"][0]["task"][2:] if document["ok"] else "0" for document in ask(options, sample, [f"set {pid}" for pid in pids])]
    spaces = [first_value(document) for document in ask(options, sample, [f"struct task_struct.mm {task}" for task in tasks])]
    code = [first_value(document) for document in ask(options, sample, [f"struct mm_struct.start_code {space}" for space in spaces])]
    filled = {"task": dict(zip(pids, tasks)), "code": dict(zip(pids, code))}
    return [Row(*(re.sub(r"\{(task|code):(\d+)\}", lambda match: filled[match[1]][match[2]], cell) for cell in row)) for row in table]


def looks_refused(text, command):
    return re.search(rf"^(kcrash|{re.escape(command)}): |^unknown command ", text, re.M) is not None


def check_row(count, row, plain, case):
    refused = row.judge.endswith("/refused")
    failed = looks_refused(case, row.command) and len(case.splitlines()) <= 4 and row.judge != "peer/asked"
    if failed != refused:
        return count.check(False, f"{row.case}: {'must be refused' if refused else 'fails'}", case[:500])
    if row.judge.endswith("/same"):
        return count.check(case == plain, f"{row.case}: must say the same as {row.plain}", case[:300])
    return count.check(case != plain and case.strip() != "", f"{row.case}: says the same as {row.plain}", case[:300])


def without_blanks(text):
    """Lines without what differs by nature: blanks, and the number in the history of values."""
    return [re.sub(r"\$\d+ = ", "$N = ", " ".join(line.split())) for line in text.splitlines() if line.strip()]


def first_difference(ours, theirs):
    for mine, other in itertools.zip_longest(without_blanks(ours), without_blanks(theirs)):
        if mine != other:
            return f"kcrash: {mine}\n  crash: {other}"
    return ""


def compare_with_crash(options, count, sample, table, cases):
    asked = [(row, case) for row, case in zip(table, cases) if row.judge == "peer/asked" or (options.ask and row.judge == "peer")]
    if not asked:
        return
    theirs = ask_crash(sample, [row.case for row, _ in asked]) if CRASH.exists() else None
    if not theirs:
        return count.skip(f"crash is not here, or ended early: {len(asked)} cases are not compared with it")
    for (row, case), other in zip(asked, theirs):
        difference = first_difference(case, other)
        if row.judge == "peer/asked":
            count.check(not difference, f"{row.case}: crash says something else", difference)
        if options.ask:
            print(f"{'other' if difference else 'SAME '} {row.case}" + (f"\n{difference}" if difference else ""))


def check_dump(options, count, dump, table):
    sample = sample_for(options, dump)
    if not sample:
        for row in table:
            count.skip(f"{row.case}: {dump or 'the committed sample'} is not here")
        return
    table = resolve(options, sample, table)
    texts = outputs(options, sample, [line for row in table for line in (row.plain, row.case)])
    if count.check(len(texts) == 2 * len(table), "every line was run", f"{len(texts)} of {2 * len(table)}; the last:\n{texts[-1][-1000:] if texts else ''}"):
        for row, plain, case in zip(table, texts[0::2], texts[1::2]):
            check_row(count, row, plain, case)
        compare_with_crash(options, count, sample, table, texts[1::2])


def check_letters(options, count, table):
    for command, known in letters().items():
        if options.commands and command not in options.commands:
            continue
        judges = {letter: {row.judge for row in table if row.command == command and row.letter == letter} for letter in known}
        missing = [letter for letter, of in judges.items() if not of]
        count.check(not missing, f"{command}: options without a case: {' '.join(missing)}")
        weak = [letter for letter, of in judges.items() if of and not any("/" not in judge or judge == "peer/asked" or judge.startswith("spec") for judge in of)]
        count.check(not weak, f"{command}: options whose output never differs: {' '.join(weak)}")


def main():
    parser = tool.parser(__doc__.splitlines()[0])
    parser.add_argument("--ask", action="store_true", help="print what crash says of the peer's rows")
    parser.add_argument("commands", nargs="*")
    options = parser.parse_args()
    count = tool.Count("options")
    table = [row for row in rows() if not options.commands or row.command in options.commands]
    for dump, of_dump in itertools.groupby(table, key=lambda row: row.dump):
        check_dump(options, count, dump, list(of_dump))
    check_letters(options, count, table)
    count.finish()


if __name__ == "__main__":
    main()
