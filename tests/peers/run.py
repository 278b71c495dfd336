#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Asks drgn what we were asked: tasks, the stack of each, layouts of structs, addresses of symbols.

    tests/peers/run.py [--kcrash FILE] [--all] [SAMPLE...]     default: the committed samples; --all: every sample that is there

One dump of each death is asked about. Skipped where drgn is not installed, or does not know the architecture. Compared are return
addresses, from our first frame on: where a sleeping task's stack begins, each shows in its own way (the scheduler's frame, or the
place in the switch itself). drgn does not see behind the return addresses that a tracer put on a stack.
"""
import collections
import json
import os
import pathlib
import random
import re
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "tools"))
sys.path.insert(0, str(HERE.parent / "truth"))
import kcrash as tool  # noqa: E402
import run as truth  # noqa: E402

PEERS = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "kcrash/peers/bin"
STRUCTS = ["task_struct", "mm_struct", "vm_area_struct", "page", "inode", "dentry", "file", "super_block", "module", "rq", "sock", "net_device",
           "kmem_cache", "zone", "pglist_data", "cred", "signal_struct", "sighand_struct", "files_struct", "fs_struct", "mount", "address_space",
           "bio", "request_queue", "irq_desc", "hrtimer", "work_struct", "rb_node", "xarray", "sk_buff", "pid", "nsproxy", "user_struct"]


def ours(options, arguments, lines):
    words = [options.kcrash, *arguments, "-s", "--json"] + [word for line in lines for word in ("-C", line)]
    return tool.documents(tool.run(words[0], words[1:], tool.Home(), timeout=600).stdout)


def items_of(document, kind):
    return [item for item in document["items"] if item["kind"] == kind]


def offsets(text):
    """Of `struct -o`: each name's offset in bytes, the outermost where a name comes twice."""
    found = {}
    for line in text.splitlines():
        if (match := re.match(r" *\[(\d+)\] .*?(\w+)(?:\[[^;]*\])*(?:\)\([^;]*\))?(?: : \d+)?;$", line)):
            found.setdefault(match[2], int(match[1]))
    return found


class Comparison:
    def __init__(self, options, count, name, arguments, peer):
        self.options, self.count, self.name, self.arguments, self.peer = options, count, name, arguments, peer

    def tasks(self, document):
        mine = {int(t["task"], 16): (t["pid"], t["command"]) for t in items_of(document, "task")}
        theirs = {address: (pid, comm) for address, pid, comm, _ in self.peer["tasks"]}
        for address in sorted(mine.keys() | theirs.keys()):
            self.count.check(mine.get(address) == theirs.get(address), f"{self.name}: task {address:#x}", f"kcrash {mine.get(address)}, drgn {theirs.get(address)}")

    def stacks(self, document, tracers):
        mine = {int(t["task"], 16): [int(f["ip"], 16) for f in t["items"] if f["kind"] == "frame"] for t in items_of(document, "task")}
        reasons = collections.Counter()
        for address, pid, comm, chain in self.peer["tasks"]:
            frames = mine.get(address, [])
            if isinstance(chain, str) or not frames or not chain:
                reasons[chain if isinstance(chain, str) and chain else "one of the two has no stack"] += 1
            elif frames[0] not in chain:
                reasons["the two begin at different places"] += 1
            else:
                rest = chain[chain.index(frames[0]):]
                while rest[-1] == 0:  # as drgn ends at an interrupt of s390x
                    rest.pop()
                if tracers & set(rest):
                    reasons["drgn meets a tracer"] += 1
                elif len(rest) < len(frames) and frames[:len(rest)] == rest:
                    reasons[f"drgn ends earlier ({len(frames) - len(rest)} frames)"] += 1
                else:
                    self.count.check(rest[:len(frames)] == frames, f"{self.name}: stack of {pid} {comm}",
                                     f"kcrash {' '.join(map(hex, frames))}\ndrgn   {' '.join(map(hex, rest))}")
        for reason, number in reasons.items():
            self.count.skip(f"{self.name}: {number} stacks: {reason}")
            self.count.skipped += number - 1

    def symbols(self, known):
        for name, address in self.peer["symbols"].items():
            if address is not None:
                self.count.check(address in known[name], f"{self.name}: symbol {name}", f"kcrash {' '.join(map(hex, known[name]))}, drgn {address:#x}")

    def structs(self):
        for name, theirs in self.peer["structs"].items():
            text = tool.run(self.options.kcrash, [*self.arguments, "-s", "-C", f"{name} -o"], tool.Home()).stdout
            size = re.search(r"^SIZE: (\d+)$", text, re.M)
            if not theirs or not size:
                self.count.check(bool(theirs) == bool(size), f"{self.name}: {name}: one of the two does not know it")
                continue
            self.count.check(int(size[1]) == theirs[0], f"{self.name}: size of {name}", f"kcrash {size[1]}, drgn {theirs[0]}")
            mine = offsets(text)
            for member, (offset, _) in theirs[1].items():
                if member in mine:
                    self.count.check(mine[member] == offset, f"{self.name}: {name}.{member}", f"kcrash {mine[member]}, drgn {offset}")


def compare(options, count, name, vmlinux, files):
    arguments = [str(vmlinux), *map(str, files)]
    documents = ours(options, arguments, ["ps", "foreach bt", "sym -l"])
    if len(documents) != 3:
        return count.check(False, f"{name}: kcrash did not answer")
    known = collections.defaultdict(set)
    for item in documents[2]["items"]:
        if item["kind"] == "symbol" and not item["module"]:
            known[item["name"]].add(int(item["address"], 16))
    chosen = random.Random(1).sample(sorted(n for n in known if re.fullmatch(r"\w+", n)), min(500, len(known) // 4))
    with tempfile.TemporaryDirectory() as scratch:
        plain = tool.plain_vmlinux(vmlinux, scratch)
        words = [PEERS / "drgn", "--quiet", "--no-default-symbols", "-s", plain, "-c", files[0], HERE / "ask_drgn.py", *[f"struct {s}" for s in STRUCTS], "--", *chosen]
        result = subprocess.run(list(map(str, words)), capture_output=True, text=True, timeout=900)
    try:
        peer = json.loads(result.stdout)
    except json.JSONDecodeError:
        return count.skip(f"{name}: drgn: {(result.stderr.strip().splitlines() or ['says nothing'])[-1]}")
    before = count.passed, count.failed, count.skipped
    comparison = Comparison(options, count, name, arguments, peer)
    comparison.tasks(documents[0])
    comparison.stacks(documents[1], known["return_to_handler"] | known["arch_rethook_trampoline"])
    comparison.symbols(known)
    comparison.structs()
    print("{}: {} passed, {} failed, {} skipped".format(name, *(now - then for now, then in zip((count.passed, count.failed, count.skipped), before))), flush=True)
    return None


def chosen_dumps(options):
    made = sorted(p.name for p in truth.CACHE.iterdir() if (p / "KEY").exists()) if options.all else []
    names = options.samples or [s.name for s in tool.committed_samples()] + made
    for name in names:
        with tempfile.TemporaryDirectory() as scratch:
            seen = set()
            for dump, vmlinux, files, _ in truth.dumps_of(name, scratch):
                death = dump.split("/")[0]
                if vmlinux.exists() and death not in seen:
                    seen.add(death)
                    yield f"{name} {dump}", vmlinux, files


def main():
    parser = tool.parser(__doc__.splitlines()[0])
    parser.add_argument("--all", action="store_true", help="also the samples in the cache folder")
    parser.add_argument("samples", nargs="*")
    options = parser.parse_args()
    count = tool.Count("peers")
    if not (PEERS / "drgn").exists():
        count.skip("drgn is not installed")
        count.finish()
    for name, vmlinux, files in chosen_dumps(options):
        compare(options, count, name, vmlinux, files)
    count.finish()


if __name__ == "__main__":
    main()
