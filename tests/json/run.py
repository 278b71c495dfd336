#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every document that kcrash prints with --json against the schema, commands/report/kcrash.schema.json.

    tests/json/run.py [--dump FILE --vmlinux FILE]

The commands are those of all golden files and of all option cases, on every committed sample. Also: the kinds that a command
printed on sample-6.1 are listed, so that a change of one is seen in the difference of tests/json/kinds.txt (--update rewrites
it): scripts depend on them.
"""
import collections
import json
import pathlib
import sys

import jsonschema

HERE = pathlib.Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "tools"))
import kcrash as tool  # noqa: E402


def lines_of_tests():
    lines = []
    for case in sorted((HERE.parent / "golden").glob("*/*.cmd")):
        lines += [line for line in case.read_text().splitlines() if line.strip() and not line.startswith(("#", "//"))]
    table = HERE.parent / "options/options.tsv"
    if table.exists():
        lines += [part for row in table.read_text().splitlines() if row.count("\t") >= 3 and not row.startswith("# ") and "{" not in row
                  for part in row.split("\t")[2].split(" ;; ")]
    lines = [line for line in dict.fromkeys(lines) if not any(c in line for c in "|<>!") and not line.startswith(("set output", "repeat"))]
    return [line for line in lines if line not in ("exit", "q")]


def keys_by_kind(items, table, command):
    for item in items:
        if item["kind"] != "value":
            table[command, item["kind"]].update(key for key in item if key not in ("kind", "items"))
        keys_by_kind(item.get("items", []), table, command)


def check_documents(options, sample, lines, validator, count):
    """Runs the lines on one sample. Gives the keys of each kind that was printed."""
    result = tool.run(options.kcrash, sample.arguments() + ["-s", "--json"], tool.Home(), "\n".join(lines) + "\n", 900)
    raw = result.stdout.splitlines()
    count.check(len(raw) == len(lines), f"{sample.name}: one document on a line for each command", f"{len(raw)} for {len(lines)}\n{result.stderr[-1000:]}")
    kinds = collections.defaultdict(set)
    for line, text in zip(lines, raw):
        try:
            document = json.loads(text)
        except ValueError as error:
            count.check(False, f"{sample.name}: {line}", str(error))
            continue
        error = jsonschema.exceptions.best_match(validator.iter_errors(document)) if not validator.is_valid(document) else None
        count.check(error is None, f"{sample.name}: {line}", error and f"{error.json_path}: {error.message[:500]}")
        keys_by_kind(document["items"], kinds, document["command"].split()[0] if document["command"] else "")
    return kinds


def check_kinds(kinds, update, count):
    listing = "".join(f"{command} {kind}: {' '.join(sorted(keys))}\n" for (command, kind), keys in sorted(kinds.items()))
    expected = HERE / "kinds.txt"
    if update:
        expected.write_text(listing)
    count.check(expected.exists() and expected.read_text() == listing, "the keys of each kind are those of kinds.txt (--update rewrites it)")


def main():
    parser = tool.parser(__doc__.splitlines()[0])
    parser.add_argument("--update", action="store_true")
    options = parser.parse_args()
    count = tool.Count("json")
    samples = [tool.sample_of(options)] if options.dump else tool.committed_samples()
    if not samples:
        count.skip("the committed samples are not here")
    validator = jsonschema.Draft202012Validator(json.loads((tool.TOP / "commands/report/kcrash.schema.json").read_text()))
    for sample in samples:
        kinds = check_documents(options, sample, lines_of_tests(), validator, count)
        if sample.name == "sample-6.1":
            check_kinds(kinds, options.update, count)
    count.finish()


if __name__ == "__main__":
    main()
