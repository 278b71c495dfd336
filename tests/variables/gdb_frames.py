# SPDX-License-Identifier: GPL-3.0-or-later
"""Inside gdb: the variables of every frame of every thread, one JSON line each: [lwp, ip, function, name, state, value]."""
import json

import gdb

SCALARS = (gdb.TYPE_CODE_INT, gdb.TYPE_CODE_PTR, gdb.TYPE_CODE_ENUM, gdb.TYPE_CODE_BOOL, gdb.TYPE_CODE_CHAR)


def state_of(symbol, frame):
    """("value", number), ("value", None) for what is no number, ("optimized_out", None), ("error", text)."""
    try:
        value = symbol.value(frame)
        kind = value.type.strip_typedefs()
        if value.is_optimized_out:
            return "optimized_out", None
        if kind.code not in SCALARS:
            value.fetch_lazy()
            return "value", None
        return "value", int(value) & (2 ** (8 * kind.sizeof) - 1)
    except (gdb.error, gdb.MemoryError) as error:
        return "error", str(error)


def variables(frame):
    block = frame.block()
    while block and not block.is_static and not block.is_global:
        for symbol in block:
            if symbol.is_argument or (symbol.is_variable and symbol.addr_class not in (gdb.SYMBOL_LOC_STATIC, gdb.SYMBOL_LOC_LABEL)):
                yield symbol
        if block.function:
            return
        block = block.superblock


def frames():
    try:
        frame = gdb.newest_frame()
        while frame:
            if frame.type() != gdb.TAILCALL_FRAME:  # one that gdb infers: it has no place on the stack
                yield frame
            frame = frame.older()
    except gdb.error:
        return


def main(out):
    for thread in gdb.selected_inferior().threads():
        thread.switch()
        for frame in frames():
            try:
                found = list(variables(frame))
            except (RuntimeError, gdb.error):
                continue  # no debug information
            for symbol in found:
                print(json.dumps([thread.ptid[1], frame.pc(), frame.name(), symbol.name, *state_of(symbol, frame)]), file=out)


with open(gdb.parameter("args"), "w") as file:
    main(file)
