#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Do symbols and modules agree with the guest's /proc/kallsyms and /proc/modules?

Every line of kallsyms: kcrash must have a symbol of that name at that address. Every module: name, size, address of its text.
Absolute and per-cpu symbols are compared too: kallsyms gives the same numbers.
"""
import collections
import re

from guest import Guest

LINE = re.compile(r"([0-9a-f]+) (\S) (\S+)(?:\s+\[(\S+)\])?$")


def elsewhere(guest, missing):
    """Those of them that sym knows by name: per-cpu symbols of a module lie outside of the parts that sym -m lists."""
    some = sorted(missing)[:100]
    known = set()
    for symbol, document in zip(some, guest.ask([f"sym {name}" for _, name in some]) if some else []):
        if any(item.get("name") == symbol[1] and int(item["address"], 16) == symbol[0] for item in document["items"]):
            known.add(symbol)
    return known


def main():
    guest = Guest()
    theirs = collections.defaultdict(set)
    for line in guest.text("kallsyms").splitlines():
        found = LINE.match(line)
        if found and int(found[1], 16) and not found[3].startswith("$"):  # marks of code and data (arm64) name nothing
            theirs[found[4] or ""].add((int(found[1], 16), found[3]))
    modules = [line.split() for line in guest.text("modules").splitlines()]
    kernel, table, *rest = guest.ask(["sym -l", "mod", *[f"sym -m {m[0]}" for m in modules]])
    ours = collections.defaultdict(set)
    for module, document in zip(["", *(m[0] for m in modules)], (kernel, *rest)):
        ours[module] = {(int(item["address"], 16), item["name"].strip()) for item in document["items"] if item["kind"] == "symbol"}
    loading = {m[0]: (int(m[5], 16), int(m[5], 16) + int(m[1])) for m in modules if m[4] == "Loading"}
    for module, wanted in theirs.items():
        if module in loading:  # its list still has what it takes from others, at their addresses
            begin, end = loading[module]
            wanted = {symbol for symbol in wanted if begin <= symbol[0] < end}
        if module == "bpf" or module.startswith("__builtin"):
            continue  # programs made at run time: kallsyms makes these names up
        missing = wanted - ours[module]
        missing -= elsewhere(guest, missing)
        guest.passed += len(wanted) - len(missing)
        guest.failed += len(missing)
        for address, name in sorted(missing)[:20]:
            print(f"{name} [{module or 'kernel'}]: the guest has it at {address:#x}, kcrash has not")
    rows = {row["name"]: row for row in table["items"] if "name" in row}
    for name, size, *others in modules:
        row = rows.get(name)
        if name in loading:  # the guest counts the part that is freed once it has started
            guest.check(f"module {name}: size", True, bool(row) and 0 < row["size"] <= int(size))
        else:
            guest.check(f"module {name}: size", int(size), row and row["size"])
        guest.check(f"module {name}: base", int(others[3], 16), row and int(row["base"], 16))
    guest.check("the modules", sorted(m[0] for m in modules), sorted(rows))
    guest.end()


main()
