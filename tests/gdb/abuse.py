#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""What must not end a session: internal errors of GDB, endless loops and Ctrl-C, exceptions in Python, sys.exit(), a reader that goes
away, requests that make no sense on a dead kernel. After each, kcrash answers, its prompt works and its signals are its own.
"""
import os
import pathlib
import re
import signal
import sys
import time

HERE = pathlib.Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "tools"))
sys.path.insert(0, str(HERE.parent / "prompt"))
import kcrash as tool  # noqa: E402
import run as prompt  # noqa: E402

DEAD = "the kernel is dead: "
REFUSED = [("run", DEAD + "nothing of it can be run, stopped or attached to"), ("attach 1", DEAD + "nothing of it can be run, stopped or attached to"),
           ("continue", DEAD + "nothing of it can be run, stopped or attached to"), ("target remote :1", DEAD + "nothing of it can be run, stopped or attached to"),
           ("break schedule", DEAD + "no breakpoint or watchpoint would ever be hit"), ("watch jiffies", DEAD + "no breakpoint or watchpoint would ever be hit"),
           ("call schedule()", DEAD + "none of its functions can be called"),
           ("print schedule()", DEAD + "none of its functions can be called"), ("generate-core-file", DEAD + "its dump is only read, never written"),
           ("file /bin/true", 'kcrash chose the files when it opened the dump: use "mod -s" for a module\'s, or start it with others'),
           ("set var jiffies = 1", "its dump is only read, never written"), ("print jiffies = 1", "its dump is only read, never written"),
           ("print $rax = 1", DEAD + "its dump is only read, never written"), ("set var $pc = 3", DEAD + "its dump is only read, never written"),
           ("new-ui console /dev/null", "GDB has no terminal here: its windows and interfaces cannot be opened")]
# A line, and what must be said.
SURVIVED = [("gdb python raise ValueError('oh')", "ValueError"), ("gdb python __import__('sys').exit(3)", "SystemExit"),
            ("gdb python os._nothing()", "NameError"), ("gdb maint internal-error on purpose", "on purpose"),
            ("gdb maint internal-warning on purpose", "on purpose"), ("gdb nosuchcommand", 'Undefined command: "nosuchcommand"'),
            ("gdb print nosuchsymbol", 'No symbol "nosuchsymbol" in current context.'), ("gdb print *(int *)0", "no mapping"),
            ("gdb source /nonexistent", "No such file"), ("gdb thread 100000", "thread"), ("gdb frame 100000", "No frame at level 100000"),
            ("gdb python gdb.execute('maint internal-error inside')", "inside"), ("gdb", "a command of GDB is missing")]


class Abuse:
    def __init__(self, options, sample, count):
        self.options, self.sample, self.count, self.home = options, sample, count, tool.Home()

    def check(self, good, what, details=""):
        self.count.check(good, what, str(details)[-2000:])

    def script(self, *lines, timeout=120):
        words = [*self.sample.arguments(), "-s"] + [word for line in lines for word in ("-C", line)]
        return tool.run(self.options.kcrash, words, self.home, timeout=timeout, merge=True)

    def refusals(self):
        for line, message in REFUSED:
            said = self.script(f"gdb {line}", "p 6*7")
            self.check(message in said.stdout, f"gdb {line} is refused", said.stdout)
            self.check("= 42" in said.stdout, f"the session goes on after gdb {line}", said.stdout)

    def survivals(self):
        for line, message in SURVIVED:
            said = self.script(line, "p 6*7", "gdb print 43")
            self.check(message in said.stdout, f"{line} is reported", said.stdout)
            self.check("= 42" in said.stdout and "= 43" in said.stdout, f"the session goes on after {line}", said.stdout)
            only_told = "internal-warning" in line  # GDB warns, and goes on
            self.check(said.returncode == 1 or only_told, f"{line} counts as failed, or the session would say that all went well", said.returncode)

    def active_task(self):
        """set -a is the user's word on which task ran: GDB begins its stack where bt does, before and after."""
        said = self.script("gdb bt 1", "set -a 1", "set -p", "gdb bt 1", "set -a " + self.panic_task(), "gdb bt 1").stdout
        frames = [line.split(" in ")[-1].split(" ")[0] if " in " in line else line.split()[1] for line in said.splitlines() if line.startswith("#0")]
        self.check(len(frames) == 3 and frames[0] == frames[2] != frames[1], "set -a moves GDB's stacks, and moves them back", said)

    def panic_task(self):
        return re.search(r"PID: (\d+)", self.script("set").stdout)[1]

    def interrupts(self):
        loop = self.home.path / "loop.gdb"
        loop.write_text("set $i = 0\nwhile 1\n  set $i = $i + 1\nend\n")
        terminal = prompt.Terminal([str(self.options.kcrash), *self.sample.arguments(), "-s"], self.home.environment)
        terminal.read_until(prompt.PROMPT)
        terminal.command("gdb print 1", timeout=60)
        for line in (f"gdb source {loop}", "gdb python exec('while True: pass')", "gdb x/100000000xb &init_task"):
            terminal.type(line + "\n")
            time.sleep(1.5)  # it runs: the prompt does not come
            terminal.type("\x03")
            text = terminal.read_until(prompt.PROMPT, 30)
            self.check("Traceback (most recent call last):\n  File \"/" not in text, f"Ctrl-C ends {line.split()[1]}", text)
            self.check("= 42" in terminal.command("p 6*7"), f"the prompt answers after Ctrl-C in {line}")
            self.check("= 43" in terminal.command("gdb print 43"), f"GDB answers after Ctrl-C in {line}")
        terminal.type("\x03")
        self.check("^C" in terminal.read_until(prompt.PROMPT), "Ctrl-C at the prompt is kcrash's own", terminal.text)
        status = pathlib.Path(f"/proc/{terminal.child}/status").read_text()
        caught = int(re.search(r"SigCgt:\s*(\w+)", status)[1], 16)
        self.check(not caught >> (signal.SIGTERM - 1) & 1 and not caught >> (signal.SIGSEGV - 1) & 1, "GDB's signal handlers are gone", hex(caught))
        self.check(terminal.leave() in (0, 1), "exit leaves")

    def init_files(self):
        for name in (".gdbinit", ".gdbearlyinit"):
            (self.home.path / name).write_text("shell touch $HOME/was-run\nprint 666\n")
        said = self.script("gdb print 1")
        self.check("666" not in said.stdout and not (self.home.path / "was-run").exists(), "~/.gdbinit is not read", said.stdout)

    def standard_input(self):
        words = [*self.sample.arguments(), "-s"]
        said = tool.run(self.options.kcrash, words, self.home, stdin="gdb print 5\np 6*7\n", merge=True)
        self.check("$1 = 5" in said.stdout and "$2 = 42" in said.stdout, "GDB leaves standard input alone", said.stdout)

    def outputs(self):
        out = self.home.path / "out"
        self.script(f"gdb print 17 > {out}")
        self.check(out.exists() and out.read_text() == "$1 = 17\n", "GDB's output is redirected", out.exists() and out.read_text())
        said = self.script("gdb x/100000xb &init_task | head -n 2", "p 6*7")
        self.check(len(said.stdout.splitlines()) == 3 and "= 42" in said.stdout, "a reader that goes away ends the command quietly", said.stdout)
        words = [*self.sample.arguments(), "-s", "--json", "-C", "gdb print 17"]
        document = tool.documents(tool.run(self.options.kcrash, words, self.home).stdout)[0]
        self.check(document["ok"] and [item["text"] for item in document["items"]] == ["$1 = 17"], "JSON has GDB's output as a string", document)

    def history(self):
        said = self.script("p 1+1", "gdb print 3", "p $1 + $2", "gdb print $3 * 2", "p $", "gdb print $$2")
        numbers = re.findall(r"\$(\d+) = (\d+)", said.stdout)
        self.check(numbers == [("1", "2"), ("2", "3"), ("3", "5"), ("4", "10"), ("5", "10"), ("6", "5")], "p and GDB share one history", said.stdout)

    def sources(self):
        file = self.home.path / "some source/kernel/panic.c"
        file.parent.mkdir(parents=True)
        file.write_text("".join(f"line {number} of this file\n" for number in range(1, 900)))
        words = [*self.sample.arguments(), "-s", "--src", str(file.parent.parent), "-C", "gdb frame 2", "-C", "gdb list 358,359"]
        said = tool.run(self.options.kcrash, words, self.home, merge=True).stdout
        self.check("358\tline 358 of this file\n" in said and "359\tline 359 of this file\n" in said, "GDB finds source under --src", said)

    def interrupted_index(self):
        """Ctrl-C while kcrash writes GDB's index: the command ends, and no index is left."""
        cache = self.home.path / "empty-cache"
        environment = dict(self.home.environment, KCRASH_CACHE_DIR=str(cache))
        ended = 0
        for wait in (0.05, 0.1, 0.2, 0.4):
            terminal = prompt.Terminal([str(self.options.kcrash), *self.sample.arguments(), "-s"], environment)
            terminal.read_until(prompt.PROMPT)
            terminal.type("gdb print 6 * 7\n")
            terminal.read_until("\n")  # the echo: the line was taken
            time.sleep(wait)
            terminal.type("\x03")
            text = terminal.read_until(prompt.PROMPT, 60)
            terminal.settle()
            done = any(cache.rglob("*.gdb-index"))
            self.check("= 42" in text if done else "interrupted" in text or "Quit" in text or "= 42" in text, "Ctrl-C during the first command of GDB", text)
            ended += "interrupted" in text and not done
            said = terminal.command("gdb print 43", timeout=60) + terminal.command("gdb print sizeof(init_task.comm)", timeout=60)
            self.check("= 43" in said and "= 16" in said, f"GDB answers after Ctrl-C in its start, {wait} s into it", text + said)
            terminal.leave()
            for index in cache.rglob("*.gdb-index"):
                index.unlink()
        self.check(ended > 0, "at least one of them ended the command")

    def without_vmlinux(self):
        """The dump alone: memory, registers and stacks, but no names; and that is said."""
        words = [str(self.sample.dump), "-s", "-C", "gdb print sched", "-C", "gdb print 6 * 7", "-C", "gdb x/1xb $pc", "-C", "gdb bt 1"]
        said = tool.run(self.options.kcrash, words, self.home, merge=True).stdout
        self.check("GDB has no symbols: kcrash was started without the kernel's vmlinux" in said and '"file"' not in said, "without vmlinux GDB says what is missing", said)
        self.check("= 42" in said and re.search(r"^0xf+\w+:\t0x", said, re.M) and "#0  0x" in said, "without vmlinux GDB reads memory and registers", said)

    def leaves(self):
        said = self.script("gdb quit", "p 6*7")
        self.check(said.returncode == 0 and "42" not in said.stdout, "gdb quit leaves kcrash", said.stdout)


def main():
    options = tool.parser(__doc__.splitlines()[0]).parse_args()
    count = tool.Count("gdb-abuse")
    sample = tool.sample_of(options)
    if not sample:
        count.skip("the committed sample is not there")
        count.finish()
    abuse = Abuse(options, sample, count)
    for test in (abuse.refusals, abuse.survivals, abuse.active_task, abuse.interrupts, abuse.init_files, abuse.standard_input, abuse.outputs,
                 abuse.history, abuse.sources, abuse.interrupted_index, abuse.without_vmlinux, abuse.leaves):
        try:
            test()
        except (TimeoutError, EOFError, OSError) as error:
            count.check(False, test.__name__, str(error))
    count.finish()


if __name__ == "__main__":
    main()
