#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""kcrash-dwarfcheck over the kernels of the samples, over what compilers write, and over files that were altered.

    tests/dwarfcheck/run.py [--build FOLDER]

How many types there are is also counted by binutils, which is none of the three readers.
"""
import argparse
import json
import os
import pathlib
import random
import shutil
import struct
import subprocess
import sys
import tempfile

TOP = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TOP / "tests/tools"))
import kcrash as tool  # noqa: E402
from objects import Object, said  # noqa: E402

CACHE = pathlib.Path(os.environ.get("KCRASH_SAMPLES") or
                     pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "kcrash/samples")
COMPILERS = [("gcc", f"-gdwarf-{version}", *more) for version in (2, 3, 4, 5) for more in ([], ["-gstrict-dwarf"])]
COMPILERS += [("gcc", "-gdwarf-5", "-fdebug-types-section", "-shared", "-nostdlib"), ("gcc", "-gdwarf-5", "-gz"), ("gcc", "-gdwarf-5", "-O2", "-flto", "-ffat-lto-objects")]
COMPILERS += [("clang", f"-gdwarf-{version}") for version in (2, 3, 4, 5)]
DAMAGED = 150  # files


class Suite:
    def __init__(self, build, folder, count):
        self.program, self.folder, self.count = build / "kcrash-dwarfcheck", pathlib.Path(folder), count

    def run(self, *words, timeout=600):
        return subprocess.run([str(self.program), *map(str, words)], capture_output=True, encoding="utf-8", errors="backslashreplace", timeout=timeout)

    def agree(self, what, file, *words, btf=True):
        """No difference, and as many types as said."""
        result = self.run("--json", *words, file)
        good = result.returncode == 0
        document = json.loads(result.stdout) if result.returncode in (0, 1) else {}
        readers = document.get("readers", {})
        good = good and readers["libdw"] == readers["libdwarf"] and readers["libdw"]["definitions"] > 0 and document["compared"]["entries"] > 0
        good = good and ("btf" in readers) == btf
        self.count.check(good, what, result.stderr + json.dumps(document)[:2000])
        if good:
            print(f"{what}: {readers['libdw']['definitions']} definitions, {document['compared']['distinct']} distinct")
        return document

    def differ(self, what, file, *lines, words=()):
        """Exactly these differences."""
        result = self.run(*words, file)
        told = result.stdout.splitlines()
        told = told[:next((i for i, line in enumerate(told) if line.startswith(f"{file}: ")), len(told))]
        self.count.check(result.returncode == 1 and told == list(lines), what, f"status {result.returncode}\n{result.stdout[:2000]}{result.stderr}")

    def refused(self, what, message, *words):
        result = self.run(*words)
        self.count.check(result.returncode == 2 and message in result.stderr and not result.stdout, what, f"status {result.returncode}\n{result.stdout[:500]}{result.stderr}")

    # ---- files of kernels
    def samples(self):
        for sample in tool.committed_samples():
            has_btf = "s390x" not in sample.name
            self.agree(f"{sample.name}: vmlinux", sample.vmlinux, btf=has_btf)
            base = ["--base", sample.vmlinux] if has_btf else []
            for module in sorted(sample.modules.iterdir()):
                self.agree(f"{sample.name}: {module.name}", module, *base, btf=has_btf)

    def debian(self):
        for name in ("debian-6.1-amd64-cloud",):
            files = sorted((CACHE / name).rglob("vmlinux*"))
            if not files:
                self.count.skip(f"{name}: is not there; make it with vmcore-samples/make {name}")
            for file in files[:1]:
                self.agree(f"{name}: {file.name}", file)

    # ---- files of compilers
    def compilers(self):
        for number, (compiler, *options) in enumerate(COMPILERS):
            what = " ".join([compiler, *options])
            if not shutil.which(compiler):
                self.count.skip(f"{what}: not installed")
                continue
            made = Object.compiled(self.folder, f"compiled{number}", compiler, *options)
            document = self.agree(what, made.path, btf=False)
            if document:
                readers = {key: document["readers"]["libdw"][key] for key in ("structs", "unions", "enums", "typedefs", "base_types")}
                self.count.check(readers == made.definitions(), f"{what}: as many types as binutils see", f"{readers} {made.definitions()}")
            if (compiler, *options) == ("clang", "-gdwarf-5"):
                self.count.check(".debug_str_offsets" in made.sections(), f"{what}: has string offsets")

    def btf_of_objects(self):
        for compiler in ("gcc", "clang"):
            if not shutil.which(compiler) or not shutil.which("pahole"):
                self.count.skip(f"BTF of what {compiler} made: {compiler} or pahole is not installed")
                continue
            made = Object.compiled(self.folder, f"btf-{compiler}", compiler, "-gdwarf-5").with_btf()
            self.agree(f"BTF that pahole made from {compiler}'s", made.path)

    # ---- files that are wrong
    def altered(self):
        plain = Object.compiled(self.folder, "plain", "gcc", "-gdwarf-5")
        self.other_relocation(plain.copy("relocation"))
        if not shutil.which("pahole"):
            return self.count.skip("altered BTF: pahole is not installed")
        plain.with_btf()
        there = int(said("gdb", "-batch", "-ex", "output/d (long)&((struct node *)0)->call", plain.path)) # a third word
        self.differ("a member was moved in BTF", plain.copy("moved").move_btf_member("node", "call", 64).path,
                    f"struct node: member call: DWARF says offset {there}, BTF {there + 8}")
        moved = plain.copy("entry")
        at, place = moved.entry("DW_TAG_member", "call")["DW_AT_data_member_location"]
        moved.patch(moved.sections()[".debug_info"][0] + at, bytes([int(place) + 8]))
        self.differ("a member was moved in DWARF", moved.path, f"struct node: member call: DWARF says offset {there + 8}, BTF {there}")
        value = plain.copy("value")
        at, _ = value.entry("DW_TAG_enumerator", "GREEN")["DW_AT_const_value"]
        value.patch(value.sections()[".debug_info"][0] + at, bytes([6]))
        self.differ("an enumerator was altered", value.path, "enum colour: enumerator GREEN: DWARF says value 6, BTF 5")
        return None

    def other_relocation(self, made):
        """libdwarf leaves out relocations that are relative to their place; we apply them: the readers see two names."""
        at, _ = made.entry("DW_TAG_structure_type", "node")["DW_AT_name"]
        start, size = made.sections()[".rela.debug_info"]
        content = made.path.read_bytes()
        for entry in range(start, start + size, 24):
            offset, info = struct.unpack_from("<QQ", content, entry)
            if offset == at:
                made.patch(entry + 8, struct.pack("<Q", info & ~0xffffffff | 2))
        result = self.run(made.path)
        self.count.check(result.returncode == 1 and "struct node: libdw says name none, libdwarf node" in result.stdout.splitlines(),
                         "a name that the readers relocate in two ways", f"status {result.returncode}\n{result.stdout[:2000]}{result.stderr}")

    def refusals(self):
        made = Object.compiled(self.folder, "refused", "gcc", "-gdwarf-5")
        alternative = made.copy("alternative")
        (self.folder / "link").write_bytes(b"/usr/lib/debug/.dwz/common.debug\0" + bytes(20))
        said("objcopy", f"--add-section=.gnu_debugaltlink={self.folder / 'link'}", alternative.path)
        self.refused("an alternative file", "a part of its DWARF is in /usr/lib/debug/.dwz/common.debug (.gnu_debugaltlink, dwz), which is not read", alternative.path)
        stripped = made.copy("stripped")
        said("objcopy", "--strip-debug", stripped.path)
        self.refused("no DWARF", f"kcrash-dwarfcheck: {stripped.path}: has no DWARF", stripped.path)
        self.refused("no such file", "kcrash-dwarfcheck: ", self.folder / "nothing")
        self.refused("a text", "kcrash-dwarfcheck: ", __file__)
        self.refused("nothing", "kcrash-dwarfcheck: FILE is missing; see --help")
        self.refused("an unknown option", "kcrash-dwarfcheck: unknown option --jso; see --help", "--jso", "x")
        self.refused("two files", "kcrash-dwarfcheck: one FILE at a time, and not b too; see --help", "a", "b")
        self.refused("a base that is missing", "kcrash-dwarfcheck: --base needs VMLINUX", "--base")
        text = self.run("--help").stdout
        self.count.check(text.startswith("usage: kcrash-dwarfcheck ") and "examples:" in text, "--help", text)
        self.count.check(self.run("--version").stdout.startswith("kcrash-dwarfcheck "), "--version")

    def damaged(self):
        """Bytes of .debug_info and .debug_abbrev flipped: the program ends by itself, with a message."""
        plain = Object.compiled(self.folder, "whole", "gcc", "-gdwarf-5")
        places = [plain.sections()[name] for name in (".debug_info", ".debug_abbrev")]
        content = plain.path.read_bytes()
        broken = self.folder / "damaged.o"
        wrong = []
        for seed in range(DAMAGED):
            dice = random.Random(seed)
            altered = bytearray(content)
            for _ in range(dice.choice((1, 2, 8))):
                offset, size = dice.choice(places)
                altered[offset + dice.randrange(size)] = dice.choice((0, 0xff, dice.randrange(256)))
            broken.write_bytes(altered)
            result = self.run(broken, timeout=60)
            if result.returncode not in (0, 1, 2) or (result.returncode == 2) != bool(result.stderr):
                wrong.append(f"seed {seed}: status {result.returncode} {result.stderr[-300:]}")
        self.count.check(not wrong, f"{DAMAGED} damaged files", "\n".join(wrong))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", type=pathlib.Path, default=TOP / "build/release")
    count = tool.Count("dwarfcheck")
    with tempfile.TemporaryDirectory(prefix="kcrash-dwarfcheck-") as folder:
        suite = Suite(parser.parse_args().build, folder, count)
        for part in (suite.refusals, suite.compilers, suite.btf_of_objects, suite.altered, suite.damaged, suite.samples, suite.debian):
            part()
    count.finish()


main()
