#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""The process's own command line, as crash takes it; exit statuses; the manual page against the binary."""
import json
import pathlib
import struct
import sys

import jsonschema

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "tools"))
import kcrash as tool  # noqa: E402


def elf_with_device_dump(name, data):
    """An x86_64 dump of one page, with a note of a driver's at 4096."""
    note = struct.pack("<III8s44s", 6, 44 + len(data), 0x700, b"LINUX", name) + data + bytes(-len(data) % 4)
    header = struct.pack("<16sHHIQQQIHHHHHH", b"\x7fELF\2\1\1", 4, 62, 1, 0, 64, 0, 0, 64, 56, 2, 0, 0, 0)
    segments = struct.pack("<IIQQQQQQ", 4, 0, 4096, 0, 0, len(note), 0, 0) + struct.pack("<IIQQQQQQ", 1, 0, 8192, 0, 0, 4096, 4096, 0)
    return (header + segments).ljust(4096, b"\0") + note.ljust(4096, b"\0") + bytes(4096)


class Suite:
    def __init__(self, options, sample, count):
        self.options, self.sample, self.count, self.home = options, sample, count, tool.Home()

    def run(self, *words, stdin=""):
        return tool.run(self.options.kcrash, list(map(str, words)), self.home, stdin)

    def expect(self, what, result, status=0, out="", err=""):
        good = result.returncode == status and out in result.stdout and err in result.stderr
        self.count.check(good, what, f"status {result.returncode}, wanted {status}\nout: {result.stdout[-600:]}\nerr: {result.stderr[-600:]}")

    def without_a_dump(self):
        self.expect("--version", self.run("--version"), out="kcrash ")
        self.expect("-v", self.run("-v"), out="kcrash ")
        self.expect("--help", self.run("--help"), out="usage: kcrash [OPTION]... [VMLINUX] DUMP...")
        self.expect("-h COMMAND", self.run("-h", "set"), out="NAME\n  set - ")
        self.expect("--help COMMAND", self.run("--help", "input"), out="NAME\n  input - ")
        self.expect("-h WORD", self.run("-h", "nosuch"), 1, err="kcrash: no command or topic is named nosuch")
        self.expect("--buildinfo", self.run("--buildinfo"), out="kcrash ")
        self.expect("an unknown option", self.run("--slient"), 1, err="kcrash: unknown option --slient")
        self.expect("a near option", self.run("--minmal"), 1, err="did you mean --minimal?")
        self.expect("an argument is missing", self.run("-i"), 1, err="kcrash: -i needs FILE")
        self.expect("a value too many", self.run("--json=yes"), 1, err="kcrash: --json takes no value")
        self.expect("nothing", self.run(), 1, err="kcrash: a dump is missing")
        if self.sample.vmlinux:
            self.expect("no dump", self.run(self.sample.vmlinux), 1, err="give its dump too")

    def manual(self):
        page = tool.TOP / "doc/kcrash.1"
        made = self.run("--man").stdout
        self.count.check(page.exists() and page.read_text() == made, "doc/kcrash.1 is what the binary says: kcrash --man > doc/kcrash.1")

    def orders(self):
        words = self.sample.arguments()
        command = ["-C", "set radix"]
        self.expect("files first", self.run(*words, *command), out="radix: 10 (decimal)")
        self.expect("options first", self.run(*command, *words), out="radix: 10 (decimal)")
        if self.sample.vmlinux:
            self.expect("the dump first", self.run(self.sample.dump, *command, self.sample.vmlinux), out="radix: 10 (decimal)")
        self.expect("--hex", self.run(*words, "--hex", *command), out="radix: 16 (hex)")
        self.expect("letters together", self.run(*words, "-sC", "set radix"), out="radix: 10")
        self.expect("--command=", self.run(*words, "--command=set radix;set debug"), out="debug: 0")
        self.expect("dashes and underscores", self.run(*words, "--no-modules", "--zero-excluded", "-C", "set zero_excluded"), out="zero_excluded: on")
        self.expect("what means nothing", self.run(*words, "--no_kmem_cache", "--hash", "5", "-C", "set radix"), out="radix",
                    err="kcrash: --hash means nothing here: ")
        self.expect("-m without a value", self.run(*words, "-m", "phys_base"), 1, err="not NAME=VALUE")
        self.expect("--kaslr nonsense", self.run(*words, "--kaslr", "x"), 1, err="not an offset")
        self.expect("--kaslr auto", self.run(*words, "--kaslr", "auto", *command), out="radix")
        self.expect("--no_panic", self.run(*words, "--no_panic", "-C", "set"), out='COMMAND: "swapper/0"')
        self.expect("--offline", self.run(*words, "--offline", "hide", "-C", "set offline"), out="offline: hide")
        self.expect("-d", self.run(*words, "-d", "3", "-C", "set debug"), out="debug: 3")

    def modes(self):
        dump = self.sample.dump
        self.expect("--osrelease", self.run("--osrelease", dump), out=".")
        self.expect("--build-id", self.run("--build-id", dump))
        self.expect("-t", self.run("-t", *self.sample.arguments()), out=" UTC ")
        self.expect("--log", self.run("--log", dump), out="Linux version")
        if self.sample.vmlinux:
            self.expect("-g", self.run("-g", self.sample.vmlinux), out="carries debug information")
        self.expect("--identify", self.run("--identify", dump), out="ARCHITECTURE: x86_64\n")
        self.expect("--identify of what is no dump", self.run("--identify", __file__, dump), 1, "      FORMAT: ", "is not a dump of a format that kcrash knows")
        self.expect("--identify of nothing", self.run("--identify"), 1, err="--identify needs FILE...")
        documents = tool.documents(self.run("--json", "--identify", dump, __file__).stdout)
        self.count.check([d["ok"] for d in documents] == [True, False], "--identify --json: one document for each file", str(documents))
        facts = documents[0]["items"][0]
        self.count.check(facts["release"] == self.run("--osrelease", dump).stdout.strip() and facts["bytes"] == dump.stat().st_size and
                         facts["build_id"] == self.run("--build-id", dump).stdout.strip(), "--identify says what --osrelease and --build-id say", str(facts))
        schema = json.loads((tool.TOP / "commands/report/kcrash.schema.json").read_text())
        for document in documents:
            jsonschema.validate(document, schema)
        self.expect("-g without", self.run("-g", "/bin/true"), 1, out="carries no debug information")
        elf = self.home.path / "device.elf"
        elf.write_bytes(elf_with_device_dump(b"cxgb4_0000:01:00.4", b"registers"))
        self.expect("--identify of a dump with a device dump", self.run("--identify", elf), out=" DEVICE DUMP: cxgb4_0000:01:00.4, 9 bytes at 0x1040\n")
        words = self.sample.arguments()
        self.expect("--minimal", self.run(*words, "--minimal", "-C", "eval 1; log | head -1"), out="Linux version")
        self.expect("--minimal refuses", self.run(*words, "--minimal", "-C", "ps"), 1, err="ps: not available with --minimal")

    def scripts(self):
        words = self.sample.arguments()
        script = self.home.path / "script"
        script.write_text("# one\nset radix\n\nset debug\n")
        self.expect("-i", self.run(*words, "-s", "-i", script), out="radix: 10 (decimal)\ndebug: 0\n")
        self.expect("-i twice, and -C", self.run(*words, "-s", "-i", script, "-i", script, "-C", "set hash"), out="debug: 0\noutput radix: 10 (decimal)\ndebug: 0\nhash: on\n")
        self.expect("-i missing", self.run(*words, "-i", "/nonexistent"), 1, err="/nonexistent: No such file")
        self.expect("standard input", self.run(*words, "-s", stdin="set debug\nexit\nset radix\n"), out="debug: 0\n")
        self.expect("the echo", self.run(*words, stdin="set debug\n"), out="kcrash> set debug\ndebug: 0\n")
        result = self.run(*words, "-s", stdin="nosuch\nset debug\n")
        self.expect("a failed command does not end the rest, and is remembered", result, 1, "debug: 0\n", 'unknown command "nosuch"')
        self.expect("failed -C", self.run(*words, "-C", "set foo"), 1, err="set: invalid task or pid value: foo")
        self.expect("failed ! in a script", self.run(*words, "-C", "!exit 3"), 1, err="status 3")
        quoted = self.run(*words, "-C", 'set debug | sed "s/;/x/;s/0/a;b/"')
        self.expect("semicolons in quotes", quoted, out="debug: a;b\n")
        documents = tool.documents(self.run(*words, "--json", "-C", "set; nosuch").stdout)
        self.count.check([d["ok"] for d in documents] == [True, False], "--json says which failed", str(documents))
        errors = self.home.path / "errors"
        result = self.run(*words, "-s", stdin=f"set error {errors}\nset foo\nset error redirect\nset foo | cat\nset error default\n")
        self.count.check(errors.read_text() == "set: invalid task or pid value: foo\n", "set error FILE", result.stderr)
        self.count.check(result.stdout.count("invalid task") == 1 and "invalid task" not in result.stderr, "set error redirect", result.stdout)


def main():
    options = tool.parser(__doc__).parse_args()
    count = tool.Count("invocation")
    sample = tool.sample_of(options)
    if not sample:
        count.skip("the committed sample is not here")
        count.finish()
    suite = Suite(options, sample, count)
    for test in (suite.without_a_dump, suite.manual, suite.orders, suite.modes, suite.scripts):
        test()
    count.finish()


if __name__ == "__main__":
    main()
