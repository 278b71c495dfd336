#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Is the index that kcrash writes for GDB the one that GDB would have written?

Stock gdb writes its own of the same vmlinux ("save gdb-index"); both are read here, by the format's description in GDB's manual, and
compared: units, the code of each, and for every name its units and what it is there. Of the types and variables of one name GDB keeps
one unit, the first that defines or declares it; kcrash keeps one for each definition that differs, and of an external variable where it
is defined. Functions must have the same units in both.
"""
import bisect
import os
import pathlib
import shutil
import struct
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "tools"))
import kcrash as tool  # noqa: E402

VARIABLE, FUNCTION = 2, 3
CACHE = pathlib.Path(os.environ.get("XDG_CACHE_HOME", pathlib.Path.home() / ".cache")) / "kcrash/samples"


class Index:
    def __init__(self, path):
        data = path.read_bytes()
        self.version, units, of_types, addresses, names, pool = struct.unpack_from("<6I", data)
        self.units = list(struct.iter_unpack("<QQ", data[units:of_types]))
        self.types_units = addresses - of_types
        self.addresses = sorted(struct.iter_unpack("<QQI", data[addresses:names]))
        slots = (pool - names) // 8
        self.names, self.lost = {}, []
        for slot, (name, units) in enumerate(struct.iter_unpack("<II", data[names:pool])):
            if not name and not units:
                continue
            text = data[pool + name:data.index(b"\0", pool + name)]
            count, = struct.unpack_from("<I", data, pool + units)
            self.names[text] = {(value & 0xFFFFFF, value >> 28 & 7, value >> 31) for value in struct.unpack_from(f"<{count}I", data, pool + units + 4)}
            if self.find(data, names, pool, slots, text) != slot:
                self.lost.append(text)

    @staticmethod
    def find(data, names, pool, slots, text):
        """As GDB looks a name up: a slot that it does not reach is lost."""
        value = 0
        for byte in text.lower():
            value = (value * 67 + byte - 113) & 0xFFFFFFFF
        slot, step = value & (slots - 1), (value * 17 & (slots - 1)) | 1
        for _ in range(slots):
            name, units = struct.unpack_from("<II", data, names + 8 * slot)
            if not name and not units:
                return None
            if data[pool + name:pool + name + len(text) + 1] == text + b"\0":
                return slot
            slot = (slot + step) & (slots - 1)
        return None

    def unit_at(self, address):
        n = bisect.bisect_right(self.addresses, (address, 2**64, 0)) - 1
        return self.addresses[n][2] if n >= 0 and address < self.addresses[n][1] else None


def compare(count, name, ours, gdbs):
    count.check(ours.version == gdbs.version, f"{name}: the version", f"{ours.version}, GDB's {gdbs.version}")
    count.check(ours.units == gdbs.units, f"{name}: the units", f"{len(ours.units)}, GDB's {len(gdbs.units)}")
    count.check(ours.types_units == 0 == gdbs.types_units, f"{name}: no units of types")
    count.check(not ours.lost, f"{name}: every name is found by its hash", ours.lost[:10])
    for one, other, whose in ((ours, gdbs, "GDB's"), (gdbs, ours, "kcrash's")):
        wrong = [f"0x{begin:x}: {unit}, {whose}: {other.unit_at(begin)}" for begin, end, unit in one.addresses
                 if other.unit_at(begin) != unit or other.unit_at(end - 1) != unit]
        count.check(not wrong, f"{name}: code of {whose} units", "\n".join(wrong[:10]))
    kinds, functions, first = [], [], []
    for text, found in gdbs.names.items():
        own = ours.names.get(text, set())
        if {what[1:] for what in own} != {what[1:] for what in found}:
            kinds.append((text, sorted(found)[:3], sorted(own)[:3]))
        elif {what for what in own if what[1] == FUNCTION} != {what for what in found if what[1] == FUNCTION}:
            functions.append((text, sorted(found ^ own)[:3]))
        else:
            first += [(text, what) for what in found - own if not (what[1] == VARIABLE and not what[2])]
    unknown = [text for text in ours.names if text not in gdbs.names]
    count.check(not kinds, f"{name}: {len(gdbs.names)} names are what GDB says", f"{len(kinds)}: {kinds[:10]}")
    count.check(not functions, f"{name}: functions have the units that GDB sees", f"{len(functions)}: {functions[:10]}")
    count.check(not first, f"{name}: types and static variables have the unit that GDB keeps", f"{len(first)}: {first[:10]}")
    count.check(not unknown, f"{name}: no name that GDB does not see", f"{len(unknown)}: {unknown[:10]}")
    print(f"{name}: {len(ours.names)} names, {sum(map(len, ours.names.values()))} units of theirs; GDB's {len(gdbs.names)}, {sum(map(len, gdbs.names.values()))}")


def main():
    options = tool.parser(__doc__.splitlines()[0]).parse_args()
    count = tool.Count("gdb-index")
    if not shutil.which("gdb"):
        count.skip("gdb is not installed")
        count.finish()
    kernels = {sample.name: sample.vmlinux for sample in tool.committed_samples()}
    kernels["debian-6.1-amd64-cloud"] = next(iter((CACHE / "debian-6.1-amd64-cloud").glob("**/vmlinux")), None)
    for name, vmlinux in kernels.items():
        if not vmlinux or not vmlinux.exists():
            count.skip(f"{name}: is not there; make it with vmcore-samples/make {name}")
            continue
        with tempfile.TemporaryDirectory(prefix="kcrash-index-") as folder:
            folder = pathlib.Path(folder)
            plain = tool.plain_vmlinux(vmlinux, folder)
            if b"DW_TAG_partial_unit" in subprocess.run(["readelf", "--debug-dump=abbrev", plain], capture_output=True).stdout:
                count.skip(f"{name}: its units are cut in parts: GDB is left to write its own index")
                continue
            home = tool.Home()
            home.environment["KCRASH_CACHE_DIR"] = str(folder / "cache")
            said = tool.run(options.kcrash, [f"--gdb-index={plain}"], home)
            own = next((folder / "cache").rglob("*.gdb-index"), None)
            if not count.check(said.returncode == 0 and own, f"{name}: kcrash writes an index", said.stderr):
                continue
            (folder / "gdb").mkdir()
            subprocess.run(["gdb", "-nx", "-batch", str(plain), "-ex", f"save gdb-index {folder / 'gdb'}"], capture_output=True, timeout=300)
            gdbs = next((folder / "gdb").glob("*.gdb-index"), None)
            if count.check(gdbs, f"{name}: GDB writes an index"):
                compare(count, name, Index(own), Index(gdbs))
    count.finish()


if __name__ == "__main__":
    main()
