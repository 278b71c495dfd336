#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Asks crash of the dump's own architecture, where that is not x86_64, what we were asked: the facts of the two are compared.

    tests/peers/foreign.py [--kcrash FILE] [--keep FOLDER] [SAMPLE...]     default: the committed samples and every sample that is there

One dump of each death is asked about. crash is what tests/peers/install_foreign left; without that of an architecture its dumps count as skipped.
A fact that the two tell otherwise fails, or is explained in KNOWN, where each reason names what third witness says that kcrash is right.
--keep leaves what both printed in a folder.
"""
import collections
import lzma
import os
import pathlib
import re
import struct
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).parent
sys.path[:0] = [str(HERE.parent / "tools"), str(HERE.parent / "truth"), str(HERE)]
import facts  # noqa: E402
import kcrash as tool  # noqa: E402
import known  # noqa: E402
import run as truth  # noqa: E402

FOREIGN = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "kcrash/peers/foreign"
# By e_machine and e_ident[EI_CLASS] of the kernel.
ARCHITECTURES = {(183, 2): "arm64", (22, 2): "s390x", (21, 2): "ppc64el", (40, 1): "armhf", (3, 1): "i386", (243, 2): "riscv64", (258, 2): "loong64"}
STRUCTS = ["task_struct", "mm_struct", "vm_area_struct", "page", "inode", "dentry", "file", "super_block", "module", "rq", "sock", "net_device",
           "kmem_cache", "zone", "pglist_data", "cred", "signal_struct", "files_struct", "mount", "irq_desc", "sk_buff", "pid"]
COMMANDS = ["sys", "ps", "bt", "foreach bt", "log", "mod", "kmem -i", "kmem -s", "kmem -v", "kmem -z", "sym -l", "ps -S", "ps -A", "ps -l", "log -d", "kmem -V",
            "p runqueues:0", "p init_task", "whatis schedule", "rd -8 linux_banner 16", "rd -16 linux_banner 16", "rd -32 linux_banner 16", "rd -s init_task 40",
            "rd linux_banner 64", "rd jiffies 64", "rd init_task 64", "rd saved_command_line 64",
            *(f"dis {function}" for function in ("schedule", "vfs_write", "panic", "kmem_cache_alloc")),
            *(f"struct {name} -o" for name in STRUCTS)]
# What kcrash may not have yet: asked where its "help" lists the command.
LATER = ["mount", "files -c 1", "vm -c 1", "runq", "timer", "irq", "net", "dev", "swap", "ipcs", "mach"]
SHOWN = 6


def architecture_of(vmlinux):
    """As Debian names it; None where there is no crash of it to compare with, or it is this machine's."""
    with (lzma.open if vmlinux.suffix == ".xz" else open)(vmlinux, "rb") as file:
        head = file.read(20)
    return ARCHITECTURES.get((struct.unpack(">H" if head[5] == 2 else "<H", head[18:20])[0], head[4]))


class Program:
    """One of the two. Each command's output goes to a file of its own, as both can do."""

    def __init__(self, words, prefix, folder):
        self.words, self.folder = list(map(str, words)), folder / prefix
        self.folder.mkdir(parents=True, exist_ok=True)
        self.home = tool.Home()
        self.home.environment["TERM"] = "dumb"

    def say(self, commands, seconds):
        """(what each command printed, what came elsewhere)"""
        names = [re.sub(r"\W+", "_", command).strip("_") for command in commands]
        script = self.folder / "commands"
        script.write_text("".join(f"{command} > {self.folder / name}\n" for command, name in zip(commands, names)) + "exit\n")
        try:
            run = subprocess.run([*self.words, "-s", "-i", str(script)], stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace",
                                 timeout=seconds, env=self.home.environment, cwd=self.home.path)
            rest = run.stdout + run.stderr
        except subprocess.TimeoutExpired:
            rest = f"not through after {seconds} s"
        outputs = [self.folder / name for name in names]
        return {command: output.read_text(errors="replace") for command, output in zip(commands, outputs) if output.exists()}, rest


class Comparison:
    def __init__(self, count, name, case):
        self.count, self.name, self.case = count, name, case
        self.reasons, self.shown = collections.Counter(), collections.Counter()

    def fact(self, command, key, theirs, ours):
        if isinstance(theirs, facts.Failure):
            self.reasons[f"crash says: {re.sub(r'[0-9a-f]{6,}', '...', theirs)}"] += 1
        elif theirs == ours:
            self.count.passed += 1
        elif (reason := known.reason(self.case, command, key, theirs, ours)):
            self.reasons[reason] += 1
        else:
            self.count.failed += 1
            self.shown[command] += 1
            if self.shown[command] <= SHOWN:
                print(f"FAILED {self.name}: {command}: {key}\ncrash  {theirs!s:.600}\nkcrash {ours!s:.600}")

    def command(self, command, theirs, ours):
        before = self.count.passed, self.count.failed
        if isinstance(theirs, facts.Failure) or isinstance(ours, facts.Failure):
            self.fact(command, "all of it", theirs, ours)
        else:
            # crash does not list symbols that are numbers, nor local names of assembler.
            for key in theirs if command == "sym -l" else [*theirs, *(key for key in ours if key not in theirs)]:
                self.fact(command, key, theirs.get(key), ours.get(key))
        passed, failed = self.count.passed - before[0], self.count.failed - before[1]
        reasons = sum(self.reasons.values())
        print(f"{self.name}: {command}: {passed} the same, {failed} not" + (f", {reasons} explained" if reasons else ""))
        for reason, number in self.reasons.items():
            print(f"    skipped {number}: {reason}")
        self.count.skipped += reasons
        self.reasons.clear()


def addresses(kcrash):
    """Commands with addresses of the dump: vtop of a task, its stack, a module, of init's code, data, heap, stack, and of nothing at all; the task itself;
    the code up to the innermost frames of the task that died."""
    said = {command: facts.facts(command, text) for command, text in kcrash.say(["ps", "mod", "bt"], 300)[0].items()}
    ps, mod, bt = (said[command] if isinstance(said.get(command), dict) else {} for command in ("ps", "mod", "bt"))
    init = next((key.split()[0] for key, pid in ps.items() if key.endswith(" pid") and pid == "1"), None)
    if not init:
        return []
    task = f"((struct task_struct *)0x{init})"
    user = [f"{task}->mm->{member}" for member in ("start_code", "start_data", "start_brk", "start_stack", "mmap_base")]
    values, _ = kcrash.say([f"p/x (unsigned long){value}" for value in (f"{task}->stack", f"{task}->active_mm->pgd", "&jiffies", *user)], 300)
    found = [match[1] for text in values.values() if (match := re.search(r"= 0x([0-9a-f]+)$", text.strip()))]
    if len(found) != len(user) + 3:
        return []
    module = [row[1] for row in mod.values()][:1]
    panicked = next((task for task in bt.values() if isinstance(task, list)), [])
    return [f"struct task_struct {init}", *(f"dis -r {address}" for _, address in panicked[:8]),
            *(f"vtop -k {address}" for address in (init, *found[:3], *module)), *(f"vtop -u -c 1 {address}" for address in found[3:]), f"vtop -c 1 {found[-1]}"]


def compare(count, options, name, architecture, vmlinux, files, recorded, folder):
    plain = tool.plain_vmlinux(vmlinux, folder)
    kcrash = Program([options.kcrash.resolve(), plain, *files], "kcrash", folder)
    crash = Program([FOREIGN / architecture / "crash", "--no_scroll", plain, *files], "crash", folder)
    there = set(kcrash.say(["help"], 300)[0].get("help", "").split("\n\n")[0].split())
    later = [command for command in LATER if command.split()[0] in there]
    commands = [*COMMANDS, *addresses(kcrash), *later]
    ours, our_rest = kcrash.say(commands, 600)
    theirs, their_rest = crash.say(commands, 3600)
    if not theirs:
        return count.skip(f"{name}: crash of {architecture}: {(their_rest.strip().splitlines() or ['says nothing'])[-1]}")
    if not ours:
        return count.check(False, f"{name}: kcrash did not answer", our_rest[-1000:])
    before = count.passed, count.failed, count.skipped
    case = known.Case(architecture, recorded, {command: facts.facts(command, text) for command, text in ours.items()}, plain)
    comparison = Comparison(count, name, case)
    for command in commands:
        if command not in theirs:
            count.skip(f"{name}: {command}: crash is gone: {(their_rest.strip().splitlines() or ['it says nothing'])[-1]}")
            break
        comparison.command(command, facts.facts(command, theirs[command]), case.ours.get(command, facts.Failure("nothing")))
    for command in LATER:
        if command not in later:
            count.skip(f"{name}: {command}: kcrash has it not yet")
    print("{}: {} passed, {} failed, {} skipped".format(name, *(now - then for now, then in zip((count.passed, count.failed, count.skipped), before))), flush=True)
    return None


def chosen(options, count):
    made = sorted(p.name for p in truth.CACHE.iterdir() if (p / "KEY").exists()) if truth.CACHE.is_dir() else []
    for name in options.samples or [*truth.committed_names(), *made]:
        with tempfile.TemporaryDirectory() as scratch:
            deaths, dumps = set(), truth.dumps_of(name, scratch)
            if not dumps and name in options.samples:
                count.skip(f"{name}: is not there; make it with vmcore-samples/make {name}")
            for dump, vmlinux, files, recorded in dumps:
                death = dump.split("/")[0]
                if vmlinux.exists() and death not in deaths and (architecture := architecture_of(vmlinux)):
                    deaths.add(death)
                    yield f"{name} {dump}", architecture, vmlinux, files, recorded


def main():
    parser = tool.parser(__doc__.splitlines()[0])
    parser.add_argument("--keep", type=pathlib.Path, help="leave what both printed here")
    parser.add_argument("samples", nargs="*")
    options = parser.parse_args()
    count = tool.Count("peers-foreign")
    for name, architecture, vmlinux, files, recorded in chosen(options, count):
        if not (FOREIGN / architecture / "crash").exists():
            count.skip(f"{name}: crash of {architecture} is not installed: tests/peers/install_foreign {architecture}")
            continue
        with tempfile.TemporaryDirectory() as scratch:
            folder = options.keep.resolve() / re.sub(r"\W+", "-", name) if options.keep else pathlib.Path(scratch)
            folder.mkdir(parents=True, exist_ok=True)
            compare(count, options, name, architecture, vmlinux, files, recorded, folder)
    count.finish()


if __name__ == "__main__":
    main()
