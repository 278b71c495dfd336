# SPDX-License-Identifier: GPL-3.0-or-later
"""Copies of a sample's dump with other bytes in them."""
import atexit
import json
import pathlib
import re
import shutil
import tempfile

import kcrash as tool
import kdump


class Patcher:
    """Asks kcrash where things lie in a kdump-compressed sample, and changes them in a copy."""

    def __init__(self, options, sample):
        self.options, self.sample = options, sample
        self.home = tool.Home()
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="kcrash-patched-"))
        atexit.register(shutil.rmtree, self.folder, ignore_errors=True)

    def ask(self, line, dump=None):
        """The JSON document of one command, and what was said on standard error."""
        words = [str(word) for word in self.sample.arguments()]
        words = [str(dump) if dump and word == str(self.sample.dump) else word for word in words]
        result = tool.run(self.options.kcrash, [*words, "-s", "--json", "-C", line], self.home)
        return json.loads(result.stdout), result

    def place(self, address):
        items = self.ask(f"vtop {address if isinstance(address, str) else hex(address)}")[0]["items"]
        return next(int(item["physical"], 16) for item in items if "physical" in item)

    def copy(self):
        dump = self.folder / "dump"
        shutil.copy(self.sample.dump, dump)
        dump.chmod(0o600)
        return dump

    def patched(self, address, data):
        """A copy of the dump with other bytes at a kernel address."""
        place = self.place(address)
        out = self.folder / "page"
        words = [str(word) for word in self.sample.arguments()]
        tool.run(self.options.kcrash, [*words, "-s", "-C", f"rd -p -r {out} {place & ~0xfff:#x} 4096"], self.home)
        page = bytearray(out.read_bytes()[:4096])
        page[place & 0xfff:(place & 0xfff) + len(data)] = data
        dump = self.copy()
        kdump.Kdump(dump).replace(place >> 12, bytes(page))
        return dump

    def bytes_at(self, address, size):
        """Of kernel memory."""
        out = self.folder / "bytes"
        words = [str(word) for word in self.sample.arguments()]
        tool.run(self.options.kcrash, [*words, "-s", "-C", f"rd -r {out} {address:#x} {size}"], self.home)
        return out.read_bytes()[:size]

    def with_message(self, old, new):
        """A copy whose log has other words, of the same length, in one message."""
        ring = json.dumps(self.ask("p *prb")[0])
        begin = int(re.search(r'"data": "?(0x[0-9a-f]+)', ring)[1], 16)
        at = begin + self.bytes_at(begin, 65536).index(old)
        return self.patched(at, new.ljust(len(old))[:len(old)])
