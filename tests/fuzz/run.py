#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs the fuzz drivers one after the other, each for so many seconds of CPU, and keeps what they found interesting.

    tests/fuzz/run.py                     each driver, as many of its 600 seconds as earlier runs left over
    tests/fuzz/run.py --seconds 60 elf    these drivers, up to 60 seconds in all
    tests/fuzz/run.py --pack              the smallest corpus that covers as much, as tests/fuzz/corpus.tar.xz

Needs clang-19 and llvm-19. The corpus, and how long each driver ran, stay in ~/.cache/kcrash/fuzz. A driver that found something is
named with the input; its time begins anew when --again is given, after the fix. The input stays in the corpus when it is put there as found-WHAT.
"""
import argparse
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile

TOP = pathlib.Path(__file__).resolve().parents[2]
PACKED = TOP / "tests/fuzz/corpus.tar.xz"
LIMITS = ["-rss_limit_mb=2048", "-malloc_limit_mb=512", "-timeout=300", "-report_slow_units=300"]  # no number in a file may size what the file does not back
TURN = 60  # seconds of one process; few, so that another's turn comes


class Fuzzer:
    def __init__(self, args):
        self.args, self.kept = args, args.keep / "corpus"
        self.binary = args.build / "fuzz"
        listed = subprocess.run([self.binary], capture_output=True, text=True, env=self.environment(os.devnull)).stdout.splitlines()
        self.drivers = {words[0]: (int(words[1]), words[2:]) for words in map(str.split, listed)}
        self.state_file = args.keep / "state.json"
        self.state = json.loads(self.state_file.read_text()) if self.state_file.exists() else {}
        self.kept.mkdir(parents=True, exist_ok=True)
        if PACKED.exists():
            with tarfile.open(PACKED) as tar:
                for member in tar:
                    if member.isfile() and re.fullmatch(r"[a-z0-9_-]+/[^/]+", member.name):
                        path = self.kept / member.name
                        path.parent.mkdir(exist_ok=True)
                        path.write_bytes(tar.extractfile(member).read())
        subprocess.run([args.build / "fuzz_seeds", self.kept], check=True, env=self.environment(os.devnull))

    def environment(self, profile):
        return {**os.environ, "LLVM_PROFILE_FILE": str(profile)}

    def found(self, driver):
        return sorted(self.args.keep.glob(f"found-{driver}-*"))

    def turn(self, driver, seconds):
        """One process. What it used and did is added to the driver's row."""
        row = self.state.setdefault(driver, {"runs": 0, "seconds": 0.0})
        longest, _ = self.drivers[driver]
        log = self.args.keep / f"{driver}.log"
        command = [self.binary, f"--driver={driver}", f"-max_total_time={seconds}", f"-max_len={longest}", *LIMITS, "-print_final_stats=1", "-verbosity=1",
                   f"-artifact_prefix={self.args.keep}/found-{driver}-", self.kept / driver]
        with open(log, "w") as out:
            process = subprocess.Popen(list(map(str, command)), stdout=out, stderr=out, env=self.environment(self.args.keep / f"{driver}.profraw"),
                                       preexec_fn=lambda: os.nice(19))
            _, status, usage = os.wait4(process.pid, 0)
        text = log.read_text(errors="replace")
        row["runs"] += int((re.findall(r"stat::number_of_executed_units: *(\d+)", text) or [0])[-1])
        row["seconds"] += usage.ru_utime + usage.ru_stime
        row["edges"] = int((re.findall(r"cov: (\d+)", text) or [0])[-1])
        row["found"] = len(self.found(driver))
        if status == 0:
            row["lines"] = self.lines(driver)
        elif not row["found"]:
            row["found"] = 1
            print(text[-3000:])
        self.state_file.write_text(json.dumps(self.state, indent=1, sort_keys=True) + "\n")
        self.table()

    def lines(self, driver):
        """Lines covered of the driver's files: {file: percent}."""
        raw, merged = self.args.keep / f"{driver}.profraw", self.args.keep / f"{driver}.profdata"
        subprocess.run(["llvm-profdata-19", "merge", "-o", merged, raw], check=True)
        result = {}
        sources = [file for file in self.drivers[driver][1] if (TOP / file).exists()]
        if any(file.endswith("_tables.cpp") for file in sources):  # the architecture's page tables have a file of their own
            sources = [file for file in sources if file.replace(".cpp", "_tables.cpp") not in sources]
        for source in sources:
            text = subprocess.run(["llvm-cov-19", "export", "-summary-only", self.binary, f"-instr-profile={merged}", TOP / source], check=True,
                                  capture_output=True, text=True).stdout
            result[source] = round(json.loads(text)["data"][0]["totals"]["lines"]["percent"], 1)
        raw.unlink()
        merged.unlink()
        return result

    def table(self):
        rows = ["| driver | executions | seconds of CPU | lines covered | findings |", "|---|---|---|---|---|"]
        for driver in self.drivers:
            row = self.state.get(driver, {})
            lines = ", ".join(f"{pathlib.Path(source).name} {percent} %" for source, percent in row.get("lines", {}).items())
            rows.append(f"| {driver} | {row.get('runs', 0):,} | {row.get('seconds', 0):.0f} | {lines} | {row.get('found', 0)} |")
        self.args.table.write_text("\n".join(rows) + "\n")

    def run(self, wanted):
        for driver in wanted:
            if self.args.again:
                self.state.pop(driver, None)
            while not self.found(driver) and (left := self.args.seconds - self.state.get(driver, {}).get("seconds", 0)) > 2:
                before = self.state.get(driver, {}).get("seconds", 0)
                self.turn(driver, min(TURN, int(left) + 1))
                if self.state[driver]["found"] or self.state[driver]["seconds"] - before < 0.1:
                    break
            print(f"{driver}: {json.dumps(self.state.get(driver, {}))}", *self.found(driver), flush=True)
        return any(self.found(driver) or self.state.get(driver, {}).get("found") for driver in wanted)

    def pack(self):
        with tempfile.TemporaryDirectory() as folder:
            small = pathlib.Path(folder)
            for driver, (longest, _) in self.drivers.items():
                (small / driver).mkdir()
                # Long inputs only where nothing shorter covers as much: merge goes by size.
                subprocess.run([self.binary, f"--driver={driver}", "-merge=1", f"-max_len={min(longest, self.args.longest)}", *LIMITS, small / driver,
                                self.kept / driver], check=True, capture_output=True, env=self.environment(os.devnull))
                for finding in (self.kept / driver).glob("found-*"):  # whatever else covers its lines
                    shutil.copy(finding, small / driver)
            with tarfile.open(PACKED, "w:xz", preset=9) as tar:
                for path in sorted(small.rglob("*")):
                    if path.is_file():
                        info = tarfile.TarInfo(str(path.relative_to(small)))
                        info.size = path.stat().st_size
                        with open(path, "rb") as file:
                            tar.addfile(info, file)
        print(f"{PACKED}: {PACKED.stat().st_size} bytes")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("driver", nargs="*")
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--again", action="store_true")
    parser.add_argument("--pack", action="store_true")
    parser.add_argument("--longest", type=int, default=40_000, help="bytes of an input that is packed")
    parser.add_argument("--build", type=pathlib.Path, default=TOP / "build/fuzz")
    parser.add_argument("--keep", type=pathlib.Path, default=pathlib.Path(os.environ.get("XDG_CACHE_HOME", pathlib.Path.home() / ".cache")) / "kcrash/fuzz")
    parser.add_argument("--table", type=pathlib.Path, default=TOP / "build/fuzz/results.md")
    args = parser.parse_args()
    if args.build == TOP / "build/fuzz":
        subprocess.run([TOP / "tools/build", "fuzz"], check=True)
    fuzzer = Fuzzer(args)
    if args.pack:
        return fuzzer.pack()
    return fuzzer.run(args.driver or list(fuzzer.drivers))


if __name__ == "__main__":
    sys.exit(main())
