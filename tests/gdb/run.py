#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Does the embedded GDB find the same stacks as bt, for every task of a dump?

    tests/gdb/run.py [--kcrash FILE] [--all] [SAMPLE...]     default: the committed samples and Debian 6.1; --all: all that are there

GDB unwinds raw registers with its own reading of DWARF; only frames of assembly, of changes of stack, and of code without debug
information are crossed with kcrash's rules. So each is the judge of the other: the addresses of all frames must be the same, to the last.
"""
import json
import pathlib
import sys
import tempfile

HERE = pathlib.Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "tools"))
sys.path.insert(0, str(HERE.parent / "truth"))
import kcrash as tool  # noqa: E402
import run as truth  # noqa: E402

USUAL = ["debian-6.1-amd64-cloud"]
# Code that runs before the page tables are on, which the kernel too does not count as its text, and what it calls.
HEAD, STARTERS = {None, "_start", "_start_kernel"}, {"start_kernel", "smp_callin", "secondary_start_kernel"}


def ask(options, arguments, *lines):
    words = [*arguments, "-s", "--json"] + [word for line in lines for word in ("-C", line)]
    return tool.documents(tool.run(options.kcrash, words, tool.Home(), timeout=900).stdout)


def of_gdb(document):
    lines = [line for item in document["items"] if item["kind"] == "text" for line in item["text"].splitlines() if line.startswith('{"task"')]
    return {int(entry["task"], 16): entry for entry in map(json.loads, lines)}


def of_bt(document):
    stacks = {}
    for task in document["items"]:
        if task["kind"] != "task":
            continue
        frames = [(int(item["ip"], 16), item["function"]) for item in task["items"] if item["kind"] == "frame"]
        user = {int(value, 16) for item in task["items"] if item["kind"] == "registers" and item["user_mode"]
                for name, value in item.items() if name != "address" and isinstance(value, str) and value.startswith("0x")}
        stacks[int(task["task"], 16)] = (frames, user)
    return stacks


def compare(count, name, ours, theirs, tracers):
    for address, (frames, user) in sorted(ours.items()):
        entry = theirs.get(address)
        if not count.check(entry is not None, f"{name}: task {address:#x} is no thread of GDB's"):
            continue
        found = [(int(pc, 16), function) for pc, function, _ in entry["frames"]]
        found = [frame for frame in found if frame[1] not in tracers]
        first = len(found) > 1 and found[-1][1] in HEAD and found[-2][1] in STARTERS
        ends = found and (found[-1][0] in user or found[-1][0] == 0 or (entry["stopped"] == "outermost" and first))
        if ends:
            found.pop()  # bt shows the user's registers, GDB a frame; a return address of zero, or of before the page tables, ends a stack for bt
        show = lambda chain: "\n".join(f"    {pc:#x} {function}" for pc, function in chain)
        count.check([pc for pc, _ in found] == [pc for pc, _ in frames], f"{name}: stack of task {address:#x}",
                    f"  kcrash\n{show(frames)}\n  GDB (stopped: {entry['stopped']})\n{show(found)}")


def chosen(options, count):
    """One dump of each death: its name, and kcrash's arguments."""
    made = sorted(p.name for p in truth.CACHE.iterdir() if (p / "KEY").exists()) if options.all else USUAL
    for name in options.samples or [sample.name for sample in tool.committed_samples()] + made:
        with tempfile.TemporaryDirectory() as scratch:
            deaths = {}
            for dump, vmlinux, files, _ in truth.dumps_of(name, scratch):
                if vmlinux.exists():
                    deaths.setdefault(dump.split("/")[0], (vmlinux, files))
            if not deaths:
                count.skip(f"{name} is not there; make it with vmcore-samples/make {name}")
            for death, (vmlinux, files) in deaths.items():
                modules = vmlinux.parent / "modules"
                yield f"{name} {death}", [str(vmlinux), *map(str, files), *(["--mod", str(modules)] if modules.is_dir() else [])]


def main():
    parser = tool.parser(__doc__)
    parser.add_argument("--all", action="store_true")
    parser.add_argument("samples", nargs="*")
    options = parser.parse_args()
    count = tool.Count("gdb")
    for name, arguments in chosen(options, count):
        bt, _, gdb = ask(options, arguments, "foreach bt", "p 1", f"gdb source {HERE / 'all_frames.py'}")
        compare(count, name, of_bt(bt), of_gdb(gdb), {"return_to_handler"})
    count.finish()


if __name__ == "__main__":
    main()
