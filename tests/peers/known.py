# SPDX-License-Identifier: GPL-3.0-or-later
"""Where crash of another architecture is known to tell it otherwise, and who says that kcrash is right.

Each explanation is a function that is asked about one fact; it says nothing where it does not apply. Where the guest recorded the fact before it
died, its word is asked each time. Of frames it is drgn's word, which tests/peers/run.py compares frame by frame, or the raw words of the stack.
"""
import dataclasses
import pathlib
import re
import struct

FIRST_FUNCTIONS = {"ret_from_fork", "__primary_switched", "__secondary_switched"}


@dataclasses.dataclass
class Case:
    """A dump. recorded: what the guest said, a folder. ours: all facts of kcrash, by command."""
    architecture: str
    recorded: pathlib.Path
    ours: dict
    vmlinux: pathlib.Path
    names: dict = dataclasses.field(default_factory=dict)

    def starts(self, name):
        """The addresses that have this name."""
        if not self.names:
            for key in self.ours.get("sym -l", {}):
                self.names.setdefault(key.split()[1], set()).add(int(key.split()[0], 16))
        return self.names.get(name, set())

    def sections(self):
        """The names of vmlinux's sections."""
        data = self.vmlinux.read_bytes()
        order, wide = "<>"[data[5] - 1], data[4] == 2
        table, = struct.unpack_from(order + ("Q" if wide else "I"), data, 40 if wide else 32)
        size, count, names = struct.unpack_from(order + "HHH", data, 58 if wide else 46)
        start, = struct.unpack_from(order + ("Q" if wide else "I"), data, table + names * size + (24 if wide else 16))
        rows = [struct.unpack_from(order + "I", data, table + n * size)[0] + start for n in range(count)]
        return {data[row:data.index(b"\0", row)].decode() for row in rows}

    def guest(self, file, pattern):
        path = self.recorded / file
        match = re.search(pattern, path.read_text(errors="replace"), re.M) if path.exists() else None
        return match[1] if match else None


def share(case, key, theirs, ours):
    """crash counts physical memory from address 0 on, where it begins at 1 GB on the machine of arm64."""
    size = re.match(r"([\d.]+) (MB|GB)$", case.ours["sys"].get("MEMORY", ""))
    if not key.endswith(" %mem") or not size:
        return None
    megabytes = float(size[1]) * (1024 if size[2] == "GB" else 1)
    exact = 100 * int(case.ours["ps"][key.replace("%mem", "rss")]) / 1024 / megabytes
    return "crash's %MEM is not RSS through MEMORY, kcrash's is" if abs(float(ours) - exact) < 0.11 < abs(float(theirs) - exact) + 0.06 else None


def resident(case, key, theirs, ours):
    if not key.endswith(" rss"):
        return None
    pid = case.ours["ps"][key.replace(" rss", " pid")]
    if case.guest(f"proc/{pid}/smaps_rollup", r"^Rss: +(\d+) kB") != ours:
        return None
    return "crash's RSS is not what the guest found by walking the page tables (smaps_rollup), kcrash's is"


def committed(case, key, theirs, ours):
    said = case.guest("meminfo", r"^Committed_AS: +(\d+) kB") if key == "COMMITTED" else None
    if not said or abs(int(said) // 4 - int(ours)) > abs(int(said) // 4 - int(theirs)):
        return None
    return "crash's COMMITTED lacks what cpus had not handed in; the guest's Committed_AS is nearer to kcrash's"


def uptime(case, key, theirs, ours):
    if key != "UPTIME":
        return None
    clocks = [re.search(r"(\d\d):(\d\d):(\d\d)$", said) for said in (theirs, ours)]
    seconds = [sum(int(part) * unit for part, unit in zip(clock.groups(), (3600, 60, 1))) for clock in clocks if clock]
    if len(seconds) == 2 and seconds[1] - seconds[0] == 1:
        return "crash counts ticks, kcrash asks the kernel's clock as /proc/uptime does: a second more"
    return None


def more_rows(case, key, theirs, ours):
    """FORMAT of sys."""
    return "only kcrash says it" if theirs is None and key == "FORMAT" else None


def section_names(case, key, theirs, ours):
    return "crash lists names of sections" if ours is None and key.split()[1] in case.sections() else None


def slab_size(case, key, theirs, ours):
    """crash reads the order of a cache's slabs from the wrong half of its word where the first byte is the highest."""
    if not theirs or not ours or theirs[:-2] + theirs[-1:] != ours[:-2] + ours[-1:]:
        return None
    pages = case.guest("slabinfo", rf"^{re.escape(ours[-1])} +\d+ +\d+ +\d+ +\d+ +(\d+) ")
    if pages and ours[-2] == f"{int(pages) * 4}k":
        return "crash's SSIZE is too small; the guest's slabinfo has kcrash's number of pages"
    return None


def zero_operand(case, key, theirs, ours):
    """risbgz of s390x."""
    return "opcodes of newer binutils leave out a last operand 0, kcrash's do not" if ours == f"{theirs},0" else None


def less_said(case, key, theirs, ours):
    if not theirs or not ours:
        return None
    if theirs.replace("[0];", "[];") == ours:
        return "kcrash writes T x[0] as T x[]"
    if re.sub(r"^\[\d+\] ", "", theirs).replace("[0];", "[];") == ours:
        return "kcrash shows no offsets in a member that is a struct without a name, crash does"
    return None


def flags_row(case, key, theirs, ours):
    return "crash of s390x shows the flags in another way" if case.architecture == "s390x" and key == "flags" and theirs is None else None


def same_function(case, theirs, ours):
    """The same name, or another name of the same address: __se_sys_futex and __s390x_sys_futex."""
    return theirs == ours or bool(case.starts(theirs) & case.starts(ours))


def same_frame(case, theirs, ours):
    return theirs[1] == ours[1] and same_function(case, theirs[0], ours[0])


def aliases(case, key, theirs, ours):
    if isinstance(theirs, list) and isinstance(ours, list) and len(theirs) == len(ours) and all(same_frame(case, *pair) for pair in zip(theirs, ours)):
        return "the same addresses, of which each takes another of several names"
    return None


def left_out(case, theirs, ours, registers):
    """Which of our frames crash has not; None where it has one that we have not. registers: crash takes 4 off a PC that is no return address."""
    missing, rest = [], list(theirs)
    for number, frame in enumerate(ours):
        if rest and (same_frame(case, rest[0], frame) or behind_its_end(case, rest[0], frame) or
                     (registers and rest[0][0] == frame[0] and int(frame[1], 16) - int(rest[0][1], 16) == 4)):
            rest.pop(0)
        else:
            missing.append(number)
    return None if rest else missing


def behind_its_end(case, theirs, ours):
    """A call that does not return stands at the end of a function: the return address is the begin of the next one, by which crash names it."""
    return theirs[1] == ours[1] and int(theirs[1], 16) in case.starts(theirs[0])


def arm64_stack(case, key, theirs, ours):
    if case.architecture != "arm64" or not isinstance(theirs, list) or not isinstance(ours, list) or len(theirs) < 2 or len(ours) < 2:
        return None
    if [f[0] for f in ours[:2]] == ["machine_kexec", theirs[0][0]] == ["machine_kexec", "__crash_kexec"] and theirs[1:] == ours[2:]:
        return "crash begins where __crash_kexec saved its registers; the stack has the return address of machine_kexec below it"
    missing = left_out(case, theirs, ours, True)
    if missing == [len(ours) - 1] and ours[-1][0] in FIRST_FUNCTIONS:
        return "crash leaves out the outermost function (ret_from_fork, __primary_switched, __secondary_switched); drgn has it"
    names = [frame[0] for frame in ours]
    inner = next((n for n, name in enumerate(names) if name in ("el1h_64_irq", "el0t_64_irq")), None)
    if missing is not None and inner is not None and set(range(inner + 1)) <= set(missing) and set(missing) <= {*range(inner + 1), inner + 2, len(ours) - 1}:
        return "crash begins at the registers of the note, 4 off, and loses the caller of a leaf function, which is in LR; kcrash has what ran on top, too"
    return None


def s390x_stack(case, key, theirs, ours):
    if case.architecture != "s390x" or not isinstance(theirs, list) or not isinstance(ours, list):
        return None
    missing = left_out(case, theirs, ours, False)
    if missing is None:
        return None
    names = [frame[0] for frame in ours]
    between = {"do_ext_irq", "do_io_irq", "__machine_kdump", "smp_call_ipl_cpu"}
    if all(names[n] in between or (n and names[n - 1] in ("ext_int_handler", "io_int_handler")) for n in missing):
        return "crash leaves out the frame at which a stack is entered or left, and the caller of an interrupted leaf function, or names a function by " \
               "an address behind its end; the return addresses are on the stacks, in R14 of the registers, and before them are the calls"
    return None


def no_walk(case, key, theirs, ours):
    """The other fact of the answer, that nothing is mapped there, was compared."""
    return "crash shows no tables for an address that is in no area of the task" if theirs is None and key != "VIRTUAL" else None


ANY = {"dis": [zero_operand], "struct": [less_said], "vtop": [flags_row, no_walk]}
STACKS = [aliases, arm64_stack, s390x_stack]
KNOWN = {"ps": [share, resident], "ps -A": [share, resident], "kmem -i": [committed], "kmem -s": [slab_size], "sys": [uptime, more_rows], "sym -l": [section_names],
         "bt": STACKS, "foreach bt": STACKS}


def reason(case, command, key, theirs, ours):
    for explain in KNOWN.get(command) or ANY.get(command.split()[0], []):
        if (said := explain(case, key, theirs, ours)):
            return said
    return None
