#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""kcrash inside of a guest: /proc/kcore of the running kernel, and /proc/vmcore in the kernel that starts when it died.

    tests/inside/run.py [--kcrash FILE] [--keep FOLDER]

The guest has Debian's kernel of the sample debian-6.1-amd64-cloud, an initramfs with kcrash and its libraries, and no disk. What kcrash says is
compared with the guest's own /proc and with its console. Skipped without the sample, QEMU, kexec or busybox.
"""
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "tools"))
import kcrash as tool  # noqa: E402

TOP = HERE.parents[1]
CACHE = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "kcrash"
SAMPLE = pathlib.Path(os.environ.get("KCRASH_SAMPLES") or CACHE / "samples") / "debian-6.1-amd64-cloud"
PROGRAMS = {"busybox": "/bin/busybox", "kexec": "/sbin/kexec"}


def missing():
    if not (SAMPLE / "KEY").exists():
        return f"{SAMPLE.name} is not there"
    for program in ("qemu-system-x86_64", "cpio"):
        if not shutil.which(program):
            return f"{program} is not installed"
    return next((f"{name} is not installed" for name, path in PROGRAMS.items() if not os.path.exists(path)), "")


def kernel():
    """The sample's own vmlinuz, from its package, kept in the cache."""
    image = (SAMPLE / "KEY").read_text().split()[1]
    kept = CACHE / "inside" / image
    if not kept.exists():
        kept.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=kept.parent) as folder:
            subprocess.run([TOP / "vmcore-samples/make", "fetch", SAMPLE.name, folder, image], check=True, capture_output=True, timeout=600)
            package = next(pathlib.Path(folder).glob("*.deb"))
            subprocess.run(["dpkg", "-x", package, f"{folder}/x"], check=True)
            (pathlib.Path(folder) / "x/boot" / f"vmlinuz-{image.removeprefix('linux-image-')}").rename(kept)
    return kept


def add_program(root, program, name):
    """With the libraries that it is linked to, where it looks for them."""
    (root / "bin").mkdir(parents=True, exist_ok=True)
    shutil.copy(program, root / "bin" / name)
    for library in re.findall(r"(/\S+) \(0x", subprocess.run(["ldd", program], capture_output=True, text=True).stdout):
        target = root / library.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(library, target)


def pack(root, file):
    with open(file, "wb") as out:
        subprocess.run(f"cd '{root}' && find . | cpio -o -H newc --quiet | gzip -1", shell=True, check=True, stdout=out)


def make_guest(kcrash, vmlinuz, folder):
    root = folder / "root"
    root.mkdir()
    small = folder / "kcrash"
    subprocess.run(["strip", "-o", small, kcrash], check=True)
    for name, program in ((PROGRAMS["busybox"], "busybox"), (str(small), "kcrash")):
        add_program(root, name, program)
    shutil.copy(HERE / "init", root / "init")
    (root / "init").chmod(0o755)
    pack(root, folder / "capture.gz")
    add_program(root, PROGRAMS["kexec"], "kexec")
    shutil.copy(folder / "capture.gz", root)
    shutil.copy(vmlinuz, root / "vmlinuz")
    pack(root, folder / "guest.gz")


def boot(folder):
    command = ["qemu-system-x86_64", "-smp", "2,sockets=2", "-accel", "tcg,thread=multi", "-cpu", "max", "-m", "1400", "-display", "none", "-no-reboot",
               "-nic", "none", "-kernel", folder / "root/vmlinuz", "-initrd", folder / "guest.gz", "-append",
               "console=ttyS0 panic=1 crashkernel=512M", "-serial", f"file:{folder}/console.txt", "-serial", f"file:{folder}/said.txt"]
    try:
        subprocess.run(list(map(str, command)), stdin=subprocess.DEVNULL, capture_output=True, timeout=900)
    except subprocess.TimeoutExpired:
        pass  # what it said tells where it stands
    console, said = ((folder / name).read_text(errors="replace").replace("\r", "") if (folder / name).exists() else "" for name in ("console.txt", "said.txt"))
    parts = re.findall(r"(?ms)^@ (\w+)\n(.*?)^@ status (\d+)$", said)
    return console, {name: (text, int(status)) for name, text, status in parts}, said


class Guest:
    def __init__(self, count, console, parts):
        self.count, self.console, self.parts = count, console, parts

    def text(self, name):
        return self.parts.get(name, ("", -1))[0]

    def documents(self, name):
        text, status = self.parts.get(name, ("", -1))
        self.count.check(status == 0 and text.startswith("{"), f"{name}: kcrash answers", f"status {status}\n{text[-1500:]}")
        return tool.documents("".join(line + "\n" for line in text.splitlines() if line.startswith("{")))

    def own_tasks(self):
        """pid: comm, as /proc had it."""
        return {int(pid): comm for pid, comm in re.findall(r"(?m)^(\d+) \((.*?)\) \S", self.text("tasks"))}

    def check_tasks(self, name, document):
        """Those of the guest, but for what came and went with the programs that looked."""
        shown = {item["pid"]: item["command"] for item in document["items"] if item["kind"] == "task"}
        for pid, comm in self.own_tasks().items():
            passing = comm == "init" and pid != 1 or comm.startswith("kworker")  # of init's own subshells; workers are named by what they do
            self.count.check(str(shown.get(pid))[:15] == comm[:15] or passing, f"{name}: task {pid} {comm}", repr(shown.get(pid)))

    def check_system(self, name, document):
        facts = {key: value for item in document["items"] for key, value in item.items() if key != "kind"}
        self.count.check(facts.get("release") == self.text("release").strip(), f"{name}: the release is the guest's", repr(facts))
        self.count.check((facts.get("nodename"), facts.get("cpus")) == ("inside", 2), f"{name}: the guest's name and CPUs", repr(facts))
        return facts


def task_of(document):
    return next((item for item in document["items"] if item["kind"] == "task"), {"items": []})


def functions(document):
    return [item["function"] for item in task_of(document)["items"] if item["kind"] == "frame"]


def check_live(guest):
    documents = guest.documents("kcore")
    if len(documents) != 6:
        guest.count.check(False, "kcore: six answers", repr(documents)[:2000])
        return
    system, stack, *lists = documents
    guest.check_system("kcore", system)
    for tasks in lists:
        guest.check_tasks("kcore", tasks)
        guest.count.check(tasks["unreadable"] == 0, "kcore: nothing of a task is unreadable", repr(tasks)[:2000])
    active = {item["command"] for item in tasks["items"] if item["kind"] == "task" and item["active"]}
    guest.count.check("kcrash" in active, "kcore: kcrash sees itself run", repr(active))
    names = str(functions(stack))
    guest.count.check("nanosleep" in names and "schedule" in names, "kcore: the stack of the sleeper", repr(stack)[:2000])


def check_dead(guest):
    documents = guest.documents("vmcore")
    if len(documents) != 4:
        guest.count.check(False, "vmcore: four answers", repr(documents)[:2000])
        return
    system, stack, tasks, log = documents
    facts = guest.check_system("vmcore", system)
    guest.count.check(facts.get("panic") == "Kernel panic - not syncing: sysrq triggered crash", "vmcore: why it died", repr(facts))
    guest.check_tasks("vmcore", tasks)
    names = functions(stack)
    # The kernel's own trace is on the console, and a part of ours.
    trace = re.findall(r"(?m)^\[ *[\d.]+\] +(\w+)\+0x\w+/0x\w+$", guest.console.split("Kernel panic")[-1].split("RIP:")[0])
    guest.count.check(len(trace) > 4 and [n for n in names if n in trace] == [n for n in trace if n in names] and len(set(trace) - set(names)) <= 3,
                      "vmcore: the stack is the console's", f"{names}\n{trace}")
    dying = int(guest.text("dying") or -1)
    guest.count.check(task_of(stack).get("pid") == dying, "vmcore: who died", f"{task_of(stack).get('pid')} instead of {dying}")
    lines = [item.get("text", "") for item in log["items"] if item["kind"] != "note"]
    said = re.findall(r"(?m)^\[ *[\d.]+\] (.*)$", guest.console.split("Kernel panic")[0])
    found = sum(any(line and line.strip() in text for text in map(str, lines)) for line in said)
    guest.count.check(len(said) > 100 and found >= len(said) * 0.98, "vmcore: the log is the console's", f"{found} of {len(said)} lines")
    identity = guest.documents("identify")[0]["items"][0]
    guest.count.check(identity["architecture"] == "x86_64" and identity["release"] == guest.text("release").strip(), "identify", repr(identity))


def main():
    parser = tool.parser(__doc__.splitlines()[0])
    parser.add_argument("--keep", type=pathlib.Path, help="a folder for what the guest said")
    options = parser.parse_args()
    count = tool.Count("inside")
    if reason := missing():
        count.skip(reason)
        count.finish()
    with tempfile.TemporaryDirectory(prefix="kcrash-inside-") as name:
        folder = pathlib.Path(name)
        try:
            vmlinuz = kernel()
        except (subprocess.SubprocessError, StopIteration) as error:
            count.skip(f"its kernel cannot be fetched: {error} {getattr(error, 'stderr', b'')}")
            count.finish()
        make_guest(options.kcrash, vmlinuz, folder)
        console, parts, said = boot(folder)
        if options.keep:
            options.keep.mkdir(parents=True, exist_ok=True)
            for file in ("console.txt", "said.txt"):
                (options.keep / file).write_bytes((folder / file).read_bytes() if (folder / file).exists() else b"")
    guest = Guest(count, console, parts)
    wanted = {"tasks", "release", "dying", "kcore", "vmcore", "identify"}
    if not count.check(wanted <= parts.keys() and len(guest.own_tasks()) > 30, "the guest and its capture kernel end", console[-2000:] + said[-2000:]):
        count.finish()
    check_live(guest)
    check_dead(guest)
    count.finish()


if __name__ == "__main__":
    main()
