# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs kcrash for the test suites: where the binary and the samples are, what it printed, how a suite counts."""
import argparse
import dataclasses
import json
import lzma
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

TOP = pathlib.Path(__file__).resolve().parents[2]


@dataclasses.dataclass
class Sample:
    """A dump and what belongs to it. name: "sample-6.1"."""
    name: str
    dump: pathlib.Path
    vmlinux: pathlib.Path | None = None
    modules: pathlib.Path | None = None

    def arguments(self):
        words = [str(self.vmlinux)] if self.vmlinux else []
        words += [str(self.dump)]
        return words + (["--mod", str(self.modules)] if self.modules else [])


def committed_sample():
    """The sample in the tree, or None when it is not there."""
    folder = TOP / "vmcore-samples/sample-6.1"
    if not (folder / "vmcore").exists():
        return None
    return Sample("sample-6.1", folder / "vmcore", folder / "vmlinux.xz", folder / "modules")


def committed_samples():
    """All samples in the tree: one for each architecture that has one."""
    folders = sorted(f for f in (TOP / "vmcore-samples").glob("sample-*") if (f / "vmcore").exists())
    return [Sample(f.name, f / "vmcore", f / "vmlinux.xz", f / "modules") for f in folders]


def parser(description):
    """The options that every suite has."""
    p = argparse.ArgumentParser(description=description)
    p.add_argument("--kcrash", type=pathlib.Path, default=TOP / "build/release/kcrash")
    p.add_argument("--dump", type=pathlib.Path, help="another dump than the committed sample's")
    p.add_argument("--vmlinux", type=pathlib.Path)
    p.add_argument("--modules", type=pathlib.Path)
    p.add_argument("--name", default="", help="what the other dump is called: golden files are found by it")
    return p


def sample_of(options):
    if options.dump:
        return Sample(options.name or options.dump.name, options.dump, options.vmlinux, options.modules)
    return committed_sample()


def plain_vmlinux(path, folder):
    """The file itself, or what is packed in it, unpacked into the folder: for tools that cannot read it as it is."""
    if path.suffix != ".xz":
        return path
    plain = pathlib.Path(folder) / "vmlinux"
    with lzma.open(path) as packed, plain.open("wb") as out:
        shutil.copyfileobj(packed, out)
    return plain


class Home:
    """A home folder of its own, so that a test neither sees nor leaves anything in the user's."""

    def __init__(self):
        self.folder = tempfile.TemporaryDirectory(prefix="kcrash-test-")
        self.path = pathlib.Path(self.folder.name)
        cache = os.environ.get("XDG_CACHE_HOME", str(pathlib.Path.home() / ".cache"))
        self.environment = dict(os.environ, HOME=self.folder.name, XDG_STATE_HOME=self.folder.name + "/state", XDG_CACHE_HOME=cache,
                                TZ="UTC", LC_ALL="C.UTF-8", PATH=os.environ["PATH"])
        for name in ("CRASHPAGER", "KCRASH_OPTIONS"):
            self.environment.pop(name, None)


def run(kcrash, words, home, stdin="", timeout=120, merge=False, folder=TOP):
    """One process. merge: errors stand where they came, between the output."""
    return subprocess.run([str(kcrash), *words], input=stdin, capture_output=not merge, timeout=timeout, env=home.environment, cwd=folder,
                          encoding="utf-8", errors="backslashreplace",
                          **({"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT} if merge else {}))


def documents(text):
    return [json.loads(line) for line in text.splitlines() if line]


class Count:
    """Counts for test.sh: the last line of a suite."""

    def __init__(self, name):
        self.name, self.passed, self.failed, self.skipped = name, 0, 0, 0

    def check(self, good, what, details=""):
        if good:
            self.passed += 1
        else:
            self.failed += 1
            print(f"FAILED {what}" + (f"\n{details}" if details else ""))
        return good

    def skip(self, what):
        self.skipped += 1
        print(f"skipped {what}")

    def finish(self):
        print(f"{self.name}: {self.passed} passed, {self.failed} failed, {self.skipped} skipped")
        sys.exit(1 if self.failed else 0)
