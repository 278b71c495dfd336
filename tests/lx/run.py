#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""The kernel's own scripts/gdb, unmodified, inside of kcrash: what they say is what kcrash's commands say, and what the guest said.

A truth test for both sides: a difference is a mistake of one of them, or is explained here, where it is left out of the comparison.
"""
import lzma
import os
import pathlib
import re
import subprocess
import sys
import tarfile
import tempfile

sys.path[:0] = [str(pathlib.Path(__file__).resolve().parents[1] / "tools"), str(pathlib.Path(__file__).resolve().parent)]
import kcrash as tool  # noqa: E402
import scripts  # noqa: E402

COMMANDS = ["lx-version", "lx-dmesg", "lx-ps", "lx-lsmod", "lx-mounts", "lx-iomem", "lx-timerlist", "lx-slabinfo", "lx-cmdline"]
LATER = {"lx-slabinfo": "scripts/gdb of this series has no slab.py (it came with Linux 6.6)"}  # than 6.1
# Python's own look at what the broken lx-timerlist would have said: the parts of it that do work.
DEVICES = "python import linux.timerlist as t, linux.cpus as c; d = gdb.parse_and_eval('&tick_cpu_device'); " \
          "gdb.write(t.print_tickdevice(gdb.parse_and_eval('&tick_broadcast_device'), -1)); " \
          "[gdb.write(t.print_tickdevice(c.per_cpu(d, i), i)) for i in c.each_online_cpu()]"
MARK = "@@@ lx "


class Truth:
    """What the guest recorded: a folder of a made sample, or the tarball of a committed one."""

    def __init__(self, sample):
        self.folder = sample.dump.parent / "truth"
        packed = sample.dump.parent / "truth.tar.xz"
        self.archive = tarfile.open(fileobj=lzma.open(packed)) if packed.exists() else None

    def text(self, name):
        try:
            data = self.archive.extractfile(f"truth/{name}").read() if self.archive else (self.folder / name).read_bytes()
        except (KeyError, OSError):
            return ""
        return data.decode(errors="replace")


def lx_outputs(options, sample, home, folder):
    """The text of each lx command, from one session of kcrash."""
    lines = [f"source {folder}/vmlinux-gdb.py"]
    for name in COMMANDS:
        lines += [f"!echo '{MARK}{name}'", name]
    lines += [f"!echo '{MARK}devices'", DEVICES]
    result = tool.run(options.kcrash, ["-s", *sample.arguments()], home, "\n".join(lines) + "\n", 900, merge=True)
    chunks = result.stdout.split(MARK)
    return chunks[0], {chunk.split("\n", 1)[0]: chunk.split("\n", 1)[1] for chunk in chunks[1:]}


def native(options, sample, home, commands):
    result = tool.run(options.kcrash, ["-s", "--json", *sample.arguments()], home, "\n".join(commands) + "\n", 600)
    return dict(zip(commands, (document["items"] for document in tool.documents(result.stdout))))


class Case:
    def __init__(self, series, sample, count, outputs, commands):
        self.series, self.sample, self.name, self.count, self.outputs, self.commands, self.truth = series, sample, sample.name, count, outputs, commands, Truth(sample)

    def same(self, what, lx, other):
        self.count.check(lx == other, f"{self.name}: {what}", difference(lx, other))

    def all(self):
        for name in COMMANDS:
            text = self.outputs.get(name, "")
            if name in LATER and self.series == "6.1":
                self.count.check("unknown command" in text, f"{self.name}: {name} is unknown", text[:300])
                self.count.skip(f"{self.name}: {name}: {LATER[name]}")
                continue
            if name == "lx-timerlist" and self.broken_timerlist(text):
                continue
            if name == "lx-slabinfo" and "Only support aarch64 now" in text:
                self.count.skip(f"{self.name}: lx-slabinfo: the script refuses other machines than arm64")
                continue
            if not self.count.check(text and not re.search(r"Traceback|Error occurred in|Python Exception|^gdb: ", text, re.M), f"{self.name}: {name} runs", text[-1500:]):
                continue
            getattr(self, name[3:])(text)

    def version(self, text):
        self.same("lx-version and the guest", text, self.truth.text("version"))
        system = {key: value for item in self.commands["sys"] for key, value in item.items()}
        self.same("lx-version and sys: the release", text.split()[2], system["release"])
        self.count.check(str(system["version"]) in text, f"{self.name}: lx-version and sys: the version", f"{text}{system['version']}")

    def cmdline(self, text):
        self.same("lx-cmdline and the guest", text.strip(), self.truth.text("cmdline").strip())

    def dmesg(self, text):
        ours = []
        for item in self.commands["log"]:
            if item["kind"] == "message":
                ours += [f"[{item['nanoseconds'] / 1e9:12.6f}] {shown(line)}" for line in item["text"].splitlines()]
        self.same("lx-dmesg and log, line by line", text.splitlines(), ours)

    def ps(self, text):
        theirs = {(word[0], int(word[1]), " ".join(word[2:])) for word in (line.split() for line in text.splitlines()[1:])}
        ours = {(item["task"], item["pid"], " ".join(shown(item["command"]).split())) for item in self.commands["ps"] if item["kind"] == "task"}
        first = min((item for item in self.commands["ps"] if item["pid"] == 0), key=lambda item: item["cpu"])
        # The idle tasks of the other CPUs are in no list of the kernel's.
        ours = {task for task in ours if task[1] != 0 or task[0] == first["task"]}
        self.same("lx-ps and ps: address, pid, comm", theirs, ours)

    def lsmod(self, text):
        rows = [line.split() for line in text.splitlines()[1:]]
        theirs = {(row[0], row[1], int(row[2])) for row in rows}
        ours = {(item["base"], item["name"], item["size"]) for item in self.commands["mod"] if item["kind"] == "module"}
        self.same("lx-lsmod and mod: base, name, size", theirs, ours)
        guest = [line.split() for line in self.truth.text("modules").splitlines()]
        self.same("lx-lsmod and the guest: base, name, size", theirs, {(row[5], row[0], int(row[1])) for row in guest})
        self.same("lx-lsmod and the guest: who uses it", {row[1]: sorted(row[4].split(",")) if len(row) > 4 else [] for row in rows},
                  {row[0]: sorted(filter(None, row[3].split(","))) if row[3] != "-" else [] for row in guest})

    def mounts(self, text):
        rows = [line.split() for line in text.splitlines()[1:]]
        # /proc has SB_NODIRATIME in its super_block; the kernel's show_sb_opts() does not say that flag, lx-mounts does.
        rows = [[*row[:5], row[5].replace(",nodiratime", "")] if row[4] == "proc" else row for row in rows]
        guest = [line.split() for line in self.truth.text("mounts").splitlines()]
        self.same("lx-mounts and the guest: device, folder, type", [row[2:5] for row in rows], [row[:3] for row in guest])
        # What a file system adds of its own is not in struct super_block: the scripts cannot know it.
        extra = [sorted(set(row[5].split(",")) - set(other[3].split(","))) for row, other in zip(rows, guest)]
        self.same("lx-mounts and the guest: no option that it does not have", extra, [[]] * len(guest))
        common = {"rw", "ro", "sync", "mand", "dirsync", "noatime", "nodiratime", "nosuid", "nodev", "noexec", "relatime"}
        self.same("lx-mounts and the guest: the options of all file systems", [sorted(set(row[5].split(",")) & common) for row in rows],
                  [sorted(set(row[3].split(",")) & common) for row in guest])

    def iomem(self, text):
        self.same("lx-iomem and the guest", text.splitlines(), self.truth.text("iomem").splitlines())

    def slabinfo(self, text):
        rows = [[cell.strip() for cell in line.split("|")] for line in text.splitlines()[2:]]
        theirs = {(row[0], row[1], int(row[3]), int(row[4])) for row in rows}
        ours = {(item["cache"], item["name"][:19].strip(), item["kernel_objects"], item["stride"]) for item in self.commands["kmem -s"]
                if item["kind"] == "slab-cache"}
        self.same("lx-slabinfo and kmem -s: address, name, objects, their size", theirs, ours)
        guest = {words[0][:19]: tuple(words[3:6]) for words in (line.split() for line in self.truth.text("slabinfo").splitlines()[2:])}
        self.same("lx-slabinfo and the guest: size, objects in a slab, its pages", {row[1]: (row[4], row[5], row[6]) for row in rows if row[1] in guest}, guest)

    def broken_timerlist(self, text):
        """Since Linux 511885d7061e (v5.4) struct timerqueue_head has no member next, and the script of this series still asks for it. GDB
        alone is the judge: it does not know that member either."""
        missing = "There is no member named next."
        if missing not in text:
            return False
        if self.sample.vmlinux.suffix == ".xz":  # a large one takes stock GDB a gigabyte
            with tempfile.TemporaryDirectory() as folder:
                vmlinux = tool.plain_vmlinux(self.sample.vmlinux, folder)
                line = "print sizeof(((struct timerqueue_head *)0)->next)"
                stock = subprocess.run(["gdb", "-nx", "-batch", "-ex", line, str(vmlinux)], capture_output=True, text=True)
            self.count.check(missing in stock.stderr, f"{self.name}: GDB alone misses it too", stock.stderr)
        self.count.skip(f"{self.name}: lx-timerlist: the script is broken in this series: {missing}")
        self.devices(self.outputs["devices"])
        return True

    def of_online(self, timer_list):
        """What /proc/timer_list said of the CPUs that are still online: arm64 calls those offline that the panic has stopped, and the script
        asks the online ones."""
        value = next(item for item in self.commands["p __cpu_online_mask"] if item["kind"] == "value")["value"]
        width = 64  # bits of a word: all machines of SAMPLES
        online = {index * width + bit for index, word in enumerate(value["bits"]) for bit in range(width) if word >> bit & 1}
        parts = re.split(r"^(?=cpu: |Tick Device: )", timer_list, flags=re.M)
        said = [re.search(r"^(?:cpu|Per CPU device): (\d+)", part, re.M) for part in parts]
        return "".join(part for part, cpu in zip(parts, said) if not cpu or int(cpu[1]) in online)

    def timerlist(self, text):
        guest = self.of_online(self.truth.text("timer_list"))
        for what, pattern in (("the clocks", r"\.index: +(\d+)"), ("the resolution", r"\.resolution: +(\d+)"),
                              ("HRTIMER_MAX_CLOCK_BASES", r"HRTIMER_MAX_CLOCK_BASES: (\d+)"), ("the CPUs", r"^cpu: (\d+)")):
            self.same(f"lx-timerlist and the guest: {what}", re.findall(pattern, text, re.M), re.findall(pattern, guest, re.M))
        far = r"#\d+: <\S+>,.*?(\w+), S:.*?\n # expires at (\d{14,})-(\d+)"  # those that were not due before the guest died
        self.same("lx-timerlist and the guest: timers that were far off", sorted(re.findall(far, text)), sorted(re.findall(far, guest)))
        self.devices(text)

    def devices(self, text):
        guest = self.of_online(self.truth.text("timer_list"))
        for what, pattern in (("the devices", r"Clock Event Device: (.*)"), ("max_delta_ns", r"max_delta_ns: +(\d+)"),
                              ("min_delta_ns", r"min_delta_ns: +(\d+)"), ("mult", r" mult: +(\d+)"), ("shift", r" shift: +(\d+)")):
            self.same(f"tick devices and the guest: {what}", self.fields(pattern, text), re.findall(pattern, guest))
        for what in ("set_next_event", "event_handler"):
            theirs = [name or null for name, null in re.findall(rf"{what}: +(?:0x[0-9a-f]+ <(\w+)>|(0x0)$)", text, re.M)]
            self.same(f"tick devices and the guest: {what}", theirs, re.findall(rf"{what}: +(\w+)", guest))

    @staticmethod
    def fields(pattern, text):
        """GDB shows a string with its address before it."""
        return [re.sub(r'^0x[0-9a-f]+ (?:<\S+> )?"(.*)"$', r"\1", value) for value in re.findall(pattern, text)]


def shown(text):
    """Control characters as kcrash shows them, GDB's output included."""
    return re.sub(r"[\x00-\x08\x0b-\x1f\x7f]", lambda found: f"\\x{ord(found[0]):02x}", text)


def difference(lx, other):
    if isinstance(lx, set):
        return f"only in lx: {sorted(lx - other)[:10]}\nonly elsewhere: {sorted(other - lx)[:10]}"
    if isinstance(lx, list) and isinstance(other, list):
        return "\n".join(f"{number}: {a!r} / {b!r}" for number, (a, b) in enumerate(zip(lx, other)) if a != b)[:1500] + f"\n{len(lx)} / {len(other)}"
    return f"{lx!r} / {other!r}"[:1500]


def debian_sample(name):
    """(sample, the version of its kernel package), when somebody has made it."""
    folder = pathlib.Path(subprocess.run([scripts.SAMPLES, "where", name], capture_output=True, text=True).stdout.strip() or "/nonexistent")
    dumps = sorted(folder.glob("*/d31.zlib")) or sorted(folder.glob("qemu/dump.kdump"))
    if not dumps or not (folder / "KEY").exists():
        raise scripts.Unavailable(f"{name} is not made: vmcore-samples/make {name}")
    if not (folder / "config").exists():
        raise scripts.Unavailable(f"{name} is of an older recipe, without the kernel's configuration: vmcore-samples/make {name}")
    return tool.Sample(name, dumps[0], folder / "vmlinux", folder / "modules"), (folder / "KEY").read_text().split()[-1]


# Series, machine, sample. The newer series is only asked where its dump was made: its source is another 150 MB. lx-slabinfo is for arm64.
SAMPLES = [("6.1", "x86", "sample-6.1"), ("6.1", "x86", "debian-6.1-amd64-cloud"), ("6.12", "x86", "debian-6.12-amd64-cloud"),
           ("6.12", "arm64", "debian-6.12-arm64-16k")]


def run_sample(options, home, count, series, machine, name):
    try:
        if name.startswith("sample-"):  # of our own: any version of the series
            sample = tool.committed_sample()
            version, tree, checked = scripts.source_tree(series, machine)
            folder = scripts.prepare(machine, tree, name, sample.dump.parent / "kernel.config", True)
        else:
            sample, version = debian_sample(name)
            _, tree, checked = scripts.source_tree(series, machine, name, version)
            folder = scripts.prepare(machine, tree, name, sample.vmlinux.parent / "config", False)
    except scripts.Unavailable as reason:
        return count.skip(str(reason))
    count.check(checked > 10, f"{sample.name}: scripts/gdb is that of {scripts.package_of(series)} {version}", str(checked))
    first, outputs = lx_outputs(options, sample, home, folder)
    if not count.check(not first.strip(), f"{sample.name}: the scripts are loaded", first[-2000:]):
        return
    Case(series, sample, count, outputs, native(options, sample, home, ["sys", "log", "ps", "mod", "kmem -s", "p __cpu_online_mask"])).all()


def main():
    options = tool.parser(__doc__).parse_args()
    count, home = tool.Count("lx"), tool.Home()
    os.environ.setdefault("LC_ALL", "C.UTF-8")
    for series, machine, name in SAMPLES:
        run_sample(options, home, count, series, machine, name)
    count.finish()


main()
