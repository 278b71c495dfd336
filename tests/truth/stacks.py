#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Are the frames of bt those that the kernel itself saw?

  - Of the task that died: from panic (or the function that faulted) downwards, those of the console's Call Trace, through
    interrupts and exceptions; lines with "?" are the kernel's guesses, but see believed(). The registers too, wherever the kernel printed them.
  - Of every thread that did not run since it was recorded: those of /proc/PID/task/TID/stack, which leaves out the
    scheduler's own functions. Its counts of context switches say whether it ran.
  - Of those of them whose sysrq-t trace on the console is of the same sleep: all frames, and the user's instruction.
    A kernel that has no /proc/PID/stack (arm) is asked by its sysrq-t alone: of threads that did not run since the minute before it.
  - Every stack of the dump ends at a user's registers or at the outermost function.

Frames are compared by address: name and offset through the guest's kallsyms, so that aliases are the same.
"""
import pathlib
import re

from guest import Guest

STAMP = r"^(?:\[[ 0-9.]+\] ?)?(?:\[ *[TC]\d+\] )?"  # makedumpfile adds the task or CPU that said it
# s390x and i386 have the address before the name, and a guess of s390x's kernel stands in parentheses, not behind a question mark.
FRAME = re.compile(STAMP + r" *(?:\()?(?:\[<[0-9a-f]+>\] )?(\? |(?<=\(\[<[0-9a-f]{16}>\] ))?([\w.]+)\+0x([0-9a-f]+)/0x[0-9a-f]+(?: \[([\w-]+)[^\]]*\])?\)? ?$")
RIP = re.compile(STAMP + r" *(?:RIP: ([0-9a-f]{4}):|EIP: )(?:([\w.]+)\+0x([0-9a-f]+)/0x[0-9a-f]+(?: \[[\w-]+[^\]]*\])?|0x([0-9a-f]+)|(Unable.*))$")
PC = re.compile(STAMP + r" *pc : ([\w.]+)\+0x([0-9a-f]+)/0x[0-9a-f]+(?: \[[\w-]+[^\]]*\])?$")  # arm64
# POWER: the stack pointer and the address before the name; an exception's registers follow, LR among them, which the trace itself leaves out.
POWER = re.compile(STAMP + r"\[([0-9a-f]{16})\] \[[0-9a-f]{16}\] ([\w.]+)\+0x([0-9a-f]+)/0x[0-9a-f]+(?: \[[\w-]+[^\]]*\])?( \(unreliable\))? ?$")
INTERRUPT = re.compile(STAMP + r"--- interrupt: [0-9a-f]+ at (?:([\w.]+)\+0x([0-9a-f]+)/0x[0-9a-f]+(?: \[[\w-]+[^\]]*\])?|0x([0-9a-f]+)) ?$")
LR = re.compile(STAMP + r"LR \[[0-9a-f]{16}\] ([\w.]+)\+0x([0-9a-f]+)/0x[0-9a-f]+(?: \[[\w-]+[^\]]*\])? ?$")
# arm: each line names a function and where it returns to.
FROM = re.compile(STAMP + r" ([\w.]+)(?: \[[\w-]+\])? from ([\w.]+)\+0x([0-9a-f]+)/0x[0-9a-f]+(?: \[([\w-]+)[^\]]*\])?$")
TRACE = r"(?:Call [Tt]race:| [\w.]+ from [\w.]+\+0x)"  # x86 and arm64; arm
TASK = re.compile(STAMP + r"task:(.{1,15}) +state:(\S) +stack:-?\d+ +pid: *(\d+) ")


class Names:
    """The guest's kallsyms: a name may have several addresses."""

    def __init__(self, text):
        self.addresses = {}
        for line in text.splitlines():
            address, _, name = (line.split(None, 3) + ["", ""])[:3]  # the last line may have been cut
            self.addresses.setdefault(name, set()).add(int(address, 16))
        self.has_orc = "__start_orc_unwind" in self.addresses
        self.loses_way = "unwind_backtrace" in self.addresses and "__irq_svc" in self.addresses  # arm's, after a call that does not return: it looks at what follows
        self.loses_leaf = "el1h_64_irq" in self.addresses  # arm64's, the caller of interrupted assembly without a record: that one is in x30 only
        self.guesses = "handle_vint" in self.addresses and not self.has_orc  # loongarch's kernel, from its entry code on
        self.sched = (min(self.addresses.get("__sched_text_start", {0})), min(self.addresses.get("__sched_text_end", {0})))

    def places(self, name, offset):
        return {address + offset for address in self.addresses.get(name, ())}

    def is_scheduler(self, address):
        return self.sched[0] <= address - 1 < self.sched[1]


class Frame:
    """One line of a trace of the kernel's: what its address may be, and the registers that were printed below it."""

    def __init__(self, name, places, interrupted=False, user=False, guess=False, sp=None):
        self.name, self.places, self.interrupted, self.user, self.guess, self.sp, self.registers = name, places, interrupted, user, guess, sp, {}

    def __repr__(self):
        return self.name


def parse_line(names, line):
    if frame := FRAME.match(line):
        return Frame(f"{frame[2]}+{int(frame[3], 16)}", names.places(frame[2], int(frame[3], 16)), guess=frame[1] is not None)
    if rip := RIP.match(line):
        user = int(rip[1], 16) & 3 == 3 if rip[1] else bool(rip[4])
        if rip[2]:
            return Frame(f"RIP {rip[2]}+{int(rip[3], 16)}", names.places(rip[2], int(rip[3], 16)), True, user)
        if rip[4]:
            return Frame(f"RIP {rip[4]}", {int(rip[4], 16)}, True, user)
    if back := FROM.match(line):
        return Frame(f"{back[2]}+{int(back[3], 16)}", names.places(back[2], int(back[3], 16)))
    if pc := PC.match(line):
        return Frame(f"pc {pc[1]}+{int(pc[2], 16)}", names.places(pc[1], int(pc[2], 16)), True)
    return parse_power(names, line)


def parse_power(names, line):
    if frame := POWER.match(line):
        return Frame(f"{frame[2]}+{int(frame[3], 16)}", names.places(frame[2], int(frame[3], 16)), guess=frame[4] is not None, sp=int(frame[1], 16))
    if at := INTERRUPT.match(line):
        places = {int(at[3], 16)} if at[3] else names.places(at[1], int(at[2], 16))
        return Frame(f"interrupt at {at[3] or at[1]}", places, True, user=at[3] is not None)
    if lr := LR.match(line):
        return Frame(f"LR {lr[1]}+{int(lr[2], 16)}", names.places(lr[1], int(lr[2], 16)), guess=True)
    return None


def parse_trace(names, lines, guesses=False):
    frames, sp = [], None
    for i, line in enumerate(lines):
        if re.match(STAMP + r"(Kernel Offset|---\[|Modules linked|Call [Tt]race)", line) or TASK.match(line):
            break
        if i and FROM.match(lines[0]) and not FROM.match(line) and not re.match(STAMP + r"(Exception stack|[0-9a-f]{4}: )", line):
            break  # arm's trace has nothing else
        frame = parse_line(names, line)
        if frame and frame.sp:  # where POWER's kernel goes back from the stack of interrupts, nobody stored LR
            frame.guess |= sp is not None and abs(frame.sp - sp) >= 16384
            sp = frame.sp
        if frame and (guesses or not frame.guess):
            frames.append(frame)
            if names.guesses and frame.name.startswith("do_syscall+"):
                break
            if frame.interrupted:
                frame.registers = registers_below(lines[i + 1:i + 8]) | power_registers(lines[i + 1:i + 14])
                if frame.user:
                    break  # the user's: what follows is of something else
    return frames


def registers_below(lines):
    """The registers that the kernel prints below a line of RIP, by the names that bt has for them."""
    found = {}
    long = any("RSP:" in line or "RIP:" in line for line in lines)  # 64 bits: the same word is of RFLAGS
    for line in lines:
        for number, value in re.findall(r"\bx(\d+) ?: ([0-9a-f]{16})\b", line):
            found.setdefault(f"X{number}", int(value, 16))
        for name, value in re.findall(r"\b(ORIG_RAX|EFLAGS|R[A-Z0-9]{1,2}): (?:[0-9a-f]{4}:)?([0-9a-f]{8,16})\b", line):
            found.setdefault({"EFLAGS": "RFLAGS" if long else "EFLAGS", "R08": "R8", "R09": "R9"}.get(name, name), int(value, 16))
    return found


def power_registers(lines):
    found = {}
    if not any(re.match(STAMP + "GPR00: ", line) for line in lines):
        return found
    for line in lines:
        if general := re.match(STAMP + r"GPR(\d\d): ((?:[0-9a-f]{16} ?)+)$", line):
            found.update({f"R{int(general[1]) + i}": int(value, 16) for i, value in enumerate(general[2].split())})
        for name, value in re.findall(r"\b(NIP|LR|CTR|MSR|XER): +([0-9a-f]{8,16})\b", line):
            found.setdefault(name, int(value, 16))
    return found


class Death:
    """The last report of the kernel: who died, and the trace; of an oops it begins with the instruction that faulted."""

    def __init__(self, names, log):
        lines = log.splitlines()
        starts = [i for i, line in enumerate(lines) if re.match(STAMP + TRACE, line)]
        self.pid, self.trace = None, []
        panic = next((i for i, line in enumerate(lines) if "Kernel panic - not syncing" in line), len(lines))
        # panic() prints no trace where the kernel had oopsed before (TAINT_DIE); what oopsed is another matter, unless it is the reason.
        oopsed = any(re.search(r"Tainted: .*\bD\b|Oops|: \d{4} ilc:\d \[#\d+\]", line) for line in lines[:panic])
        self.silent = panic < len(lines) and oopsed and "Fatal exception" not in lines[panic] and not any(i > panic for i in starts)
        if not starts:
            return
        starts = [i for i in starts if i > panic][:1] or starts  # what the dying kernel complains of comes later
        head = next((i for i in range(starts[-1], -1, -1) if re.match(STAMP + r"CPU: \d+ (UID: \d+ )?PID: \d+ ", lines[i])), starts[-1])
        if found := re.search(r" PID: (\d+) ", lines[head]):
            self.pid = int(found[1])
        first = starts[-1] if FROM.match(lines[starts[-1]]) else starts[-1] + 1
        self.trace = parse_trace(names, lines[head:starts[-1]])[:1] + parse_trace(names, lines[first:], guesses=not names.has_orc)


def believed(trace, ours):
    """Of a kernel with frame pointers, "?" is also what its unwinder skipped or gave up on: a function without a frame, or all
    of an overflown stack. Those of the trace that it was sure of, and those that we have, in this order."""
    kept, at = [], 0
    for i, frame in enumerate(trace):
        sure = next((later for later in trace[i + 1:] if not later.guess), None)
        if at < len(ours) and ours[at][1] in frame.places and not (frame.guess and sure and ours[at][1] in sure.places):
            at += 1
        elif frame.guess:
            continue
        kept.append(frame)
    if kept and at + 1 == len(ours) and ours[at][0] == "user" and kept[-1].guess:
        ours.pop()  # it had lost the way to the user's registers
    return kept


def task_traces(names, console):
    """What sysrq-t printed, by pid; the last of several."""
    lines, traces = console.splitlines(), {}
    for i, line in enumerate(lines):
        if (task := TASK.match(line)) and i + 1 < len(lines) and re.search(TRACE, lines[i + 1]):
            first = 1 if FROM.match(lines[i + 1]) else 2
            traces[int(task[3])] = parse_trace(names, lines[i + first:i + 120])
    return traces


class Stack:
    """One task of bt's answer."""

    def __init__(self, task):
        self.pid, self.task, self.command = task["pid"], task["task"], task["command"]
        self.frames, self.end, self.registers = [], None, {}  # the registers by the number of the frame that they are of
        for item in task["items"]:
            if item["kind"] == "registers":
                self.registers[len(self.frames)] = {k: int(v, 16) for k, v in item.items() if k.isupper()}
            if item["kind"] == "frame":
                self.frames.append((item["function"], int(item["ip"], 16), item["interrupted"]))
            elif item["kind"] == "registers" and item["user_mode"]:
                self.frames.append(("user", int(item.get("RIP") or item.get("EIP") or item.get("PC") or item.get("NIP") or item.get("ERA") or item["PSWA"], 16), True))
            elif item["kind"] == "end":
                self.end = item["reason"]

    def without_scheduler(self, names):
        return [f for f in self.frames if f[0] != "user" and not names.is_scheduler(f[1])]


def differ(theirs, ours):
    """What the first difference is; nothing when there is none."""
    for i, (their, our) in enumerate(zip(theirs, ours)):
        known = our[1] in their.places if their.places else our[0] == their.name.split("+")[0]  # kallsyms may have been cut
        if not known or (their.interrupted and not our[2]):
            return f"frame {i}: {their.name} and {our[0]} at {our[1]:#x}"
    if len(theirs) != len(ours):
        return f"{len(theirs)} and {len(ours)} frames"
    return None


def check(guest, what, theirs, ours):
    if not any(f.user for f in theirs) and not guest.shows_user:
        ours = [f for f in ours if f[0] != "user"]
    if guest.guesses:
        ours = [f for f in ours if f[0] != "handle_syscall"]
    difference = differ(theirs, ours)
    if difference:
        print(f"{what}: {difference}\n    the guest: {[f.name for f in theirs]}\n    kcrash:    {[f'{f[0]} {f[1]:#x}' for f in ours]}")
    guest.check(what, None, difference)


def check_death(guest, names, log, dead):
    if not log or not dead:
        guest.skipped += 1
        return
    death = Death(names, log)
    trace = death.trace
    if death.silent:
        guest.skipped += 1
        return
    guest.check("the log has the trace of the death", True, bool(trace))
    if not trace:
        return
    guest.check("who died", death.pid, dead.pid)
    # panic itself called the printing of the trace from one place, and the crash kernel from another.
    # nmi_panic of 7.3 goes to vpanic directly.
    name = next((name for name in ("panic", "vpanic") if any(f.name.startswith(name + "+") for f in trace)), "")
    panic = next((i for i, f in enumerate(trace) if name and f.name.startswith(name + "+")), None)
    if panic is None:
        at = next((i for i, f in enumerate(dead.frames) if f[2] and f[1] in trace[0].places), None)
        first = 0
    else:
        at = next((i + 1 for i, f in enumerate(dead.frames) if f[0] == name), None)
        first = panic + 1
    guest.check(f"the death of {dead.pid}: its first function", trace[first].name, trace[first].name if at is not None else [f[0] for f in dead.frames])
    if at is None:
        return
    ours = dead.frames[at:]
    theirs = trace[first:] if names.has_orc else believed(trace[first:], ours)
    ours = [f for i, f in enumerate(ours) if not (names.loses_leaf and i and ours[i - 1][2] and i < len(theirs) and f[1] not in theirs[i].places
                                                  and i + 1 < len(ours) and ours[i + 1][1] in theirs[i].places)]
    # riscv's trace does not leave the stack of interrupts.
    if theirs and (theirs[-1].name.startswith("call_on_irq_stack+") or (names.loses_way and theirs[-1].name.endswith("+0"))):
        ours = ours[:len(theirs)]
    check(guest, f"the death of {dead.pid}", theirs, ours)
    for i, frame in enumerate(theirs, at):
        for name, value in frame.registers.items():
            guest.check(f"the death of {dead.pid}: {name} of {frame.name}", hex(value), hex(dead.registers.get(i, {}).get(name, -1)))


def switches(folder):
    text = (folder / "status").read_text(errors="surrogateescape")
    return tuple(int(re.search(rf"^{word}_ctxt_switches:\s+(\d+)", text, re.M)[1]) for word in ("voluntary", "nonvoluntary"))


def recorded_threads(guest):
    for _, folder in guest.processes():
        for thread in (folder / "task").iterdir():
            if (thread / "stack").exists() and (thread / "status").exists():
                yield int(thread.name), thread


def slept_since(guest, pid, switched):
    """Did the process sleep all the time since the minute before sysrq-t?"""
    folder = guest.truth / "early/proc" / str(pid)
    return (folder / "status").exists() and switches(folder) == switched


def check_by_sysrq(guest, names, stack, trace, switched):
    if not trace or not slept_since(guest, stack.pid, switched):
        guest.skipped += 1
        return
    ours = stack.frames[1:] if stack.frames and stack.frames[0][0] == "__schedule" else stack.frames  # arm's trace begins with who called it
    check(guest, f"task {stack.pid} {stack.command!r}: sysrq-t", trace, ours)


def check_sleepers(guest, names, stacks, traces):
    recorded = [(tid, folder) for tid, folder in recorded_threads(guest) if tid in stacks]
    answers = guest.ask([f"struct task_struct.nvcsw,nivcsw {stacks[tid].task}" for tid, _ in recorded])
    has_stacks = any("+0x" in (folder / "stack").read_text() for _, folder in recorded)
    for (tid, folder), answer in zip(recorded, answers):
        values = {v["name"]: v["value"] for v in answer["items"][0]["items"]}
        stack = stacks[tid]
        if switches(folder) != (values["nvcsw"], values["nivcsw"]) or re.search(r"^State:\s+R", (folder / "status").read_text(errors="surrogateescape"), re.M):
            guest.skipped += 1  # it ran since, or it was running
            continue
        if not has_stacks:
            check_by_sysrq(guest, names, stack, traces.get(tid, []), (values["nvcsw"], values["nivcsw"]))
            continue
        lines = (folder / "stack").read_text().splitlines()
        theirs = parse_trace(names, [line.removeprefix("[<0>] ") for line in lines])
        if len(theirs) > 1 and theirs[1].name.startswith("__switch_to+"):
            del theirs[0]  # POWER's kernel begins with the frame of its switch, where nobody stored LR
        check(guest, f"task {tid} {stack.command!r}: /proc stack", theirs, stack.without_scheduler(names))
        trace = traces.get(tid, [])
        if differ([f for f in trace if not f.interrupted and not all(map(names.is_scheduler, f.places))], [(f.name, min(f.places, default=0), False) for f in theirs]):
            guest.skipped += 1  # sysrq-t was of another sleep
        elif trace:
            check(guest, f"task {tid} {stack.command!r}: sysrq-t", trace, stack.frames)


def text_beside(guest, name):
    file = pathlib.Path(guest.files[-1]).parent / name
    return file.read_text(errors="replace") if file.exists() else ""


def main():
    guest = Guest()
    names = Names(guest.text("kallsyms"))
    console = text_beside(guest, "console.txt")
    guest.shows_user = any(word in console for word in (" RIP: ", " EIP: ", "--- interrupt: "))  # arm64 and riscv64 end their traces at the entry from user mode
    guest.guesses = names.guesses
    everyone, dead = guest.ask(["foreach bt", "bt -p"])
    all_stacks = [Stack(item) for item in everyone["items"] if item["kind"] == "task"]
    for stack in all_stacks:
        if stack.frames:
            guest.check(f"task {stack.pid} {stack.command!r}: the stack ends", True, stack.end in ("user_mode", "outermost"))
    # What a double fault says is only in the log when the crash kernel starts.
    check_death(guest, names, text_beside(guest, "vmcore-dmesg.txt") or console, Stack(dead["items"][0]) if dead["ok"] else None)
    check_sleepers(guest, names, {s.pid: s for s in all_stacks if s.pid}, task_traces(names, console))
    guest.end()


main()
