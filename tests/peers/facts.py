# SPDX-License-Identifier: GPL-3.0-or-later
"""What a command's text says, without its layout: crash's and kcrash's text are read by the same lines here.

facts(command, text) is a dict: the name of each fact, and what is said of it.
"""
import re

HEX = r"[0-9a-f]+"
TASK = re.compile(rf"^([> ]) +(\d+) +(\d+) +(\d+) +({HEX}) +(\w\w) +([\d.]+) +(\d+) +(\d+) +(.*)$")
OWNER = re.compile(rf"^PID: (-?\d+) +TASK: ({HEX}) +CPU: (\d+) +COMMAND: \"(.*)\"$")
FRAME = re.compile(rf"^ *#(\d+) \[ *({HEX})\] (\S+) at ({HEX})")
FIELD = re.compile(r"^ *([A-Z][A-Z ]+): (.*)$")


class Failure(str):
    """In place of a fact: the message of a program that did not manage."""


def printable(text):
    """Bytes that are no text: crash prints them as they are, or a dot; kcrash as \\x1b."""
    return re.sub(r"\\x[0-9a-f]{2}|[^ -~\t\n]", ".", text)


def whole(name):
    return re.sub(r"\.(isra|part)\.\d+.*", "", name)


def lines_of(text):
    return [" ".join(line.split()) for line in text.splitlines() if line.strip()]


def system(text):
    return {match[1]: match[2].strip().strip('"') for line in text.splitlines() if (match := FIELD.match(line))}


def tasks(text):
    found = {}
    for line in text.splitlines():
        if (match := TASK.match(line)):
            active, pid, ppid, cpu, address, state, share, size, resident, name = match.groups()
            found[address] = {"active": active, "pid": pid, "ppid": ppid, "cpu": cpu, "state": state, "%mem": share, "vsz": size, "rss": resident, "name": name}
    return {f"{address} {what}": said for address, task in found.items() for what, said in task.items()}


def stacks(text):
    """Of each task: the frames as (function, address), from the innermost, and the user's registers."""
    found, address, header, registers = {}, None, "", []
    for line in [*text.splitlines(), 'PID: 0 TASK: 0 CPU: 0 COMMAND: ""']:
        if (match := OWNER.match(line)):
            if address:
                found[f"{address} registers at last"] = found[address] if isinstance(found[address], Failure) else " ".join(" ".join(registers).split())
            address, registers = match[2], []
            found[address] = []
            found[f"{address} header"] = (match[1], match[3], match[4])
        elif address and line.startswith("bt: ") and not isinstance(found[address], Failure):
            found[address] = Failure(line)
        elif (match := FRAME.match(line)) and not isinstance(found.get(address), Failure):
            found[address].append((whole(match[3]), match[4]))
            registers = []
        elif re.match(rf" +(PSW|GPRS|[A-Z0-9_]+): +|  +{HEX}", line):
            registers.append(re.sub(r"\[.*?\]|\(.*?\)", "", line))
    for name in ("0", "0 header"):
        found.pop(name, None)
    return found


def modules(text):
    rows = [line.split() for line in text.splitlines()[1:]]
    return {row[1]: (row[0], row[2], row[3]) for row in rows if len(row) > 3}


def usage(text):
    """kmem -i: the pages of each row."""
    return {match[1]: match[2] for line in text.splitlines() if (match := re.match(r"^ *([A-Z ]+?) +(\d+) ", line))}


def caches(text):
    """kmem -s: a row for each cache, by its address."""
    return {line.split()[0]: line.split()[1:] for line in text.splitlines()[1:] if line.strip()}


def words(text):
    """rd: the words at each address."""
    return {match[1]: match[2].split() for line in text.splitlines() if (match := re.match(rf" *({HEX}): +((?:{HEX} )+)", line))}


def translation(text):
    """vtop: the address row, each step through the tables, the flags of the last; not the page's and the area's rows."""
    found = {}
    for line in lines_of(re.sub(r"\(flags = \w+\)", "", text).replace("(not accessible)", "(not mapped)")):
        line = re.sub(r"\b(0x)?0+([0-9a-f]+)\b", r"\2", line)
        if re.match(rf"{HEX} ", line) and "VIRTUAL" not in found:
            found["VIRTUAL"] = line
        elif re.match(r"\w+: \w+ => \w+", line):
            found[line.split(":")[0]] = line
        elif line.startswith(("PAGE DIRECTORY:", "PAGE:")):
            found[line.split(":")[0]] = line.split()[-1]
        elif line.endswith(")") and "(" in line and "flags" not in found and "VIRTUAL" in found:
            found["flags"] = line
    return found


def instructions(text):
    """dis: mnemonic and operands at each address, without the names of what the operands point at, and without comments. The padding behind a
    function has no name of its own."""
    found = {}
    for line in text.splitlines():
        if (match := re.match(rf"^ *(0x{HEX})(?: <\S+>)?:\s+(.*)$", line)):
            found[match[1]] = " ".join(re.sub(r"<[^>]*>|(//|#).*$", lambda m: m[0] if m[0][0] == "#" else "", match[2]).split())
    return found


def symbols(text):
    """sym -l: the kind of each name at each address. crash leaves off what the compiler put behind the names of parts of functions."""
    found = {}
    for line in text.splitlines():
        if (match := re.match(rf"^({HEX}) \((\w)\) (\S+)", line)):
            found[f"{match[1]} {whole(match[3])}"] = match[2]
    return found


def rows(text):
    """Of values too, each line is one fact. Names of addresses are left out: each has its own favourite of several."""
    return {f"line {number}": re.sub(r"(0x[0-9a-f]+) <[^>]*>", r"\1", line) for number, line in enumerate(lines_of(text), 1)}


READERS = {"sys": system, "ps": tasks, "ps -A": tasks, "bt": stacks, "foreach bt": stacks, "mod": modules, "kmem -i": usage, "kmem -s": caches, "sym -l": symbols,
           "rd": words, "vtop": translation, "dis": instructions}


def facts(command, text):
    """A dict, or a Failure where the whole answer is a message of the program."""
    text = printable(text)
    first = text.strip().split("\n")[0]
    name = command.split()[0]
    if not first or re.match(rf"{name}: (?!.*=>)", first):
        return Failure(first or f"{name} says nothing")
    reader = READERS.get(command) or READERS.get(name if name in ("rd", "vtop", "dis") else "") or rows
    return reader(text)
