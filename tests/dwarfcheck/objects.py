# SPDX-License-Identifier: GPL-3.0-or-later
"""Object files for the tests of kcrash-dwarfcheck: compiled from types.c, and altered where a test says so."""
import pathlib
import re
import shutil
import struct
import subprocess

SOURCE = pathlib.Path(__file__).resolve().parent / "types.c"


def said(*command):
    return subprocess.run(list(map(str, command)), capture_output=True, text=True, check=True, env={"LC_ALL": "C", "PATH": "/usr/bin:/bin"}).stdout


class Object:
    """A file whose bytes can be changed, and what binutils says of it."""

    def __init__(self, path):
        self.path = pathlib.Path(path)

    @classmethod
    def compiled(cls, folder, name, compiler, *options):
        made = cls(pathlib.Path(folder) / f"{name}.o")
        said(compiler, *options, *([] if "-shared" in options else ["-c"]), SOURCE, "-o", made.path)
        return made

    def copy(self, name):
        return Object(shutil.copy(self.path, self.path.with_name(f"{name}.o")))

    def with_btf(self):
        said("pahole", "-J", self.path)
        return self

    def sections(self):
        """Offset in the file and bytes, by name."""
        rows = re.findall(r"^ +\[ *\d+\] (\S+) +\S+ +[0-9a-f]+ ([0-9a-f]+) ([0-9a-f]+)", said("readelf", "-SW", self.path), re.M)
        return {name: (int(offset, 16), int(size, 16)) for name, offset, size in rows}

    def patch(self, at, data):
        content = bytearray(self.path.read_bytes())
        content[at:at + len(data)] = data
        self.path.write_bytes(content)

    def section(self, name):
        offset, size = self.sections()[name]
        return self.path.read_bytes()[offset:offset + size]

    def entries(self):
        """(tag, {attribute: (offset in .debug_info, what readelf prints)}) of each entry."""
        found = []
        for line in said("readelf", "--debug-dump=info", self.path).splitlines():
            if entry := re.match(r" *<[0-9a-f]+><[0-9a-f]+>: Abbrev Number: \d+ \((\w+)\)", line):
                found.append((entry[1], {}))
            elif found and (attribute := re.match(r" *<([0-9a-f]+)> +(DW_AT_\w+) *: ?(.*)", line)):
                found[-1][1][attribute[2]] = (int(attribute[1], 16), attribute[3])
        return found

    def entry(self, tag, name):
        return next(attributes for kind, attributes in self.entries()
                    if kind == tag and re.search(rf"(^|[: ]){name}\s*$", attributes.get("DW_AT_name", (0, ""))[1]))

    def definitions(self):
        """How many entries of each kind define a type, as binutils read them."""
        kinds = {"DW_TAG_structure_type": "structs", "DW_TAG_union_type": "unions", "DW_TAG_enumeration_type": "enums", "DW_TAG_typedef": "typedefs",
                 "DW_TAG_base_type": "base_types"}
        counts = dict.fromkeys(kinds.values(), 0)
        for tag, attributes in self.entries():
            if tag in kinds and "DW_AT_declaration" not in attributes:
                counts[kinds[tag]] += 1
        return counts

    def move_btf_member(self, structure, member, bits):
        """Adds to a member's place in BTF."""
        data, base = self.section(".BTF"), self.sections()[".BTF"][0]
        header, types, types_size, strings, _ = struct.unpack_from("<IIIII", data, 4)
        name = lambda at: data[header + strings + at:data.index(0, header + strings + at)].decode()  # noqa: E731
        at = header + types
        while at < header + types + types_size:
            own, info, _ = struct.unpack_from("<III", data, at)
            kind, count = info >> 24 & 31, info & 0xffff
            if kind in (4, 5) and name(own) == structure:
                for place in range(at + 12, at + 12 + 12 * count, 12):
                    if name(struct.unpack_from("<I", data, place)[0]) == member:
                        self.patch(base + place + 8, struct.pack("<I", struct.unpack_from("<I", data, place + 8)[0] + bits))
                        return self
            at += 12 + {1: 4, 3: 12, 4: 12 * count, 5: 12 * count, 6: 8 * count, 13: 8 * count, 14: 4, 15: 12 * count, 17: 4, 19: 12 * count}.get(kind, 0)
        raise LookupError(member)
