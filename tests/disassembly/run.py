#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""dis beside gdb: each instruction whose bytes in the dump are those of vmlinux reads the same in both. Then dis with source.

    tests/disassembly/run.py [--functions N] [--kcrash FILE]

On every committed sample N functions, spread over all of vmlinux's text, 0 for all of them. gdb-multiarch reads vmlinux, kcrash
the dump: where the kernel was moved, addresses are moved back, and what it patched at run time is left out, since gdb cannot know
of it. Names of addresses are left out as well: of several names of one address each has its own favourite.
"""
import bisect
import collections
import pathlib
import re
import shutil
import struct
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "tools"))
import kcrash as tool  # noqa: E402

GDB = shutil.which("gdb-multiarch")
Function = collections.namedtuple("Function", "name address size")
Section = collections.namedtuple("Section", "name type flags address offset size link")
SHT_SYMTAB, SHT_NOBITS, SHF_EXECINSTR, STT_FUNC = 2, 8, 4, 2


class Elf:
    """The functions and the code of a 64-bit vmlinux."""

    def __init__(self, path):
        self.data = path.read_bytes()
        self.order = "<" if self.data[5] == 1 else ">"
        table, = self.unpack("Q", 40)
        count, = self.unpack("H", 60)
        rows = [Section(*self.unpack("IIQQQQI", table + 64 * i)) for i in range(count)]
        strings = rows[self.unpack("H", 62)[0]]
        self.sections = [row._replace(name=self.string(strings, row.name)) for row in rows]
        # Code of the start is gone by the time of a crash: its memory holds something else.
        self.code = [s for s in self.sections if s.flags & SHF_EXECINSTR and s.type != SHT_NOBITS and not s.name.startswith((".init", ".exit", ".alt"))]

    def unpack(self, fields, offset):
        return struct.unpack_from(self.order + fields, self.data, offset)

    def string(self, section, offset):
        start = section.offset + offset
        return self.data[start:self.data.index(b"\0", start)].decode()

    def functions(self):
        found = {}
        for section in (s for s in self.sections if s.type == SHT_SYMTAB):
            strings = self.sections[section.link]
            for at in range(section.offset, section.offset + section.size, 24):
                name, info, _, _, address, size = self.unpack("IBBHQQ", at)
                if info & 15 == STT_FUNC and size and self.bytes(address, size):
                    found.setdefault(address, Function(self.string(strings, name), address, size))
        return [found[address] for address in sorted(found)]

    def bytes(self, address, size):
        for section in self.code:
            if section.address <= address and address + size <= section.address + section.size:
                start = section.offset + address - section.address
                return self.data[start:start + size]
        return b""


def normal(text):
    """One instruction's text: single blanks, no names."""
    return " ".join(re.sub(r"(0x[0-9a-f]+) <[^<>]*>", r"\1", text).split())


def moved_back(item, slide):
    """kcrash's text of an instruction, the address that it names as linked."""
    text = normal(f"{item['mnemonic']} {item['operands']} {item['comment']}")
    address = item["refers_to"] and item["refers_to"]["address"]
    return text.replace(address, f"{(int(address, 16) - slide) % (1 << 64):#x}") if address else text


def ask_kcrash(options, sample, functions, slide):
    """Instructions of the dump by linked address: bytes and text."""
    lines = [f"dis -f {f.address + slide:x}" for f in functions]
    result = tool.run(options.kcrash, sample.arguments() + ["-s", "--json"], tool.Home(), "\n".join(lines) + "\n", 1800)
    found = {}
    for document in tool.documents(result.stdout):
        for item in document["items"]:
            if item["kind"] == "instruction":
                found[int(item["address"], 16) - slide] = (bytes.fromhex(item["bytes"]), moved_back(item, slide))
    return found


def ask_gdb(vmlinux, functions, folder):
    """Instructions of vmlinux by linked address."""
    script = pathlib.Path(folder) / "script"
    script.write_text("".join(f"disassemble {f.address:#x},{f.address + f.size:#x}\n" for f in functions))
    said = subprocess.run([GDB, "-nx", "-batch", "-readnever", "-x", str(script), str(vmlinux)], stdin=subprocess.DEVNULL, capture_output=True,
                          encoding="utf-8", errors="replace", timeout=1800).stdout
    found = {}
    for line in said.splitlines():
        match = re.match(r"\s*(?:=> )?0x([0-9a-f]+)(?: <[^>]*>)?:\t(.*)", line)
        if match:
            found[int(match[1], 16)] = normal(match[2])
    return found


def run_time_address(options, sample, name):
    document, = tool.documents(tool.run(options.kcrash, sample.arguments() + ["-s", "--json"], tool.Home(), f"sym {name}\n").stdout)
    return int(document["items"][0]["address"], 16)


def spread(functions, wanted):
    """About `wanted` of them, from everywhere."""
    return functions if not wanted or len(functions) <= wanted else functions[::len(functions) // wanted]


def check_sample(options, sample, count):
    with tempfile.TemporaryDirectory(prefix="kcrash-disassembly-") as folder:
        vmlinux = tool.plain_vmlinux(sample.vmlinux, folder)
        elf = Elf(vmlinux)
        every = elf.functions()
        anchor = next(f for f in every if f.name == "schedule")
        slide = run_time_address(options, sample, "schedule") - anchor.address
        functions = spread(every, options.functions)
        ours = ask_kcrash(options, sample, functions, slide)
        theirs = ask_gdb(vmlinux, functions, folder)
    compare(sample, elf, functions, ours, theirs, count)


def compare(sample, elf, functions, ours, theirs, count):
    starts = sorted(ours)
    patched = same = 0
    for function in functions:
        wrong = []
        for address in starts[bisect.bisect_left(starts, function.address):bisect.bisect_left(starts, function.address + function.size)]:
            code, text = ours[address]
            if code != elf.bytes(address, len(code)) or address not in theirs:
                patched += 1
            elif text != theirs[address]:
                wrong.append(f"{address:#x}: kcrash {text!r}, gdb {theirs[address]!r}")
            else:
                same += 1
        count.check(not wrong, f"{sample.name}: {function.name}: {len(wrong)} instructions differ", "\n".join(wrong[:5]))
    print(f"{sample.name}: {len(functions)} functions, {same} instructions the same, {patched} patched or moved by the kernel")
    count.check(same > 4 * patched, f"{sample.name}: most of the code could be compared", f"{same} compared, {patched} not")


def check_source(options, sample, count):
    """dis -s and -ls, with a file in which each line says its number, and line 170 is where functions end."""
    with tempfile.TemporaryDirectory(prefix="kcrash-source-") as folder:
        file = pathlib.Path(folder) / "drivers/tty/sysrq.c"
        file.parent.mkdir(parents=True)
        file.write_text("".join("}\n" if n == 170 else f"\tline {n}\n" for n in range(1, 1200)))
        lines = ["!echo @", "dis -s sysrq_handle_crash+5", "!echo @", "dis -s sysrq_handle_crash+5 2", "!echo @", "dis -ls sysrq_handle_crash+5"]
        said = tool.run(options.kcrash, sample.arguments() + ["-s", "--src", folder], tool.Home(), "\n".join(lines) + "\n").stdout
        missing = tool.run(options.kcrash, sample.arguments() + ["-s", "--src", folder], tool.Home(), "dis -s panic\n").stderr
    count.check(re.fullmatch(r'dis: panic: source code is not available; searched (\S*kernel/panic\.c), and its end in ' + re.escape(folder)
                             + r', \S+: "--src DIR" names its folder\n', missing), "dis -s: what is not here, and where it was looked for", missing)
    whole, part, mixed = said.split("@\n")[1:]
    head = re.match(r"FILE: \S*drivers/tty/sysrq.c\nLINE: (\d+)\n\n", whole)
    if not count.check(head, "dis -s: file and line", whole[:300]):
        return
    at = int(head[1])
    listing = [f"{'*' if n == at else ' '} {n}\t" + ("}" if n == 170 else f"        line {n}") for n in range(at - 5, 171)]
    count.check(whole == head[0] + "\n".join(listing) + "\n", "dis -s: from five lines before the mark to the end of the function", whole)
    count.check(part == head[0] + "\n".join(listing[:8]) + "\n", "dis -s: with a count, that many lines behind the mark", part)
    count.check(re.fullmatch(rf"\S*drivers/tty/sysrq.c: {at}\n{at}\t        line {at}\n0x\w+ <sysrq_handle_crash\+5>:\t.*\n", mixed), "dis -ls: the line before the code", mixed)


def main():
    parser = tool.parser(__doc__.splitlines()[0])
    parser.add_argument("--functions", type=int, default=1000)
    options = parser.parse_args()
    count = tool.Count("disassembly")
    samples = tool.committed_samples() if GDB else []
    if not samples:
        count.skip("gdb-multiarch, or a committed sample, is not here")
    for sample in samples:
        check_sample(options, sample, count)
    if samples:
        check_source(options, samples[0], count)
    count.finish()


if __name__ == "__main__":
    main()
