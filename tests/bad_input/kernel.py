#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Damaged kernel structures: a free list, a vmalloc list, a message, struct pages. What is wrong is told, the rest is shown."""
import json
import pathlib
import re
import shutil
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "tools"))
import kcrash as tool  # noqa: E402
import kdump  # noqa: E402
from patched import Patcher  # noqa: E402


class Suite(Patcher):
    def __init__(self, options, sample, count):
        super().__init__(options, sample)
        self.count = count

    def free_list(self):
        """The free pointer in a free object is overwritten."""
        items = self.ask("kmem -S")[0]["items"]
        for cache in (i for i in items if i["kind"] == "slab-cache"):
            for slab in self.slabs(cache):
                free = [o["object"] for o in slab["items"] if o["kind"] == "object" and o["state"] == "free"]
                if len(free) > 2 and slab["list"] == "partial":
                    return self.broken_free_list(cache, slab, free[0])
        self.count.check(False, "no partial slab with free objects was found")
        return None

    def slabs(self, item):
        for inner in item.get("items", []):
            if inner["kind"] == "slab":
                yield inner
            yield from self.slabs(inner)

    def broken_free_list(self, cache, slab, victim):
        # The free pointer may be anywhere in the object: all of it is overwritten.
        dump = self.patched(victim, b"\xa5" * min(cache["object_size"], 4096 - int(victim, 16) % 4096))
        document, _ = self.ask(f"kmem -S {cache['name']}", dump)
        text = json.dumps(document)
        self.count.check("its free list breaks at" in text, f"{cache['name']}: the broken free list is told", text[:1500])
        again = [s for c in document["items"] for s in self.slabs(c) if s["slab"] == slab["slab"]]
        states = {o["state"] for o in again[0]["items"] if o["kind"] == "object"} if again else set()
        self.count.check("unknown" in states, f"{cache['name']}: what the list did not reach is not called allocated", str(states))

    def struct_pages(self):
        """A page of struct pages is not in the dump: its slabs are missing, and it is said."""
        items = self.ask("kmem -S filp")[0]["items"]
        slab = next(s for c in items for s in self.slabs(c) if s["list"] == "full")
        dump = self.copy()
        kdump.Kdump(dump).exclude(self.place(slab["slab"]) >> 12)
        document, result = self.ask("kmem -s", dump)
        text = json.dumps(document) + result.stderr
        self.count.check("struct pages are not in the dump" in text, "missing struct pages are told", text[-1500:])
        self.count.check("the kernel counted" in text, "and so are the slabs that were not found", text[-1500:])
        self.count.check(len(document["items"]) > 50, "and the caches are there")

    def vmalloc(self):
        """The list of areas is a cycle."""
        areas = [i for i in self.ask("kmem -v")[0]["items"] if i["kind"] == "vmalloc-area"]
        offset = self.offset("vmap_area", "list")
        node = int(areas[3]["vmap_area"], 16) + offset
        dump = self.patched(f"{node:#x}", (int(areas[1]["vmap_area"], 16) + offset).to_bytes(8, "little"))
        document, result = self.ask("kmem -v", dump)
        text = json.dumps(document) + result.stderr
        ours = [i for i in document["items"] if i["kind"] == "vmalloc-area"]
        self.count.check("cycle" in text, "a cycle in the list of areas is told", text[-800:])
        self.count.check(len(ours) == len(areas), "and all areas are found, backward from its end", f"{len(ours)} of {len(areas)}")

    def offset(self, struct, member):
        words = [str(word) for word in self.sample.arguments()]
        text = tool.run(self.options.kcrash, [*words, "-s", "-C", f"struct {struct} -o"], self.home).stdout
        line = next(line for line in text.splitlines() if line.rstrip().endswith(f" {member};"))
        return int(line.strip()[1:line.strip().index("]")])

    def messages(self):
        """A page of the messages' text is left out."""
        ring = self.ask("p *prb")[0]
        data = self.find(ring, "data")
        if not data:
            self.count.skip("this kernel has no ring of messages")
            return
        dump = self.copy()
        kdump.Kdump(dump).exclude(self.place(data) + 8192 >> 12)
        whole, (part, result) = self.ask("log")[0], self.ask("log", dump)
        self.count.check(len(part["items"]) == len(whole["items"]), "no message is dropped", f"{len(part['items'])} of {len(whole['items'])}")
        text = json.dumps(part)
        self.count.check("excluded" in text, "those that are lost say why", result.stderr[:500])
        file = kdump.Kdump(dump)
        first = self.place(data) >> 12
        for page in range(256):
            try:
                file.exclude(first + page)
            except AssertionError:  # it is not in the file
                pass
        document, _ = self.ask("sys", dump)
        self.count.check("messages of the log are lost: page excluded" in json.dumps(document), "a panic whose message is lost is not called none", json.dumps(document)[-600:])

    def no_vmcoreinfo(self):
        """The dump has no VMCOREINFO: that of the kernel's memory is found. Where its page is left out, KASLR is said to be unknown."""
        dump = self.copy()
        changed = kdump.Kdump(dump)
        changed.forget_vmcoreinfo()
        whole, (found, result) = self.ask("bt")[0], self.ask("bt", dump)
        self.count.check(found["items"] == whole["items"], "without VMCOREINFO the stack is the same", result.stderr[-800:])
        changed.exclude(self.place(int(self.find(self.ask("p -x vmcoreinfo_note")[0], "value"), 16)) >> 12)
        facts = self.sample.dump.read_bytes()[:1 << 20]
        base = int(re.search(rb"NUMBER\(phys_base\)=(-?\d+)", facts)[1])
        offset = re.search(rb"KERNELOFFSET=([0-9a-f]+)", facts)[1].decode()
        words = [str(dump) if word == str(self.sample.dump) else str(word) for word in self.sample.arguments()]
        lost = tool.run(self.options.kcrash, [*words, "-m", f"phys_base={base:#x}", "-C", "bt"], self.home)
        self.count.check("--kaslr" in lost.stderr, "and where it is nowhere, --kaslr is asked for", lost.stderr[-800:])
        told = tool.run(self.options.kcrash, [*words, "-m", f"phys_base={base:#x}", f"--kaslr=0x{offset}", "-s", "-C", "bt"], self.home)
        whole = tool.run(self.options.kcrash, [str(word) for word in self.sample.arguments()] + ["-s", "-C", "bt"], self.home)
        self.count.check(told.stdout == whole.stdout, "with it the stack is the same", told.stdout + told.stderr[-800:])

    def find(self, tree, name):
        if isinstance(tree, dict):
            if name in tree and isinstance(tree[name], str) and tree[name].startswith("0x"):
                return tree[name]
            tree = list(tree.values())
        if isinstance(tree, list):
            for inner in tree:
                if (found := self.find(inner, name)):
                    return found
        return None


def main():
    options = tool.parser(__doc__).parse_args()
    count = tool.Count("bad-input-kernel")
    sample = tool.sample_of(options)
    if not sample:
        count.skip("the committed sample is not here")
        count.finish()
    suite = Suite(options, sample, count)
    try:
        for test in (suite.free_list, suite.struct_pages, suite.vmalloc, suite.messages, suite.no_vmcoreinfo):
            test()
    finally:
        shutil.rmtree(suite.folder)
    count.finish()


if __name__ == "__main__":
    main()
