# SPDX-License-Identifier: GPL-3.0-or-later
"""For the embedded GDB: a JSON line for each task, with the frames that GDB finds for it. Inlined calls are no frames of
the stack, nor are callers that ended with a jump: GDB adds those from the descriptions of calls."""
import json

import gdb

for thread in gdb.selected_inferior().threads():
    thread.switch()
    frames, stopped = [], ""
    try:
        frame = gdb.newest_frame()
        while frame is not None and len(frames) < 1024:
            if frame.type() not in (gdb.INLINE_FRAME, gdb.TAILCALL_FRAME):
                frames.append([hex(frame.pc()), frame.name(), frame.type() == gdb.SIGTRAMP_FRAME])
            stopped = gdb.frame_stop_reason_string(frame.unwind_stop_reason())
            frame = frame.older()
    except gdb.error as error:
        stopped = str(error)
    print(json.dumps({"task": hex(thread.ptid[2]), "frames": frames, "stopped": stopped}))
