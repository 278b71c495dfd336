# SPDX-License-Identifier: GPL-3.0-or-later
# Run by drgn: one JSON document of what it says of the dump. Arguments: names of structs; then "--" and names of symbols.
import json
import sys

from drgn import FaultError
from drgn.helpers.linux import for_each_present_cpu, for_each_task, idle_task


def stack(task):
    try:
        frames = prog.stack_trace(task)  # noqa: F821
    except (ValueError, LookupError, FaultError) as error:
        return str(error)
    chain = []
    for frame in frames:
        if frame.is_inline:
            continue
        try:
            chain.append(frame.pc)
        except LookupError:
            break
    return chain


def members(name):
    try:
        kind = prog.type(name)  # noqa: F821
        return [kind.size, {m.name: [m.bit_offset // 8, m.bit_offset % 8 if m.bit_field_size else 0] for m in kind.members if m.name}]
    except (LookupError, TypeError):
        return None


def address(name):
    try:
        return prog.symbol(name).address  # noqa: F821
    except LookupError:
        return None


words = sys.argv[1:]
structs, symbols = words[:words.index("--")], words[words.index("--") + 1:]
tasks = []
idle = [idle_task(prog, cpu) for cpu in for_each_present_cpu(prog)]  # noqa: F821
for task in [*idle, *for_each_task(prog)]:  # noqa: F821
    tasks.append([task.value_(), task.pid.value_(), task.comm.string_().decode("utf-8", "replace"), stack(task)])
json.dump({"tasks": tasks, "structs": {name: members(name) for name in structs}, "symbols": {name: address(name) for name in symbols}}, sys.stdout)
