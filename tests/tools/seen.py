# SPDX-License-Identifier: GPL-3.0-or-later
"""Which formats and architectures a test has opened: for the table in the README (tests/formats/table.py)."""
import json
import pathlib
import re
import subprocess

FOLDER = pathlib.Path(__file__).resolve().parents[2] / "build/seen"
ARCHITECTURES = {"aarch64": "arm64", "i486": "i386", "i586": "i386", "i686": "i386"}  # utsname's word: kcrash's


class Seen:
    """What one source (a sample, a suite) has shown in this run; what an earlier run of it showed is forgotten."""

    def __init__(self, source):
        FOLDER.mkdir(parents=True, exist_ok=True)
        self.file = FOLDER / f"{source}.tsv"
        self.file.write_text("")

    def record(self, file_format, architecture, how):
        """how: "real", a dump as it was written; "rewritten", the memory of a real dump in another format; "fixture"."""
        with self.file.open("a") as out:
            out.write(f"{file_format}\t{architecture}\t{how}\n")

    def dump(self, kcrash, files, how="real", kernel=""):
        """As kcrash itself names the format and the machine of this dump, which a test has found right. kernel: its vmlinux, which tells the
        machine where the dump does not, or is wrong about it."""
        facts, *more = [facts_of(kcrash, file) for file in (files[0], kernel) if file]
        architecture = (more[0] if more else facts)["architecture"] or machine_of(kcrash, files)
        self.record(re.sub(r", (zlib|lzo|snappy|zstd)$", "", facts["format"]) + (" (split)" if facts["split"] else ""),
                    ARCHITECTURES.get(architecture, architecture), how)


def facts_of(kcrash, file):
    said = subprocess.run([kcrash, "--json", "--identify", str(file)], capture_output=True, text=True).stdout
    return json.loads(said.splitlines()[0])["items"][0]


def machine_of(kcrash, files):
    """What an opened dump says: QEMU's kdump of riscv64 names its machine nowhere but in the kernel's memory."""
    said = subprocess.run([kcrash, "--json", "-s", *map(str, files), "-C", "sys"], capture_output=True, text=True).stdout
    return re.search(r'"machine":"(\w+)', said)[1]
