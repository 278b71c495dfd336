# SPDX-License-Identifier: GPL-3.0-or-later
"""Commands for the tests of commands in Python."""
import os
import sys

import gdb
import kcrash


class Idlers(kcrash.Command):
    """Lists the idle tasks.

    One line for each CPU.

    EXAMPLES
        kcrash> idlers -c"""
    name = "idlers"
    options = {"c": "count them only", "p PREFIX": "before each name"}
    operands = "task"

    def run(self, args, report):
        found = [task for task in kcrash.tasks() if task.idle]
        if "c" in args.options:
            return report.record("count", "{count} idle tasks", count=len(found))
        for task in found:
            report.record("idle", "{task} {cpu:>3} {comm}", task=kcrash.Address(task.address), cpu=task.cpu,
                          comm=args.options.get("p", "") + task.comm)


class Values(kcrash.Command):
    """One of each kind of value."""
    name = "values-of-python"

    def run(self, args, report):
        report.record("values", "{address} {hex} {bytes} {none}|{missing}|{text}|{symbol}", address=kcrash.Address(0xffff888000000000),
                      hex=kcrash.Hex(255), bytes=kcrash.Bytes(4096), none=None, missing=kcrash.Missing("excluded"), text="a\x1bb",
                      symbol=kcrash.symbol(kcrash.symbol("schedule").address + 5), large=1 << 63, small=-5, real=0.5, yes=True,
                      time=kcrash.Nanoseconds(10), value=gdb.parse_and_eval("init_task.comm"), pointer=gdb.parse_and_eval("&init_task"))
        report.table("row", ["name", ("size", "BYTES")], [["a", 1], ["bcd", 1000]])
        with report.group("outer", "outer {n}", n=1):
            report.record("inner", "  inner {n}", n=2)
        report.note("a note")
        report.warning("careful")
        print("printed")


class Words(kcrash.Command):
    """Says its words."""
    name = "words"

    def run(self, args, report):
        report.record("words", "{words}", words=" ".join(args), raw=args.raw)


class Wrong(kcrash.Command):
    """Goes wrong in the way that its word says."""
    name = "wrong"

    def run(self, args, report):
        way = args[0] if args else "nothing"
        if way == "zero":
            return 1 / 0
        if way == "exit":
            sys.exit(3)
        if way == "clean-exit":
            sys.exit()
        if way == "error":
            raise kcrash.Error("no such luck")
        if way == "note":
            report.error("half of it failed")
            report.text("the other half")
        if way == "memory":
            kcrash.target.read(0x10, 8)
        if way == "gdb":
            gdb.parse_and_eval("no_such_thing")
        if way == "layout":
            report.record("x", "{nothing}", something=1)
        if way == "field":
            report.record("x", "", kind_=1, items=2)
        if way == "deep":
            kcrash.command("wrong deep")
        if way == "loop":
            print("looping")
            sys.stdout.flush()
            while True:
                pass
        if way == "native":
            print("repeating")
            kcrash.command("repeat -1 eval 1")
        if way == "keep":
            Wrong.kept = report
        if way == "late":
            Wrong.kept.text("too late")
        if way == "many":
            for number in range(1000000):
                report.record("number", "{n}", n=number)
        if way == "prints":
            for number in range(1000000):
                print(number)
