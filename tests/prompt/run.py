#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""The prompt, on a terminal of its own: completion, history, pager, Ctrl-C, pipes, redirection, rc file."""
import os
import pathlib
import pty
import re
import select
import shlex
import shutil
import signal
import struct
import sys
import termios
import time

import fcntl

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "tools"))
import kcrash as tool  # noqa: E402

PROMPT = "kcrash> "


class Terminal:
    """kcrash on a pseudo terminal of the given size. What a read finds behind what was waited for is left for the next one: nothing is
    lost when a prompt comes in two pieces."""

    def __init__(self, words, environment, rows=24, columns=100):
        self.child, self.descriptor = pty.fork()
        if self.child == 0:
            os.execve(words[0], words, dict(environment, TERM="dumb", PAGER="cat"))
        fcntl.ioctl(self.descriptor, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self.text = self.unread = ""

    def read_until(self, wanted, timeout=30):
        """The text up to and with it."""
        end = time.monotonic() + timeout
        text, self.unread = self.unread, ""
        while wanted not in text:
            ready, _, _ = select.select([self.descriptor], [], [], max(0, end - time.monotonic()))
            if not ready:
                self.unread = text
                raise TimeoutError(f"no {wanted!r} in {text[-2000:]!r}")
            try:
                text += os.read(self.descriptor, 65536).decode(errors="backslashreplace")
            except OSError:
                raise EOFError(f"ended before {wanted!r}: {text[-2000:]!r}")
        before, _, self.unread = text.partition(wanted)
        self.text = (before + wanted).replace("\r\n", "\n")
        return self.text

    def type(self, keys):
        os.write(self.descriptor, keys.encode())

    def command(self, line, timeout=30):
        self.type(line + "\n")
        self.read_until("\n", timeout)  # the echo
        return self.read_until(PROMPT, timeout).replace("\r", "")

    def settle(self, timeout=60):
        """Past every prompt there may be: after a Ctrl-C that a command's end may have outrun, nobody knows how many."""
        self.type("p 1000000 + 1\n")
        self.read_until(" = 1000001", timeout)
        self.read_until(PROMPT, timeout)

    def leave(self, keys="exit\n"):
        self.type(keys)
        for _ in range(200):
            try:
                if not os.read(self.descriptor, 65536):
                    break
            except OSError:
                break
        return os.waitstatus_to_exitcode(os.waitpid(self.child, 0)[1])

    def close(self):
        try:
            os.kill(self.child, signal.SIGKILL)
            os.waitpid(self.child, 0)
        except (ProcessLookupError, ChildProcessError):
            pass
        os.close(self.descriptor)


class Suite:
    def __init__(self, options, sample, count):
        self.options, self.sample, self.count, self.home = options, sample, count, tool.Home()

    def start(self, *more, **size):
        terminal = Terminal([str(self.options.kcrash), *self.sample.arguments(), *more], self.home.environment, **size)
        terminal.read_until(PROMPT)
        return terminal

    def check(self, good, what, details=""):
        self.count.check(good, what, repr(details)[:1500])

    def banner_and_exit(self):
        terminal = self.start()
        self.check("TASKS: " in terminal.text and "PANIC: " in terminal.text and "COMMAND: " in terminal.text, "the banner comes first", terminal.text)
        self.check("PID: 1\n" in terminal.command("set 1"), "a command answers")
        self.check(terminal.leave() == 0, "exit gives 0")

    def failure_is_remembered(self):
        terminal = self.start("-s")
        text = terminal.command("pss")
        self.check('unknown command "pss"' in text, "a wrong word is named, between the output", text)
        self.check(terminal.leave() == 1, "a failed command gives exit status 1")

    def completion(self):
        terminal = self.start("-s")
        for typed, wanted in (("rep\t", "repeat "), ("set scr\t", "set scroll "), ("set -\t\t", "-v"), ("list_hea\t", "list_head"),
                              ("task_struct.exit_sta\t", "task_struct.exit_state"), ("help forea\t", "help foreach "), ("gdb info sco\t", "gdb info scope "), ("gdb print init_tas\t", "gdb print init_task"), ("set > /et\t", "/etc/")):
            terminal.type(typed)
            try:
                terminal.read_until(wanted, 10)
                good = True
            except TimeoutError as error:
                good, terminal.text = False, str(error)
            self.check(good, f"Tab after {typed.strip()!r} gives {wanted!r}", terminal.text)
            terminal.type("\x15set radix\n")  # another line in its place: a list of choices ends with a prompt of its own
            terminal.read_until("(decimal)")
            terminal.read_until(PROMPT)
        terminal.close()

    def history(self):
        first = self.start("-s")
        first.command("set radix")
        first.command("set debug")
        self.check(first.leave() == 0, "the first session ends well")
        file = self.home.path / "state/kcrash/history"
        self.check(file.exists() and "set radix\nset debug\n" in file.read_text(), "history is kept in the state folder")
        self.check(file.exists() and file.stat().st_mode & 0o77 == 0, "nobody else reads it")
        second = self.start("-s")
        second.type("\x1b[A\x1b[A")  # up past "exit"
        text = second.command("")
        self.check("debug: 0" in text, "the arrow key brings earlier lines back", text)
        text = second.command("r set rad")
        self.check("radix: 10" in text, "r WORD runs the last line that began so", text)
        text = second.command("h")
        self.check(re.search(r"\[\d+\] set radix", text) is not None, "h shows the history", text)
        text = second.command("!!")
        self.check("the history" not in text, "!! runs the last line", text)
        second.close()

    def pager(self):
        self.home.environment["CRASHPAGER"] = "sed s/^/paged:/"
        terminal = self.start(rows=24)
        terminal.command("set scroll CRASHPAGER")
        text = terminal.command("help input")
        self.check("paged:NAME" in text, "long output goes through the pager", text[-500:])
        text = terminal.command("set")
        self.check("paged:" not in text, "short output does not", text)
        terminal.command("set scroll off")
        text = terminal.command("help input")
        self.check("paged:" not in text, "nor with scroll off", text[-500:])
        del self.home.environment["CRASHPAGER"]
        terminal.close()
        terminal = self.start("-s")
        text = terminal.command("help input | page | head -2")
        self.check("NAME" in text, "page in a pipe", text)
        terminal.close()

    def leaving_the_pager_early(self):
        self.home.environment["CRASHPAGER"] = "head -3"
        terminal = self.start()
        terminal.command("set scroll CRASHPAGER")
        text = terminal.command("log")
        self.check(len(text.splitlines()) <= 5, "a pager that ends early ends the command", text[-500:])
        self.check("PID: 1\n" in terminal.command("set 1"), "and the session goes on")
        self.check(terminal.leave() == 0, "without a failure")
        del self.home.environment["CRASHPAGER"]

    def interrupt(self):
        terminal = self.start("-s")
        terminal.type("repeat -1 set radix\n")
        terminal.read_until("radix: 10 (decimal)")
        terminal.read_until("radix: 10 (decimal)")
        terminal.type("\x03")
        terminal.read_until(PROMPT)
        self.check("PID: 1\n" in terminal.command("set 1"), "Ctrl-C ends a command and keeps the session")
        terminal.command("foreach bt > /dev/null")  # TBB's threads are no place for Ctrl-C to get lost in
        for _ in range(100):
            terminal.type("half a line\x03")
            terminal.read_until("^C", 10)
            terminal.read_until(PROMPT)
        self.check("PID: 2\n" in terminal.command("set 2"), "Ctrl-C gives a half line up")
        status = terminal.leave("\x04")
        self.check(status == 0, "Ctrl-D leaves", status)

    def pipes_and_files(self):
        terminal = self.start("-s")
        text = terminal.command("set -v | grep print_max | tr a-z A-Z")
        self.check("PRINT_MAX: 256" in text, "a pipe through two programs", text)
        out = self.home.path / "out"
        terminal.command(f"set print_max > {out}")
        terminal.command(f"set radix >> {out}")
        self.check(out.read_text() == "print_max: 256\noutput radix: 10 (decimal)\n", "> and >>", out.read_text())
        text = terminal.command(f"! wc -l < {out}")
        self.check("2" in text, "! runs the shell", text)
        (self.home.path / "commands").write_text("# comment\nset print_max 9\nset print_max\n")
        text = terminal.command(f"< {self.home.path}/commands")
        self.check(text.count("print_max: 9") == 2, "< runs a file", text)
        (self.home.path / "arguments").write_text("radix\n\n# no\nprint_max\n")
        text = terminal.command(f"set < {self.home.path}/arguments")
        self.check("radix: 10" in text and "print_max: 9" in text, "command < file runs once for each line", text)
        text = terminal.command("log | head -1")
        self.check("kcrash:" not in text and text.count("\n") <= 2, "a reader that goes away is no error", text)
        terminal.type("set -v | cat\n! true\n")  # typed ahead
        terminal.read_until("output: text")
        self.check(terminal.leave() == 0, "none of them failed")

    def signals_while_readline_waits(self):
        """In the middle of a paste readline waits for its end: Ctrl-C and SIGTERM are not kept from kcrash."""
        terminal = self.start("-s")
        terminal.type("\x1b[200~abc")
        time.sleep(0.5)
        terminal.type("\x03")
        text = terminal.read_until(PROMPT, 10)
        self.check("^C" in text, "Ctrl-C gives half a paste up", text)
        self.check("PID: 1\n" in terminal.command("set 1"), "and the prompt answers")
        terminal.leave()

    def stopped_and_continued(self):
        """Ctrl-Z and fg: the shell leaves a terminal of its own, and the line is edited as before."""
        shell = Terminal(["/bin/bash", "--norc", "--noediting", "-i"], dict(self.home.environment, PS1="shell$ "))
        shell.read_until("shell$ ")
        shell.type(shlex.join([str(self.options.kcrash), *map(str, self.sample.arguments()), "-s"]) + "\n")
        shell.read_until("-s\r\n")
        shell.read_until(PROMPT)
        shell.type("gdb print 6 * 7\n")  # GDB's threads are no place for signals to get lost in
        shell.read_until("= 42")
        shell.read_until(PROMPT)
        shell.type("set rad")
        shell.read_until("set rad")
        for _ in range(3):
            shell.type("\x1a")
            shell.read_until("Stopped")
            shell.read_until("shell$ ")
            shell.type("fg\n")
            shell.read_until("-s\r\n")
            shell.read_until(PROMPT + "set rad", 10)  # the line is shown again
            settings = termios.tcgetattr(shell.descriptor)
            self.check(not settings[3] & (termios.ICANON | termios.ECHO), "the terminal is readline's", settings[3])
        shell.type("\x1a")
        shell.read_until("shell$ ")
        settings = termios.tcgetattr(shell.descriptor)
        self.check(settings[3] & termios.ICANON and settings[3] & termios.ECHO, "the shell has its own terminal", settings[3])
        shell.type("fg\n")
        shell.read_until(PROMPT + "set rad", 10)
        shell.type("\t")
        shell.read_until("ix ", 10)
        shell.type("\n")
        self.check("radix: 10 (decimal)\n" in shell.read_until(PROMPT), "and completed", shell.text)
        shell.type("set p")
        shell.read_until("set p")  # else Ctrl-Z throws it away
        shell.type("\x1a")
        shell.read_until("shell$ ")
        shell.type("fg\n")
        shell.read_until(PROMPT + "set p", 10)
        shell.type("\x03")
        shell.read_until("^C")
        shell.read_until(PROMPT)
        shell.type("set 1\n")
        self.check("PID: 1\n" in shell.read_until(PROMPT), "Ctrl-C works after it", shell.text)
        shell.type("exit\n")
        shell.read_until("shell$ ")
        shell.close()

    def continued_again(self):
        """One fg may be told as two SIGCONTs, when another thread took it first: a line's settings stay while it is edited."""
        terminal = self.start("-s")
        terminal.type("set rad")
        terminal.read_until("set rad")
        seen = 0
        for _ in range(100):
            os.kill(terminal.child, signal.SIGCONT)
            for _ in range(1500):  # some milliseconds
                seen |= termios.tcgetattr(terminal.descriptor)[3] & (termios.ICANON | termios.ECHO)
        self.check(not seen, "the terminal stays readline's", seen)
        self.check("radix: 10 (decimal)\n" in terminal.command("ix"), "the line is still there", terminal.text)
        terminal.leave()

    def several_lines(self):
        """"define ... end" and "python ... end" of GDB's language, typed line by line."""
        terminal = self.start("-s")

        def body(*lines):
            for line in lines[:-1]:
                terminal.type(line + "\n")
                terminal.read_until("\n> ")
            return terminal.command(lines[-1], timeout=60)

        text = body("define twice", "print $arg0", "if $arg0 > 40", "print $arg0 * 2", "end", "end")
        self.check("kcrash:" not in text, "define takes lines up to its own end", text)
        text = terminal.command("twice 42")
        self.check("= 42\n" in text and "= 84\n" in text, "what was defined is a command", text)
        text = body("gdb python", "for n in (1, 2):", "    print('n', n * 100)", "end")
        self.check("n 100\nn 200\n" in text, "Python keeps its indentation", text)
        terminal.type("define never\n")
        terminal.read_until("\n> ")
        terminal.type("\x03")
        terminal.read_until(PROMPT)
        self.check("PID: 1\n" in terminal.command("set 1"), "Ctrl-C gives a half script up")
        terminal.type("python\n")
        terminal.read_until("\n> ")
        terminal.type("\x04")
        text = terminal.read_until(PROMPT)
        self.check('the "end" of "python" is missing' in text, "Ctrl-D in the middle is told", text)
        terminal.leave()
        script = self.home.path / "lines"
        script.write_text("define both\n  print 7\n  set 1\nend\npython\nprint('a | b')\nend\np 6*7\n")
        result = tool.run(self.options.kcrash, [*self.sample.arguments(), "-s", "-i", str(script)], self.home, stdin="while 0\nprint 1\n")
        self.check("a | b\n" in result.stdout and "= 42\n" in result.stdout, "in a file of commands", result.stdout + result.stderr)
        self.check('the "end" of "while" is missing' in result.stdout + result.stderr and result.returncode == 1, "an end that is missing is an error", result.stderr)
        script.write_text("define two\r\nprint 4\r\nend\r\ndocument two\nPrints it.\n# a hash line\nif you want, else it isn't.\n\n  Last words.\nend\ngdb help two\ntwo\n"
                          "g if 0\nprint 11\nend\n")
        words = [*self.sample.arguments(), "-s", "-i", str(script)]
        result = tool.run(self.options.kcrash, words, self.home, stdin="if 0\nprint 10\nelse\nprint 11\nelse\nend\n")
        said = result.stdout + result.stderr
        self.check("Prints it.\n# a hash line\nif you want, else it isn't.\n" in said and "  Last words.\n" in said, "the words of a document are kept", said)
        self.check("= 4\n" in said and "= 11" not in said, "CRLF, and gdb's alias", said)
        self.check("no script of GDB's" in said and result.returncode == 1, "a script that makes no sense is an error", said)
        loop = "python\nfor i in range(3):\n    x = i; print('n', x)\nend\np 6*7"
        result = tool.run(self.options.kcrash, [*self.sample.arguments(), "-s", "-C", loop, "-C", "define foo; print 12; end; foo"], self.home)
        said = result.stdout + result.stderr
        self.check("n 0\nn 1\nn 2\n" in said and "= 42\n" in said and "= 12\n" in said, "semicolons in a -C", said)
        result = tool.run(self.options.kcrash, [*self.sample.arguments(), "-s", "-C", "python\nif True:\n    print('inside')\nend", "-C", "p 6*7"], self.home)
        self.check("inside\n" in result.stdout and "= 42\n" in result.stdout, "in a -C", result.stdout + result.stderr)

    def progress(self):
        """Unpacking vmlinux.xz takes two seconds: with a cache folder of its own, a bar stands there meanwhile, and goes away."""
        if not str(self.sample.vmlinux).endswith(".xz"):
            return self.count.skip("vmlinux is not packed")
        environment = dict(self.home.environment, XDG_CACHE_HOME=str(self.home.path / "empty-cache"))
        words = [str(self.options.kcrash), *self.sample.arguments()]
        terminal = Terminal(words, environment)
        terminal.read_until("TASKS: ", 60)
        begin = terminal.text[:terminal.text.index("kcrash ")]
        self.check(re.search(r"\runpacking vmlinux.xz: \[#*  *\] +\d+ %", begin) is not None, "a bar while vmlinux.xz is unpacked", begin)
        self.check(re.search(r"\r +\r$", begin) is not None, "which goes away", begin)
        terminal.close()
        shutil.rmtree(self.home.path / "empty-cache")
        terminal = Terminal([*words, "-s"], environment)
        terminal.read_until(PROMPT, 60)
        self.check("unpacking" not in terminal.text, "and none with -s", terminal.text)
        terminal.close()
        shutil.rmtree(self.home.path / "empty-cache")
        result = tool.run(self.options.kcrash, [*self.sample.arguments(), "-C", "set 1"], type("Empty", (), {"environment": environment}))
        self.check("unpacking" not in result.stdout + result.stderr, "nor where there is no terminal", result.stderr)
        shutil.rmtree(self.home.path / "empty-cache")

    def rc_file(self):
        rc = self.home.path / ".kcrashrc"
        rc.write_text("set print_max 77 > /dev/null\n")
        rc.chmod(0o644)
        terminal = self.start("-s")
        self.check("print_max: 77" in terminal.command("set print_max"), "~/.kcrashrc is run")
        terminal.close()
        rc.chmod(0o666)
        terminal = self.start("-s")
        self.check("is not used: others can write to it" in terminal.text, "but not when others can write to it", terminal.text)
        self.check("print_max: 256" in terminal.command("set print_max"), "its settings are not there then")
        terminal.close()
        rc.unlink()
        folder = self.home.path / "dump"
        folder.mkdir()
        (folder / ".kcrashrc").write_text("set print_max 66\n")
        words = [os.path.abspath(word) if os.path.exists(word) else word for word in self.sample.arguments()]
        result = tool.run(self.options.kcrash.resolve(), [*words, "-C", "set print_max"], self.home, folder=folder)
        self.check("256" in result.stdout, "nor from the current folder", result.stdout)
        result = tool.run(self.options.kcrash, [*self.sample.arguments(), "--rc", str(folder / ".kcrashrc"), "-C", "set print_max"], self.home)
        self.check(result.stdout.endswith("print_max: 66\n"), "unless --rc names it", result.stdout)


def main():
    options = tool.parser(__doc__).parse_args()
    count = tool.Count("prompt")
    sample = tool.sample_of(options)
    if not sample:
        count.skip("the committed sample is not here")
        count.finish()
    suite = Suite(options, sample, count)
    for test in (suite.banner_and_exit, suite.failure_is_remembered, suite.completion, suite.history, suite.pager,
                 suite.leaving_the_pager_early, suite.interrupt, suite.pipes_and_files, suite.signals_while_readline_waits,
                 suite.stopped_and_continued, suite.continued_again, suite.several_lines, suite.progress, suite.rc_file):
        try:
            test()
        except (TimeoutError, EOFError) as error:
            count.check(False, test.__name__, str(error))
    count.finish()


if __name__ == "__main__":
    main()
