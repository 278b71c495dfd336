#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Python: the module kcrash (inside.py, which runs in kcrash), commands written in Python (extension.py), and what a script may do wrong."""
import json
import os
import pathlib
import signal
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "tools"), str(HERE.parent / "prompt")]
import kcrash as tool  # noqa: E402
from run import PROMPT, Terminal  # noqa: E402

EXTENSION = HERE / "extension.py"


class Suite:
    def __init__(self, options, sample, count):
        self.options, self.sample, self.count, self.home = options, sample, count, tool.Home()

    def check(self, good, what, details=""):
        return self.count.check(good, what, repr(details)[:2000])

    def run(self, *lines, words=(), timeout=300):
        """Its output, errors between, and its status."""
        result = tool.run(self.options.kcrash, ["-s", *self.sample.arguments(), *words], self.home, "\n".join(lines) + "\n", timeout, merge=True)
        return result.stdout, result.returncode

    def extended(self, *lines):
        text, status = self.run(f"extend {EXTENSION}", *lines)
        return text.split("\n", 2)[2], status  # the two lines of extend

    def json(self, *lines):
        result = tool.run(self.options.kcrash, ["-s", "--json", *self.sample.arguments()], self.home, "\n".join((f"extend {EXTENSION}",) + lines) + "\n", 300)
        return tool.documents(result.stdout)[1:]

    def says(self, line, wanted, status=1):
        """The line ends as wanted, and the session goes on."""
        text, got = self.extended(line, "eval 1 + 1")
        self.check(wanted in text and "decimal: 2" in text and got == status, f"{line!r} says {wanted!r} and the session goes on", (text, got))

    # ---- the module

    def inside(self):
        result = tool.run(self.options.kcrash, ["-s", *self.sample.arguments(), "-i", str(HERE / "inside.py"), "-C", "eval 1"], self.home, timeout=600)
        lines = result.stdout.splitlines()
        for line in lines:
            if line.startswith("passed "):
                self.count.passed += 1
            elif line.startswith("FAILED "):
                self.check(False, line[7:])
        self.check(any(line.endswith("the end of inside.py") for line in lines), "inside.py comes to its end", (result.stdout[-500:], result.stderr[-1500:]))

    def guest(self):
        """Every task that the guest listed is one of kcrash.tasks(), with its name."""
        import lzma
        import tarfile
        with tarfile.open(fileobj=lzma.open(self.sample.dump.parent / "truth.tar.xz")) as archive:
            names = {int(member.name.split("/")[2]): archive.extractfile(member).read().decode().strip()
                     for member in archive if member.name.startswith("truth/proc/") and member.name.endswith("/comm") and member.name.count("/") == 3}
        text, _ = self.run("python import json; print(json.dumps({task.pid: (task.comm, task.kernel_thread) for task in kcrash.tasks()}))")
        ours = {int(pid): task for pid, task in json.loads(text).items()}
        # /proc shows more of a kernel thread's name than its task_struct holds.
        wrong = {pid: (comm, ours.get(pid)) for pid, comm in names.items() if comm != "record" and
                 (pid not in ours or comm != ours[pid][0] and not (ours[pid][1] and comm.startswith(ours[pid][0])))}
        self.check(len(names) > 50 and not wrong, "kcrash.tasks() has the guest's tasks", wrong)

    def help_of_module(self):
        text, status = self.run("python help(kcrash)")
        self.check(status == 0 and "kcrash from Python" in text and "class Task" in text and "read_physical" in text, "help(kcrash)", text[:500])

    # ---- commands

    def extend(self):
        text, status = self.run("extend", f"extend {EXTENSION}", "extend", f"extend -u {EXTENSION}", "idlers", "extend")
        lines = text.splitlines()
        self.check(lines[0] == "no extensions are loaded", "extend lists nothing at first", lines)
        self.check(lines[2].split() == [str(EXTENSION), "idlers", "values-of-python", "words", "wrong"] and lines[4] == lines[2], "then the file and its commands", lines)
        self.check(lines[5] == f"unloaded: {EXTENSION}" and lines[6] == 'unknown command "idlers"; "help" lists the commands' and status == 1, "-u takes them away", lines)
        for path, wanted in (("/nonexistent.py", "extend: /nonexistent.py: there is no such file, or it cannot be read"),
                             ("x.so", "extend: x.so: only files of Python (.py) can be loaded")):
            text, status = self.run(f"extend {path}")
            self.check(text == wanted + "\n" and status == 1, f"extend {path}", text)
        text, status = self.run(f"source {EXTENSION.relative_to(tool.TOP)}", "extend", "words a", f"extend {EXTENSION}", "python threading = __import__('threading')",
                                "python t = threading.Thread(target=kcrash.tasks); t.start(); t.join()", "extend -u", "words a")
        self.check(text.splitlines()[1] == lines[2] and "\na\n" in text, "a file that GDB sources defines commands as well", text)
        self.check("RuntimeError: kcrash answers only to the thread that runs the script" in text, "another thread is refused", text)
        self.check(f"unloaded: {EXTENSION}\n" in text and 'unknown command "words"' in text, "extend -u unloads all", text)
        text, status = self.run("extend -u x.py")
        self.check(text == 'extend: x.py is not loaded; "extend" lists what is\n', "extend -u of what is not loaded", text)

    def broken_files(self):
        for name, source, wanted in (
                ("syntax.py", "def f(:\n", "SyntaxError"), ("raises.py", "import kcrash\nx = 1 / 0\n", "extend: ZeroDivisionError: division by zero\n  "),
                ("clash.py", "import kcrash\nclass A(kcrash.Command):\n    name = 'aaa'\nclass X(kcrash.Command):\n    name = 'ps'\n",
                 "extend: ps is a command of kcrash: choose another name\n"),
                ("word.py", "import kcrash\nclass X(kcrash.Command):\n    name = 'two words'\n", 'extend: "two words" is no name for a command: use letters, digits, - and _\n'),
                ("operands.py", "import kcrash\nclass X(kcrash.Command):\n    name = 'xx'\n    operands = 'things'\n", 'extend: operands = "things" is not one of none, number,'),
                ("leaves.py", "import sys\nsys.exit(5)\n", "extend: the script left with sys.exit(5)\n")):
            path = self.home.path / name
            path.write_text(source)
            text, status = self.run(f"extend {path}", "aaa", "extend")
            self.check(wanted in text and status == 1 and 'unknown command "aaa"' in text and "no extensions are loaded" in text, f"extend {name}: {wanted}", text)
        other = self.home.path / "other.py"
        other.write_text("import kcrash\nclass X(kcrash.Command):\n    name = 'words'\n")
        text, _ = self.extended(f"extend {other}")
        self.check(text == f'extend: words is a command of {EXTENSION}: choose another name, or unload that with "extend -u"\n', "two files, one name", text)

    def takes_part(self):
        text, status = self.extended("idlers", "idlers -c", "idlers -p x:", "idlers -z")
        lines = text.splitlines()
        self.check(len(lines) > 3 and lines[0].endswith("  0 swapper/0"), "a command runs", lines)
        number = sum(line.endswith(f"swapper/{i}") and "x:" not in line for i, line in enumerate(lines))
        self.check(f"{number} idle tasks" in lines and "x:swapper/1" in text, "its options, with and without an argument", lines)
        self.check("idlers: unknown option -z\nusage: idlers [-c] [-p PREFIX] [task]...\n" in text, "an unknown option", text)
        text, _ = self.extended("help", "help idlers", "idler", "idlers | wc -l", f"idlers -c > {self.home.path}/out", "alias il idlers", "il -c", "\\idlers -c")
        self.check("Of extensions:\n  idlers        Lists the idle tasks\n" in text, "help lists it", text[:3000])
        self.check("NAME\n  idlers - Lists the idle tasks\n" in text and "  -p PREFIX  before each name\n" in text and "EXAMPLES\n" in text, "it has a page", text)
        self.check('unknown command "idler", did you mean "idlers"?' in text, "did you mean", text)
        self.check(f"\n{number}\n" in text and (self.home.path / "out").read_text() == f"{number} idle tasks\n", "pipes and files", text)
        self.check(text.endswith(f"{number} idle tasks\n" * 2), "aliases", text[-300:])

    def as_json(self):
        values, words, wrong = self.json("values-of-python", "words a (b c) -x", "wrong zero")
        fields = values["items"][0]
        wanted = {"kind": "values", "address": "0xffff888000000000", "hex": "0xff", "bytes": 4096, "none": None, "missing": {"missing": "excluded"},
                  "text": "a\x1bb", "large": "9223372036854775808", "small": -5, "real": 0.5, "yes": True, "time": 10}
        self.check(all(fields[key] == value for key, value in wanted.items()), "each kind of value", fields)
        self.check(fields["symbol"]["text"] == "schedule+5" and fields["pointer"].startswith("0xffff") and "swapper/0" in fields["value"], "symbols, gdb.Value", fields)
        self.check(values["items"][1:4] == [{"kind": "row", "name": "a", "size": 1}, {"kind": "row", "name": "bcd", "size": 1000},
                                            {"kind": "outer", "n": 1, "items": [{"kind": "inner", "n": 2}]}], "tables and groups", values["items"])
        self.check({"kind": "text", "text": "printed"} in values["items"] and values["unreadable"] == 1 and values["ok"], "print() and the counts", values)
        self.check(not wrong["ok"] and wrong["errors"][0].startswith("ZeroDivisionError"), "a failure", wrong)
        self.check(words["errors"] or words["items"], "an option that is none", words)
        text, _ = self.extended("values-of-python", "words a --json", "idlers -c --json | cat")
        self.check(text.startswith("ffff888000000000 ff 4096 |(excluded)|a\\x1bb|schedule+5\nNAME  BYTES\na         1\nbcd    1000\nouter 1\n  inner 2\n"),
                   "as text", text)
        self.check("values-of-python: a note\n" in text and "values-of-python: warning: careful\n" in text and "1 value could not be read" in text, "notes", text)
        self.check('{"command":"words a","items":[{"kind":"words","words":"a","raw":"a"}],"errors":[],"unreadable":0,"ok":true}\n' in text, "--json at the end of a line", text)
        self.check('"items":[{"kind":"count","count":' in text, "and before a pipe", text)
        status = tool.run(self.options.kcrash, ["-s", *self.sample.arguments(), "-C", f"extend {EXTENSION} > /dev/null; words b --json"], self.home).stdout
        self.check(status.startswith('{"command":"words b"'), "with -C", status)

    # ---- what may go wrong

    def wrong(self):
        self.says("wrong zero", f"wrong: ZeroDivisionError: division by zero\n  {EXTENSION}:")
        self.says("wrong exit", "wrong: the script left with sys.exit(3)\n")
        self.says("wrong clean-exit", "decimal: 2", status=0)
        self.says("wrong error", "wrong: no such luck\n")
        self.says("wrong note", "wrong: half of it failed\n")
        self.says("wrong memory", "0x10")
        self.says("wrong gdb", 'No symbol "no_such_thing" in current context.')
        self.says("wrong layout", "layout names a field that is not there: nothing")
        self.says("wrong field", "'items' cannot be the name of a field")
        self.says("wrong deep", "commands of Python call each other more than 16 deep")
        self.says("wrong keep\nwrong late", "the command of this report has ended")
        self.says("python 1 / 0", "ZeroDivisionError")
        self.says("python sys.exit(1)", "SystemExit")
        self.says("python import sys; sys.exit(1)", "SystemExit: 1")
        for line in ("wrong many | head -2", "wrong prints | head -2"):
            text, status = self.extended(line, "eval 1 + 1")
            self.check("decimal: 2" in text and "rror" not in text and status == 0, f"{line}: the reader goes away", (text[-500:], status))

    def interrupts(self):
        terminal = Terminal([str(self.options.kcrash), *self.sample.arguments(), "-s"], self.home.environment)
        terminal.read_until(PROMPT)
        terminal.command(f"extend {EXTENSION}", 120)
        for line, sign, message in (("wrong loop", "", "interrupted"), ("wrong native", "", "interrupted"), ("python while True: pass", "", "KeyboardInterrupt"),
                                    ("python kcrash.command('repeat -1 eval 1')", "", "KeyboardInterrupt"),
                                    ("python kcrash.command('gdb python while True: pass')", "", "Error while executing Python code")):
            terminal.type(line + "\n")
            terminal.read_until("\n")
            time.sleep(2)
            terminal.type("\x03")
            try:
                terminal.read_until(PROMPT, 20)
                good = message in terminal.text
            except TimeoutError as error:
                good, terminal.text = False, str(error)
            self.check(good and "PID: 1\n" in terminal.command("set 1"), f"Ctrl-C in {line!r}", terminal.text)
        terminal.type("idle\t")
        terminal.read_until("idlers ", 10)
        terminal.type("\x15")
        terminal.type("idlers -\t\t")
        terminal.read_until("-p", 10)
        self.check("-c" in terminal.text, "Tab completes the command and its options", terminal.text)
        terminal.type("\x15\n")
        terminal.read_until(PROMPT)
        self.check(terminal.leave() == 1, "the session ends well, with the failures remembered")
        terminal.close()

    def interrupted_batch(self):
        words = [str(self.options.kcrash), "-s", *map(str, self.sample.arguments()), "-C", f"extend {EXTENSION}; wrong loop; eval 1 + 1"]
        process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=self.home.environment)
        time.sleep(20)
        process.send_signal(signal.SIGINT)
        text, _ = process.communicate(timeout=60)
        self.check(process.returncode == 130 and "wrong: interrupted" in text and "decimal" not in text, "Ctrl-C ends a list of commands", (text, process.returncode))


def main():
    options = tool.parser(__doc__).parse_args()
    count = tool.Count("python")
    sample = tool.sample_of(options)
    if not sample:
        count.skip("the committed sample is not here")
        count.finish()
    suite = Suite(options, sample, count)
    os.chdir(tool.TOP)
    for test in (suite.inside, suite.guest, suite.help_of_module, suite.extend, suite.broken_files, suite.takes_part, suite.as_json, suite.wrong,
                 suite.interrupts, suite.interrupted_batch):
        try:
            test()
        except (TimeoutError, EOFError, subprocess.TimeoutExpired, ValueError, IndexError, KeyError) as error:
            count.check(False, test.__name__, f"{type(error).__name__}: {error}")
    count.finish()


if __name__ == "__main__":
    main()
