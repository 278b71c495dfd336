#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""VMCOREINFO with absurd and missing values: each key of the committed dump in turn. What the commands then print is what they print of the
good dump, or something is said to be wrong: never other facts without a word."""
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "tools"))
import kcrash as tool  # noqa: E402

COMMANDS = ["sys", "ps", "log", "bt", "mod"]
# What decides how the dump is read: these get every absurd value, others one or two of them in turn.
DECISIVE = re.compile(r"BUILD-ID|PAGESIZE|OSRELEASE|KERNELOFFSET|phys_base|init_top_pgt|swapper_pg_dir|_stext|kallsyms|pgtable_l5|sme_mask|prb")


def absurd(value):
    """Values of the same length, so that nothing else moves."""
    digits = len(value)
    yield "all zero", "0" * digits
    yield "the largest", re.sub(r"[0-9a-f]", "f" if digits > 6 else "9", value)
    yield "negative", "-" + "1" * (digits - 1) if digits > 1 else "-"
    yield "no number", "z" * digits
    yield "off by a little", value[:-1] + ("1" if value[-1] != "1" else "2")


class Suite:
    def __init__(self, options, sample, count):
        self.options, self.count, self.home = options, count, tool.Home()
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="kcrash-vmcoreinfo-"))
        self.dump = self.folder / "vmcore"
        self.plain = sample.dump.read_bytes()
        self.good = self.say(self.plain)
        count.check(self.good.returncode == 0 and not self.good.stderr and "init" in self.good.stdout, "the good dump answers", self.good.stderr)

    def say(self, plain):
        self.dump.write_bytes(plain)
        return tool.run(self.options.kcrash, [str(self.dump), "-s", "--no-cache"], self.home, "\n".join(COMMANDS) + "\n", 120)

    def lines(self):
        """(where the line begins, key, value) of the text."""
        begin = self.plain.index(b"OSRELEASE=")
        end = begin + re.search(rb"[^\n -~]|\n\n", self.plain[begin:]).start()
        at = begin
        for line in self.plain[begin:end].decode().splitlines(keepends=True):
            if line.endswith("\n") and "=" in line:
                yield (at, *line.rstrip("\n").split("=", 1))
            at += len(line)

    def ask(self, what, plain):
        try:
            result = self.say(plain)
        except subprocess.TimeoutExpired:
            return self.count.check(False, f"{what}: hangs")
        if not self.count.check(result.returncode in (0, 1), f"{what}: ends with status {result.returncode}", result.stderr[-1500:]):
            return False
        same = result.stdout == self.good.stdout
        return self.count.check(same or result.stderr, f"{what}: other facts without a word", difference(self.good.stdout, result.stdout))

    def patched(self, at, text):
        return self.plain[:at] + text.encode() + self.plain[at + len(text):]

    def run(self):
        for n, (at, key, value) in enumerate(self.lines()):
            kinds = list(absurd(value))
            if not DECISIVE.search(key):
                kinds = [kinds[n % len(kinds)]]
            for kind, text in kinds:
                self.ask(f"{key}={value}: {kind} ({text})", self.patched(at + len(key) + 1, text))
            if DECISIVE.search(key) or n % 3 == 0:
                self.ask(f"{key}: missing", self.patched(at, "?"))
        # A second line of the same key, with another value, in place of a line that nobody needs: the first counts.
        lines = {key: (at, value) for at, key, value in self.lines()}
        at, value = lines["CRASHTIME"]
        self.ask("PAGESIZE a second time", self.patched(at, "PAGESIZE=65536\n" + "x" * (len("CRASHTIME=") + len(value) - 15)))


def difference(before, after):
    left, right = before.splitlines(), after.splitlines()
    lines = [f"- {a}\n+ {b}" for a, b in zip(left, right) if a != b][:5]
    return "\n".join(lines) + f"\n{len(left)} lines, {len(right)} now"


def main():
    options = tool.parser(__doc__.splitlines()[0]).parse_args()
    count = tool.Count("vmcoreinfo")
    sample = tool.sample_of(options)
    if not sample:
        count.skip("the committed sample is not here")
        count.finish()
    suite = Suite(options, sample, count)
    try:
        suite.run()
    finally:
        shutil.rmtree(suite.folder)
    count.finish()


if __name__ == "__main__":
    main()
