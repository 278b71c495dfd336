#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Do kmem -s, -i, -V, -v and -z agree with the guest's slabinfo, meminfo, vmstat, vmallocinfo and zoneinfo?

Exact: every slab cache's objects in use and in all, its slabs and object size. The kernel counts as active what cpus keep at
hand, so "active_objs" is our allocated + cached. Exact too: the totals, limits, watermarks and sizes, and all areas of
vmalloc() with their callers. The record is written while the machine runs, so a few things may move, and this much is
allowed: 4 caches may differ by 4 slabs (a sheaf is filled at once), or by 16 where the node's own counters in the dump are what was
found; 2 areas may have come or gone; free and slab memory by 4 MB or 1000 pages; a counter of pages by 1000; an event may only have grown; 8 task_structs may be left of tasks that have died.
"""
import re

from guest import Guest

MOVING_CACHES, SLABS, COUNTED_SLABS, MOVING_AREAS, PAGES, BYTES, LINGERING = 4, 4, 16, 2, 1000, 4 << 20, 8
# Counters that stand among the numbers of pages, but count events.
GROWING = re.compile(r"nr_foll_pin|nr_dirtied|nr_written|nr_vmscan|nr_throttled|workingset|pgpromote|pgdemote")


def near(guest, what, theirs, ours, tolerance):
    guest.check(what, theirs, theirs if ours is not None and abs(ours - theirs) <= tolerance else ours)


def check_slabs(guest, document):
    rows = {row["name"]: row for row in document["items"] if row["kind"] == "slab-cache"}
    moved = []
    for line in guest.text("slabinfo").splitlines():
        if line.startswith(("#", "slabinfo")):
            continue
        fields = line.split()
        name, theirs = fields[0], (int(fields[1]), int(fields[2]), int(fields[3]), int(fields[14]))
        row = rows.pop(name, None)
        ours = row and (row["allocated"] + row["cached"], row["total"], row["stride"], row["slabs"])
        counted = row and (row["kernel_slabs"], row["kernel_objects"]) == (row["slabs"], row["total"])  # by the dead kernel itself
        if row and ours != theirs and abs(theirs[3] - row["slabs"]) <= (COUNTED_SLABS if counted else SLABS) and theirs[2] == row["stride"]:
            moved.append(name)
            if len(moved) <= MOVING_CACHES:
                continue
        guest.check(f"slab cache {name}: active, objects, size, slabs", theirs, ours)
    guest.check("slab caches that the guest has not", {}, rows)


def check_task_structs(guest, document, ps):
    """Each task but the first of CPU 0, which is in the kernel's data, is an object that is not free; dead ones may linger."""
    row = next((row for row in document["items"] if row["kind"] == "slab-cache" and row["name"] == "task_struct"), None)
    tasks = len(ps["items"]) - 1
    guest.check("task_structs in use", True, row is not None and tasks <= row["allocated"] <= tasks + LINGERING or (tasks, row))


def check_usage(guest, document):
    lines = re.findall(r"^(\w+):\s+(\d+) kB", guest.text("meminfo"), re.M)
    theirs = {name: int(kb) * 1024 for name, kb in lines}
    ours = {row["name"]: row["bytes"] for row in document["items"] if row["kind"] == "usage"}
    exact = {"total": "MemTotal", "buffers": "Buffers", "swap_total": "SwapTotal", "swap_free": "SwapFree",
             "commit_limit": "CommitLimit", "committed": "Committed_AS", "huge_total": "Hugetlb"}
    for key, name in exact.items():
        if name in theirs:
            guest.check(f"meminfo {name}", theirs[name], ours.get(key))
    free_pages = int(re.search(r"^nr_free_pages (\d+)", guest.text("vmstat"), re.M)[1])
    page = min((4096, 16384, 65536), key=lambda size: abs(size - theirs["MemFree"] / max(free_pages, 1)))
    for key, name in {"free": "MemFree", "cached": "Cached", "slab": "Slab"}.items():
        near(guest, f"meminfo {name}", theirs[name], ours.get(key), max(BYTES, PAGES * page))


def check_counters(guest, document):
    theirs = dict(line.split() for line in guest.text("vmstat").splitlines())
    # /proc/vmstat names some counters otherwise than the enum.
    other = {"nr_anon_mapped": "nr_anon_pages", "nr_file_mapped": "nr_mapped", "nr_file_dirty": "nr_dirty",
             "nr_slab_reclaimable_b": "nr_slab_reclaimable", "nr_slab_unreclaimable_b": "nr_slab_unreclaimable",
             "nr_kernel_stack_kb": "nr_kernel_stack", "nr_pagetable": "nr_page_table_pages"}
    for table in (i for i in document["items"] if i["kind"] == "counters"):
        for counter in table["items"]:
            name = counter["name"].lower()
            name = other.get(name, name)
            if name not in theirs:
                continue
            value, recorded = counter["value"], int(theirs[name])
            if table["name"] in ("VM_EVENT_STATES", "VM_NUMA_STAT") or GROWING.match(name):
                guest.check(f"vmstat {name} has not shrunk", True, value is not None and value >= recorded)
            else:
                near(guest, f"vmstat {name}", recorded, value, PAGES)


def other_names(guest):
    """Names of one address: the guest's, and the one that stands for all."""
    first, same = {}, {}
    for line in guest.text("kallsyms").splitlines():
        address, _, name = (line.split(None, 3) + ["", ""])[:3]
        same.setdefault(name, first.setdefault(address, name))
    return same


def check_areas(guest, document):
    theirs, names = [], other_names(guest)
    for line in guest.text("vmallocinfo").splitlines():
        found = re.match(r"0x\S+-0x\S+\s+(\d+)(?: (\S+?)\+0x\S+)?( .*)?$", line)
        if "vm_map_ram" not in line and "unpurged" not in line:
            theirs.append((int(found[1]), names.get(found[2], found[2])))
    called = [(row["size"], row["caller"]["text"].split("+")[0] if row["caller"] else None)
            for row in document["items"] if row["kind"] == "vmalloc-area"]
    ours = [(size, names.get(name, name)) for size, name in called]
    moved = 0
    for each in set(theirs) | set(ours):
        moved += abs(theirs.count(each) - ours.count(each))
        if theirs.count(each) != ours.count(each) and moved <= MOVING_AREAS:
            continue
        guest.check(f"vmalloc areas of {each[0]} bytes for {each[1]}", theirs.count(each), ours.count(each))


def check_zones(guest, document):
    zones = {(z["node"], z["name"]): z["items"] for z in document["items"] if z["kind"] == "zone"}
    for text in re.split(r"^(?=Node )", guest.text("zoneinfo"), flags=re.M)[1:]:
        node, name = re.match(r"Node (\d+), zone\s+(\S+)", text).groups()
        field = {key: int(value) for key, value in re.findall(r"^\s+(min|low|high|spanned|present|managed)\s+(\d+)", text, re.M)}
        sizes = [i for i in zones.get((int(node), name), []) if i["kind"] == "size"]
        if not field.get("present"):
            guest.check(f"zone {name} of node {node} is unpopulated", [], sizes)
            continue
        for key, value in field.items():
            guest.check(f"zone {name} of node {node}: {key}", value, sizes[0][key] if sizes else None)


def check_page(guest, document):
    """The kernel's own memory is reserved (mm/memblock.c: reserve_bootmem_region())."""
    rows = [row for item in document["items"] for row in item.get("items", []) if row["kind"] == "struct_page"]
    guest.check("the page of init_task", ["reserved"], [name for row in rows for name in row["names"].split(",") if name == "reserved"])


def main():
    guest = Guest()
    slabs, usage, counters, areas, zones, ps, page = guest.ask(["kmem -s", "kmem -i", "kmem -V", "kmem -v", "kmem -z", "ps", "vtop init_task"])
    check_slabs(guest, slabs)
    check_task_structs(guest, slabs, ps)
    check_usage(guest, usage)
    check_counters(guest, counters)
    check_areas(guest, areas)
    check_zones(guest, zones)
    check_page(guest, page)
    guest.end()


main()
