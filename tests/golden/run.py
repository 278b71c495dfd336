#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Golden tests: a file of commands and the output it must have, side by side.

    tests/golden/run.py [--update] [NAME...]

tests/golden/SAMPLE/ok.NAME.cmd holds command lines, ok.NAME.out what kcrash prints for them, errors included; none of them may
fail. In err.NAME.cmd each must. Lines that begin with # are comments. All files of a sample run in few processes, and as JSON
once more: every document must be valid and its verdict the same. --update rewrites the .out files: read the difference before
you commit it. Files in tests/golden/any/ hold for every sample.
"""
import difflib
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "tools"))
import kcrash as tool  # noqa: E402

MARK = "@@@ kcrash golden "
FILES_AT_ONCE = 40


def commands_of(case):
    return [line for line in case.read_text().splitlines() if line.strip() and not line.startswith("#")]


def cases_of(folder, names):
    found = sorted(folder.glob("*.cmd")) if folder.is_dir() else []
    return [case for case in found if not names or case.name.split(".")[1] in names]


def run_text(options, sample, home, cases):
    """The output of each case. Marks printed by the shell between the cases cut the stream."""
    outputs = []
    for begin in range(0, len(cases), FILES_AT_ONCE):
        lines = []
        for case in cases[begin:begin + FILES_AT_ONCE]:
            lines += [f"!echo '{MARK}'", *commands_of(case), "set -p > /dev/null", "set radix 10 print_max 256 print_array off output text > /dev/null"]
        result = tool.run(options.kcrash, sample.arguments() + ["-s"], home, "\n".join(lines) + "\n", 600, merge=True)
        chunks = result.stdout.split(MARK + "\n")[1:]
        outputs += chunks + [f"(kcrash ended with status {result.returncode})\n"] * (len(cases[begin:begin + FILES_AT_ONCE]) - len(chunks))
    return outputs


def scrub(text, sample):
    """Paths differ between machines and binaries."""
    for path, word in ((sample.vmlinux, "VMLINUX"), (sample.modules, "MODULES"), (sample.dump, "VMCORE")):
        text = text.replace(str(path), word) if path else text
    return text


def show_difference(case, expected, got):
    lines = difflib.unified_diff(expected.splitlines(), got.splitlines(), str(case.with_suffix(".out")), "got", lineterm="")
    return "\n".join(list(lines)[:200])


def check_text(options, sample, home, cases, count):
    for case, got in zip(cases, run_text(options, sample, home, cases)):
        got, expected_file = scrub(got, sample), case.with_suffix(".out")
        if options.update:
            expected_file.write_text(got)
        expected = expected_file.read_text() if expected_file.exists() else ""
        count.check(expected_file.exists() and got == expected, f"{case.parent.name}/{case.name}", show_difference(case, expected, got))


def check_verdicts(options, sample, home, cases, count):
    """In JSON each command says whether it failed. Cases with pipes and redirections are left out: not all they print is ours."""
    lines, owners = [], []
    for case in cases:
        if not any(set(line) & set("|<>!") or line.startswith("set output") for line in commands_of(case)):
            commands = [line for line in commands_of(case) if not line.startswith("//")]
            lines += commands
            owners += [case] * len(commands)
    result = tool.run(options.kcrash, sample.arguments() + ["-s", "--json"], home, "\n".join(lines) + "\n", 600)
    try:
        documents = tool.documents(result.stdout)
    except ValueError as error:
        return count.check(False, "JSON of the golden commands", f"{error}\n{result.stderr[-2000:]}")
    if not count.check(len(documents) == len(lines), "JSON: one document for each command", f"{len(documents)} for {len(lines)}"):
        return False
    for case in dict.fromkeys(owners):
        wanted = case.name.startswith("ok.")
        wrong = [line for line, owner, document in zip(lines, owners, documents) if owner == case and document["ok"] != wanted]
        count.check(not wrong, f"{case.name}: {'none' if wanted else 'all'} of its commands fail", "\n".join(wrong))
    return True


def main():
    parser = tool.parser(__doc__.splitlines()[0])
    parser.add_argument("--update", action="store_true")
    parser.add_argument("names", nargs="*")
    options = parser.parse_args()
    count = tool.Count("golden")
    samples = [tool.sample_of(options)] if options.dump else tool.committed_samples()
    if not samples:
        count.skip("the committed samples are not here")
    here = pathlib.Path(__file__).parent
    for sample in samples:
        cases = cases_of(here / "any", options.names) + cases_of(here / sample.name, options.names)
        if cases:
            home = tool.Home()
            check_text(options, sample, home, cases, count)
            check_verdicts(options, sample, home, cases, count)
    count.finish()


if __name__ == "__main__":
    main()
