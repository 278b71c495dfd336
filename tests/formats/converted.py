#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""The pages of real dumps, written as each format of which no real specimen can be made here, are read back the same, and the kernel in them
is the same: its tasks, its log, its modules, a stack. A whole dump as a sadump and as Xen's, which have registers and no VMCOREINFO, shows
the same stack as before: KASLR is found.

    tests/formats/converted.py [--tools FOLDER] [SAMPLE...]     default: the committed samples, and those of stock kernels that are there
"""
import argparse
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "tools"))
import kcrash as tool  # noqa: E402
from seen import Seen  # noqa: E402

TOP = pathlib.Path(__file__).resolve().parents[2]
CACHE = pathlib.Path(os.environ.get("KCRASH_SAMPLES") or
                     pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "kcrash/samples")
ANY, STREAMS = ["split", "lime", "avml", "raw"], ["stream", "libvirt"]
X86_64 = ["diskdump", "lkcd", "lkcd-rle", "sadump", "sadump-media", "xen", "xen-old", "vmss"]
# What each sample's dump is written as. "rearranged" is what makedumpfile makes of a flattened file, "own-stream" what QEMU itself wrote
# of the same moment.
COMMITTED = {
    "sample-6.1": ANY + STREAMS + X86_64,
    "sample-6.1-arm64": ANY + STREAMS,
    "sample-6.1-s390x": ANY + STREAMS + ["lkcd", "lkcd-rle", "s390", "s390-extended", "s390-zlib", "vmdump"],
}
STOCK = {
    "debian-6.1-amd64-cloud": ["own-stream"],
    "debian-6.1-arm64-cloud": ["own-stream"],
    "debian-6.12-arm64-16k": ["own-stream"],
    "debian-6.1-i386": ["own-stream"] + ANY + STREAMS + ["lkcd", "vmss"],
    "debian-6.1-i386-pae": ["own-stream"],
    "debian-6.1-ppc64el": ["own-stream"] + ANY + STREAMS + ["lkcd"],
    "debian-6.1-s390x": ["own-stream"],
    "debian-6.1-armhf": ["own-stream"] + ANY + STREAMS + ["rearranged", "lkcd"],
    "debian-6.12-riscv64": ["own-stream"] + ANY + STREAMS + ["rearranged"],
    "debian-7.2-loong64": ["own-stream"] + ANY + ["rearranged"],  # whose memory has a hole that its stream has not
}
# Formats with no room for VMCOREINFO or the registers of CPUs: KASLR is found with registers alone, and those are not in a kdump.
UNANSWERED = {"sadump", "sadump-media", "xen", "xen-old"}
FILLED = {"raw", "s390", "s390-extended", "s390-zlib", "vmdump"}  # zeroes where the dump had nothing
# Bytes in which QEMU's dump and its stream may differ: the memory of a video card, with a PC's firmware or without, the memory behind what
# a PC shows of its card at 0xa0000, and the boot ROM of RISC-V's "virt".
LEFT_OUT = {0, 16 << 20, (16 << 20) + (256 << 10), 128 << 10, 60 << 10}
COMMANDS = ["ps", "log", "mod", "bt 1", "foreach bt"]
WITHOUT_PC = {"debian-7.2-loong64"}  # QEMU's dump of it has another register there, its stream has the pc
WHOLE = [("debian-6.1-amd64-cloud", "sadump"), ("debian-6.1-amd64-cloud", "xen"), ("debian-6.1-i386", "xen"), ("debian-6.1-i386-pae", "xen")]


class Conversion:
    """One sample's dump, and what kcrash says of it."""

    def __init__(self, tools, name, count, seen):
        self.tools, self.name, self.count, self.seen, self.home = tools, name, count, seen, tool.Home()
        committed = TOP / "vmcore-samples" / name
        if name in COMMITTED:
            self.vmlinux, self.dump = committed / "vmlinux.xz", committed / "vmcore"
        else:
            self.vmlinux, self.dump = CACHE / name / "vmlinux", CACHE / name / "qemu/dump.kdump"
        # QEMU's kdump of some machines does not say which it is; its stream does.
        self.source = self.dump.parent / "stream" if (self.dump.parent / "stream").exists() else self.dump
        self.said = {}

    def say(self, files, command):
        """A format without registers cannot show the stacks of running tasks: those are left out."""
        result = tool.run(self.tools / "kcrash", [str(self.vmlinux), *files, "-s"], self.home, command + "\n", 300)
        if command != "foreach bt":
            return result.stdout
        tasks = re.split(r"(?m)^(?=PID: )", result.stdout)
        return "".join(task for task in tasks if not self.running(task))

    def running(self, task):
        found = re.match(r"PID: \d+ +TASK: ([0-9a-f]+)", task)
        return found and found[1] in self.running_tasks

    def write(self, name, path):
        """The words for kcrash."""
        if name == "rearranged":
            with open(self.dump, "rb") as flattened:
                subprocess.run(["makedumpfile", "-R", path], stdin=flattened, check=True, capture_output=True)
            return [str(path)]
        made = subprocess.run([self.tools / "dump_convert", name, self.source, path], capture_output=True, text=True, check=True)
        return made.stdout.split()

    def check(self, name, files):
        what, failed = f"{self.name} as {name}", self.count.failed
        original = self.dump if name in ("own-stream", "rearranged") else self.source
        answer = subprocess.run([self.tools / "dump_compare", original, ",".join(files)], capture_output=True, text=True)
        counts = re.search(r"identical (\d+), different (\d+), only in the first (\d+), only in this (\d+) \(of (\d+) bytes\)", answer.stdout)
        identical, different, lost, more, size = map(int, counts.groups()) if counts else (0, 0, 0, 0, 0)
        if name == "own-stream":
            good = lost * size in LEFT_OUT and more * size in LEFT_OUT
        else:
            good = lost == 0 and (more == 0 or name in FILLED)
        self.count.check(identical > 1000 and different == 0 and good, f"{what}: the same pages", answer.stdout + answer.stderr)
        commands = [] if name in UNANSWERED else COMMANDS + (["bt -a"] if name == "own-stream" else [])
        for command in commands:
            answer, wanted = self.say(files, command), self.said[command]
            same = answer == wanted or (command == "bt -a" and self.name in WITHOUT_PC and but_for_the_pc(answer) == but_for_the_pc(wanted))
            self.count.check(same, f"{what}: {command}", difference(wanted, answer))
        if self.count.failed == failed:
            self.seen.dump(self.tools / "kcrash", files, "real" if name == "own-stream" else "rewritten", kernel=self.vmlinux)

    def run(self, formats):
        self.running_tasks = set(re.findall(r"(?m)^> +\d+ +\d+ +\d+ +([0-9a-f]+)", self.say([str(self.dump)], "ps")))
        self.said = {command: self.say([str(self.dump)], command) for command in [*COMMANDS, "bt -a"]}
        self.count.check(len(self.running_tasks) > 0 and all(len(said.splitlines()) > 1 for said in self.said.values()),
                         f"{self.name}: the dump itself answers", repr({command: said[-300:] for command, said in self.said.items()}))
        for name in formats:
            if name == "rearranged" and not shutil.which("makedumpfile"):
                self.count.skip(f"{self.name} as rearranged: makedumpfile is not installed")
                continue
            if name == "own-stream":
                self.own_stream()
                continue
            with tempfile.TemporaryDirectory(prefix="kcrash-converted-") as folder:
                self.check(name, self.write(name, pathlib.Path(folder) / name))

    def own_stream(self):
        stream = self.dump.parent / "stream"
        if stream.exists():
            self.check("own-stream", [str(stream)])
        else:
            self.count.skip(f"{self.name}: QEMU wrote no stream")


def but_for_the_pc(stacks):
    """The registers but that one, and the stacks from the caller of the CPU's function on, which a stack without a pc begins with or is above of."""
    tasks = re.split(r"(?m)^(?=PID: )", re.sub(r"(?m)^ *#\d+ ", "# ", stacks))
    return [re.sub(r"\A((?:.*\n)*?) era .*\n(.*\n)(?:# .* (?:stop_this_cpu|vpanic) at .*\n)?", r"\1\2", task) for task in tasks]


def difference(wanted, found):
    wanted, found = wanted.splitlines(), found.splitlines()
    return "\n".join([f"- {line}" for line in wanted if line not in found][:10] + [f"+ {line}" for line in found if line not in wanted][:10])


def stack(tools, vmlinux, dump):
    answer = subprocess.run([tools / "kcrash", vmlinux, dump, "-s", "-C", "bt"], capture_output=True, text=True)
    return re.findall(r"^ *#\d+ \[[0-9a-f]+\] .*", answer.stdout, re.M) or answer.stdout + answer.stderr


def check_stack(tools, sample, name, count):
    vmlinux, dump = sample / "vmlinux", sample / "qemu/dump.kdump"
    with tempfile.TemporaryDirectory(prefix="kcrash-converted-") as folder:
        converted = pathlib.Path(folder) / name
        subprocess.run([tools / "dump_convert", name, dump, converted], check=True, capture_output=True)
        wanted, found = stack(tools, vmlinux, dump), stack(tools, vmlinux, converted)
        seen = Seen(f"{sample.name}-as-{name}")
        if count.check(wanted == found and len(wanted) > 3, f"{sample.name}, all of it as {name}: its stack", f"{found}\ninstead of\n{wanted}"):
            seen.dump(tools / "kcrash", [converted], "rewritten", kernel=vmlinux)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tools", type=pathlib.Path, default=TOP / "build/release")
    parser.add_argument("samples", nargs="*", default=[*COMMITTED, *STOCK])
    args = parser.parse_args()
    count = tool.Count("converted")
    for name in args.samples:
        if name in STOCK and not (CACHE / name / "qemu/dump.kdump").exists():
            count.skip(f"{name}: is not there")
            continue
        Conversion(args.tools, name, count, Seen(f"{name}-converted")).run({**COMMITTED, **STOCK}[name])
    for name, form in WHOLE:
        if name not in args.samples:
            continue
        if (CACHE / name / "qemu/dump.kdump").exists():
            check_stack(args.tools, CACHE / name, form, count)
        else:
            count.skip(f"{name} as {form}: is not there")
    count.finish()


if __name__ == "__main__":
    main()
