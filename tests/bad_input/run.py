#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Damaged and wrong input: a clear message, whatever can be shown, never a crash, never a hang."""
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "tools"))
import kcrash as tool  # noqa: E402
import kdump  # noqa: E402

COMMANDS = ["sys", "set", "ps", "ps -a", "ps -t", "log", "bt", "bt -a", "foreach bt", "mod", "kmem -i", "kmem -s", "kmem -v", "kmem -z", "kmem -V",
            "task", "vtop init_task", "rd init_task 64", "struct task_struct init_task", "p jiffies", "sym schedule", "list_head", "help -D"]
SECONDS = 120  # for all of them, on a loaded machine


class Suite:
    def __init__(self, options, sample, count):
        self.options, self.sample, self.count = options, sample, count
        self.home = tool.Home()
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="kcrash-bad-"))

    def run(self, words, lines=(), json=False):
        """Nothing when it hangs or dies of a signal: that is a failure already."""
        words = [str(word) for word in words] + ["-s"] + (["--json"] if json else [])
        try:
            result = tool.run(self.options.kcrash, words, self.home, "\n".join(lines) + "\n", SECONDS)
        except subprocess.TimeoutExpired:
            self.count.check(False, f"{' '.join(words)}: hangs")
            return None
        if not self.count.check(result.returncode in (0, 1), f"{' '.join(words)}: ends with status {result.returncode}", result.stderr[-1500:]):
            return None
        return result

    def refused(self, what, words, message):
        result = self.run(words, ["sys"])
        if result:
            self.count.check(result.returncode == 1 and re.search(message, result.stderr), f"{what}: status {result.returncode}, wanted {message!r}", result.stderr)

    def with_vmlinux(self, dump):
        return [self.sample.vmlinux, dump] if self.sample.vmlinux else [dump]

    def cut_dumps(self):
        whole = self.sample.dump.read_bytes()
        for tenth in range(10):
            cut = self.folder / f"cut{tenth}"
            cut.write_bytes(whole[:len(whole) * tenth // 10])
            for words in (self.with_vmlinux(cut), [cut]):
                result = self.run(words, COMMANDS)
                if result and tenth > 0:
                    self.count.check("truncated" in result.stderr, f"cut at {tenth}0 %: says that it is truncated", result.stderr[:1500])
                if result and tenth == 0:
                    self.count.check("empty" in result.stderr, "an empty dump is called empty", result.stderr)
            release = self.run(["--osrelease", cut])
            if release and tenth == 9:
                self.count.check(release.returncode == 0 and release.stdout[0].isdigit(), "--osrelease works on a cut dump", release.stdout)
            cut.unlink()

    def other_files(self):
        text, empty, folder = self.folder / "text", self.folder / "empty", self.folder / "folder"
        text.write_text("this is no dump\n" * 1000)
        empty.write_bytes(b"")
        folder.mkdir()
        zeroes = self.folder / "zeroes"
        zeroes.write_bytes(b"\0" * 100000)
        half = self.folder / "half"
        half.write_bytes(b"KDUMP   ")
        for what, file, message in (
                ("a text file", text, "not a supported file format"), ("an empty file", empty, "empty"), ("zeroes", zeroes, "not a supported file format"),
                ("a folder", folder, "directory|folder"), ("a missing file", self.folder / "missing", "No such file"), ("half a header", half, "half")):
            self.refused(what, self.with_vmlinux(file), message)
            self.refused(what + " as vmlinux", [file, self.sample.dump], message)
        self.refused("no dump", [self.sample.vmlinux] if self.sample.vmlinux else [], "dump")
        self.refused("an unknown option", ["--nosuch", self.sample.dump], "unknown option --nosuch")

    def wrong_vmlinux(self):
        program = self.options.kcrash
        self.refused("the wrong vmlinux", [program, self.sample.dump], "build-id")
        result = self.run([program, self.sample.dump, "--force"], COMMANDS)
        if result:
            self.count.check("build-id" in result.stderr, "--force opens it and says so", result.stderr[:500])

    def hostile_text(self):
        """A comm and a log line with terminal escapes; nothing that reaches a terminal may hold a control character."""
        lines = [*COMMANDS, "foreach set", "log -m", "help -T"]
        result = self.run(self.sample.arguments(), lines)
        if result:
            controls = set(re.findall(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2066-\u2069]", result.stdout + result.stderr))
            self.count.check(not controls, f"control characters in the output: {controls}")
            self.count.check("\\x1b[" in result.stdout, "the sample's hostile names are shown, made harmless")
        result = self.run(self.sample.arguments(), lines, json=True)
        if result:
            self.count.check(not re.search(r"[\x00-\x09\x0b-\x1f\x7f]", result.stdout), "control characters in JSON")
            self.count.check(len(tool.documents(result.stdout)) == len(lines), "JSON of hostile names")

    def value(self, line):
        """The only value item of one command."""
        result = tool.run(self.options.kcrash, [*self.sample.arguments(), "-s", "--json", "-C", line], self.home)
        return tool.documents(result.stdout)[0]["items"]

    def physical(self, address):
        return next(int(item["physical"], 16) for item in self.value(f"vtop {address}") if "physical" in item)

    def task_list(self):
        """A page in the middle of the task list is excluded; the list is a cycle that does not come back to its head."""
        after_first = self.value("p init_task.tasks")[0]["value"]["next"]
        place = self.physical(after_first)
        dump = self.folder / "list"
        shutil.copy(self.sample.dump, dump)
        dump.chmod(0o600)
        file = kdump.Kdump(dump)
        file.exclude(place >> 12)
        result = self.run(self.with_vmlinux(dump), ["ps", "foreach bt"])
        if result:
            self.count.check("excluded" in result.stderr + result.stdout, "an excluded page in the task list is told", result.stderr[:1500])
            self.count.check(result.stdout.count("COMMAND:") > 20, "and the other tasks are there", result.stdout[:500])
        shutil.copy(self.sample.dump, dump)
        page = bytearray(self.page(place & ~0xfff))
        page[place & 0xfff:(place & 0xfff) + 8] = int(after_first, 16).to_bytes(8, "little")
        kdump.Kdump(dump).replace(place >> 12, bytes(page))
        result = self.run(self.with_vmlinux(dump), ["ps", "foreach bt"])
        if result:
            self.count.check("cycle" in result.stderr, "a task list that is a cycle is told", result.stderr[:1500])
            self.count.check(result.stdout.count("COMMAND:") > 20, "and the tasks are there", result.stdout[:500])

    def page(self, physical):
        out = self.folder / "page"
        tool.run(self.options.kcrash, [*self.sample.arguments(), "-s", "-C", f"rd -p -r {out} {physical:#x} 4096"], self.home)
        return out.read_bytes()[:4096]


def main():
    options = tool.parser(__doc__).parse_args()
    count = tool.Count("bad-input")
    sample = tool.sample_of(options)
    if not sample:
        count.skip("the committed sample is not here")
        count.finish()
    suite = Suite(options, sample, count)
    try:
        for test in (suite.cut_dumps, suite.other_files, suite.wrong_vmlinux, suite.hostile_text, suite.task_list):
            test()
    finally:
        shutil.rmtree(suite.folder)
    count.finish()


if __name__ == "__main__":
    main()
