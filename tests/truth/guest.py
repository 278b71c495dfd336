# SPDX-License-Identifier: GPL-3.0-or-later
"""What all truth scripts share: asking kcrash, reading what the guest recorded, counting.

A truth script is called as NAME.py KCRASH TRUTH VMLINUX DUMP... VMLINUX is empty when the dump is opened alone. TRUTH is the folder with one file for each thing that the
guest recorded before it died. The script prints each difference and ends with the line that ./test.sh counts.
"""
import json
import pathlib
import subprocess
import sys


class Guest:
    def __init__(self):
        if len(sys.argv) < 5:
            sys.exit(f"usage: {sys.argv[0]} KCRASH TRUTH VMLINUX DUMP...")
        self.kcrash, self.truth, self.files = sys.argv[1], pathlib.Path(sys.argv[2]), [file for file in sys.argv[3:] if file]
        self.name = pathlib.Path(sys.argv[0]).stem
        self.passed = self.failed = self.skipped = 0

    def ask(self, commands, seconds=600):
        """The JSON documents of these commands, one each, in order."""
        run = subprocess.run([self.kcrash, "-s", "--json", *self.files], input="\n".join(commands) + "\n",
                             capture_output=True, text=True, timeout=seconds)
        documents = [json.loads(line) for line in run.stdout.splitlines()]
        if len(documents) != len(commands):
            sys.exit(f"{len(commands)} commands, {len(documents)} answers, status {run.returncode}: {run.stderr[:1000]}")
        return documents

    def text(self, path):
        """A recorded file; nothing when the guest has not recorded it. Bytes that are no UTF-8 stay as surrogates."""
        file = self.truth / path
        return file.read_text(errors="surrogateescape") if file.exists() else None

    def processes(self):
        """The folders of /proc that were recorded, by pid; not the recorder's own: it goes on working while it writes."""
        for folder in sorted((self.truth / "proc").iterdir(), key=lambda path: int(path.name)):
            if (folder / "comm").exists() and (folder / "comm").read_bytes().strip() != b"record":
                yield int(folder.name), folder

    def check(self, what, theirs, ours):
        """Counts one comparison and prints it when it fails."""
        if theirs == ours:
            self.passed += 1
        else:
            self.failed += 1
            print(f"{what}: the guest says {theirs!r}, kcrash says {ours!r}")

    def end(self):
        print(f"{self.name}: {self.passed} passed, {self.failed} failed, {self.skipped} skipped")
        sys.exit(1 if self.failed or not self.passed + self.skipped else 0)
