#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Does the embedded GDB say of a kernel's types, lines and code what stock gdb says of the same vmlinux?

Stock gdb knows nothing of KASLR: its addresses are moved by the offset before they are compared. What is in the dump (values) is not
asked here: that is compared with kcrash's own walkers and with the guest elsewhere.
"""
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "tools"))
import kcrash as tool  # noqa: E402

STRUCTS = ["list_head", "task_struct", "mm_struct", "page", "inode", "file", "module", "rq", "sock", "sk_buff", "kmem_cache", "cred", "bio", "irq_desc",
           "hrtimer", "work_struct", "rb_node", "xarray", "pid", "nsproxy"]
COMMANDS = [f"ptype/o struct {name}" for name in STRUCTS] + \
           [f"print sizeof(struct {name})" for name in STRUCTS] + \
           [f"whatis ((struct {name} *)0)" for name in STRUCTS] + \
           ["ptype pid_t", "ptype enum pid_type", "whatis jiffies", "whatis schedule", "ptype schedule", "ptype do_exit", "print PIDTYPE_MAX",
            "print (enum pid_type)1", "print/x 255", "print/t 10", "print/o 64", "print/c 65", "print 7.5 / 2", "print 1 ? 2 : 3", "print &((struct page *)0)->lru",
            "print (char)200", "print -5 / 2", "print (5 > 3 && 2)", "print sizeof(long) * 8", "print &schedule", "print &init_task", "print &jiffies",
            "print schedule", "print *schedule", "info line schedule", "info line do_exit", "info line kernel/sched/core.c:6600", "info symbol schedule",
            "info functions ^schedule_timeout", "info variables ^jiffies", "list schedule", "print $_strlen(\"abc\")",
            "x/12i schedule", "x/3i do_exit", "info types ^list_head$", "info types ^pid_type$", "info types ^rb_", "info address schedule", "info scope schedule_timeout", "info macro current"]
KERNEL = 0xFFFFFFFF80000000


def stock(vmlinux, folder):
    setup = ["set height 0", "set width 0", "set confirm off", "set print pretty on", "set print elements 256", "set language c", "set osabi none"]
    # A command that fails would end a script: each is a -ex of its own.
    words = ["gdb", "-nx", "-batch", *(word for line in setup for word in ("-ex", line)), str(vmlinux)]
    for number, command in enumerate(COMMANDS):
        words += ["-ex", f"echo \\n@@@ {number}\\n", "-ex", command]
    said = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=500).stdout
    return cut(said)


def embedded(options, sample):
    words = [*sample.arguments(), "-s"]
    for number, command in enumerate(COMMANDS):
        words += ["-C", f"!echo '@@@ {number}'", "-C", f"gdb {command}"]
    return cut(tool.run(options.kcrash, words, tool.Home(), merge=True, timeout=300).stdout)


def cut(text):
    parts = re.split(r"^@@@ (\d+)\n", text, flags=re.M)
    return {int(number): part for number, part in zip(parts[1::2], parts[2::2])}


def types_alone(text):
    """GDB without an index lists a header's types under units that it took for their file as well: which types there are, and their lines."""
    return "\n".join(sorted({line for line in text.splitlines() if line[:1].isdigit()}))


def plain(text, offset):
    """Without what the two say each in its own way: the number in the history, the name before an error, KASLR."""
    text = re.sub(r"^\$\d+ = ", "$ = ", text, flags=re.M)
    text = re.sub(r"^gdb: ", "", text, flags=re.M)
    text = re.sub(r"0x[0-9a-f]{9,16}", lambda match: hex(int(match[0], 16) + offset) if int(match[0], 16) >= KERNEL else match[0], text)
    return "\n".join(line.rstrip() for line in text.strip().splitlines())


def main():
    options = tool.parser(__doc__.splitlines()[0]).parse_args()
    count = tool.Count("gdb-stock")
    sample = tool.sample_of(options)
    if not sample or not shutil.which("gdb"):
        count.skip("the committed sample, or gdb, is not there")
        count.finish()
    with tempfile.TemporaryDirectory() as folder:
        theirs = stock(tool.plain_vmlinux(sample.vmlinux, folder), folder)
    ours = embedded(options, sample)
    moved = [int(re.search(r"0x[0-9a-f]+", answers[COMMANDS.index("print &init_task")])[0], 16) for answers in (ours, theirs)]
    for number, command in enumerate(COMMANDS):
        mine, judge = plain(ours.get(number, "nothing"), 0), plain(theirs.get(number, "nothing"), moved[0] - moved[1])
        if command.startswith("info types"):
            mine, judge = types_alone(mine), types_alone(judge)
        count.check(mine == judge and mine, f"gdb {command}", f"--- kcrash\n{mine[:600]}\n--- gdb\n{judge[:600]}")
    count.finish()


if __name__ == "__main__":
    main()
