#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real dump, written as each format that crash reads too, opened by both: what they say of it is the same.

    tests/formats/peers.py [--keep FOLDER]

The files are what tests/tools/dump_convert.cpp writes, so crash here is the judge of our reading of each specification: a header in a wrong place
and it opens nothing. crash has neither KASLR's offset nor phys_base in these formats and is told; kcrash finds them. crash is looked for in $PATH and in
~/.cache/kcrash/peers/bin; without it, or without the sample, all is skipped.
"""
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "tools"))
import kcrash as tool  # noqa: E402

CACHE = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "kcrash"
# Whether the format keeps the registers that the dump had: then stacks are compared too.
FORMATS = {"diskdump": False, "lkcd": False, "sadump": True, "sadump-media": True, "xen-sorted": False, "vmss": False, "raw": False}
ADDRESSES = ["0", "9f000", "1000000", "5f3c000", "10000000", "2c8079c0", "2ffde000"]
COMMANDS = ["sys", "ps", "mod", *(f"rd -p {address} 32" for address in ADDRESSES), "log"]
FIELDS = re.compile(r"^ *(CPUS|DATE|UPTIME|LOAD AVERAGE|TASKS|NODENAME|RELEASE|VERSION|MEMORY|MACHINE): .*$", re.M)
STEP = re.compile(r"^ *#\d+ (\[[0-9a-f]+\] \S+ at [0-9a-f]+)", re.M)


def told(dump, key):
    """A number of VMCOREINFO, from the text in the file."""
    return re.search(rb"\n" + re.escape(key) + rb"=(\S+)\n", dump.read_bytes())[1].decode()


class Peers:
    def __init__(self, options, crash, sample, count):
        self.options, self.crash, self.sample, self.count, self.home = options, crash, sample, count, tool.Home()
        dump = sample / "qemu/dump.kdump"
        self.known = [f"--kaslr=0x{told(dump, b'KERNELOFFSET')}", "-m", f"phys_base={told(dump, b'NUMBER(phys_base)')}"]

    def say(self, program, words, commands, folder):
        """What each of the commands printed, without the blanks at the ends of lines."""
        script, outputs = folder / "commands", [folder / f"output{n}" for n in range(len(commands))]
        # The peers' own root has this machine under /host: see its script.
        top = "/host" if str(program).startswith(str(CACHE)) else ""
        script.write_text("".join(f"{command} > {top}{output}\n" for command, output in zip(commands, outputs)) + "exit\n")
        run = subprocess.run([program, "-s", *words, self.sample / "vmlinux", "-i", script], capture_output=True, text=True, errors="replace",
                             timeout=600, stdin=subprocess.DEVNULL, cwd=folder)
        texts = [output.read_text(errors="replace") for output in outputs if output.exists()]
        for output in outputs:
            output.unlink(missing_ok=True)
        return [re.sub(r"[ \t]+$", "", text, flags=re.M).strip("\n") for text in texts], run.stdout[-1500:] + run.stderr[-1500:]

    def compare(self, name, registers, folder):
        dump = folder / name
        subprocess.run([self.options.kcrash.parent / "dump_convert", name, self.sample / "qemu/dump.kdump", dump], check=True, capture_output=True)
        file = f"{dump}@0" if name == "raw" else str(dump)
        commands = COMMANDS + (["bt"] if registers else [])
        theirs, their_errors = self.say(self.crash, [*self.known, file], commands, folder)
        ours, our_errors = self.say(self.options.kcrash, [file], commands, folder)
        dump.unlink()
        if not self.count.check(len(theirs) == len(commands), f"{name}: crash opens it", their_errors):
            return
        if not self.count.check(len(ours) == len(commands), f"{name}: kcrash opens it", our_errors):
            return
        for command, left, right in zip(commands, theirs, ours):
            left, right = comparable(command, left), comparable(command, right)
            if command == "bt":
                # crash leaves out callers behind a call that does not return; each frame it has, we have.
                left, right = STEP.findall(left), STEP.findall(right)
                self.count.check(len(left) > 4 and set(left[1:]) <= set(right), f"{name}: bt", f"crash {left}\nkcrash {right}")
                continue
            if command == "sys":
                left, right = same_second(left, right)
            self.count.check(left and left == right, f"{name}: {command}", difference(left, right))


def comparable(command, text):
    """Without what the two say otherwise of any dump, for reasons of their own."""
    if command == "sys":  # the files' names, the format, quotes
        return "\n".join(found[0] for found in FIELDS.finditer(text))
    # What is no letter: crash prints it, or a dot; kcrash \\x1b.
    lines = [line for line in text.splitlines() if not re.search(r"\x1b|\\x1b|\.\[31m", line)]
    if command == "ps":  # tests/truth/tasks.py has the guest's word on RSS; crash counts otherwise where two tasks share memory
        lines = [line[:1] + " ".join(word for n, word in enumerate(line[1:].split()) if n not in (5, 7)) for line in lines]
    return "\n".join(lines)


def same_second(theirs, ours):
    """crash counts ticks, which a CPU that is stopped does not: its UPTIME may be a second behind the kernel's clock, which /proc/uptime shows."""
    clocks = [re.search(r"(\d\d):(\d\d):(\d\d)", line[0]) for line in (re.findall(r"UPTIME: .*", text) for text in (theirs, ours)) if line]
    if len(clocks) == 2 and all(clocks):
        theirs_s, ours_s = (sum(int(part) * unit for part, unit in zip(clock.groups(), (3600, 60, 1))) for clock in clocks)
        if ours_s - theirs_s == 1:
            theirs = theirs.replace(clocks[0][0], clocks[1][0])
    return theirs, ours


def difference(left, right):
    pairs = [f"crash  {a}\nkcrash {b}" for a, b in zip(left.splitlines(), right.splitlines()) if a != b]
    return "\n".join(pairs[:4]) + f"\n{len(left.splitlines())} lines, {len(right.splitlines())}"


def main():
    options = tool.parser(__doc__.splitlines()[0]).parse_args()
    count = tool.Count("formats-peers")
    crash = shutil.which("crash", path=f"{CACHE / 'peers/bin'}:{os.environ['PATH']}")
    sample = pathlib.Path(os.environ.get("KCRASH_SAMPLES") or CACHE / "samples") / "debian-6.1-amd64-cloud"
    if not crash or not (sample / "qemu/dump.kdump").exists():
        count.skip("crash or the sample debian-6.1-amd64-cloud is not here")
        count.finish()
    peers = Peers(options, crash, sample, count)
    with tempfile.TemporaryDirectory(prefix="kcrash-peers-") as folder:
        for name, registers in FORMATS.items():
            peers.compare(name, registers, pathlib.Path(folder))
    count.finish()


if __name__ == "__main__":
    main()
