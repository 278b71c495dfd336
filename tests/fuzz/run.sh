#!/usr/bin/env bash
# Runs the fuzz drivers, one after the other: tests/fuzz/run.sh [SECONDS [DRIVER...]]. Needs clang-19 (apt-get install clang-19).
# Starts from samples of every format and from what earlier runs kept in build/fuzz/corpus. Prints what each run executed and covered;
# the status is not 0 when one of them found something.
set -uo pipefail
top=$(cd "$(dirname "$0")/../.." && pwd)
cd "$top" || exit 1
seconds=${1:-60}
shift || true
tools/build fuzz || exit 1
LLVM_PROFILE_FILE=/dev/null build/fuzz/fuzz_seeds build/fuzz/corpus || exit 1
drivers=("$@")
[ ${#drivers[@]} -gt 0 ] || mapfile -t drivers < <(cd build/fuzz && ls fuzz_* | grep -v -e seeds -e "\." | sed 's/^fuzz_//')
status=0
for driver in "${drivers[@]}"; do
  corpus=build/fuzz/corpus/$driver
  log=build/fuzz/$driver.log
  mkdir -p "$corpus"
  # Memory is limited: no number in a file may size an allocation that the file does not back.
  LLVM_PROFILE_FILE=build/fuzz/$driver.profraw nice build/fuzz/fuzz_$driver -max_total_time="$seconds" -max_len=300000 -rss_limit_mb=2048 \
    -malloc_limit_mb=512 -timeout=10 -print_final_stats=1 -artifact_prefix=build/fuzz/found-$driver- "$corpus" >"$log" 2>&1 || status=1
  executions=$(sed -n 's/.*stat::number_of_executed_units: *//p' "$log")
  edges=$(grep -o 'cov: [0-9]*' "$log" | tail -n 1)
  coverage=unknown
  if command -v llvm-profdata-19 >/dev/null && llvm-profdata-19 merge -o build/fuzz/$driver.profdata build/fuzz/$driver.profraw 2>/dev/null; then
    sources=core/dump/$driver.cpp
    [ -e "$sources" ] || sources=core/dump
    coverage=$(llvm-cov-19 report build/fuzz/fuzz_$driver -instr-profile=build/fuzz/$driver.profdata "$sources" 2>/dev/null |
      awk '/^TOTAL/ { print $10 }')
  fi
  echo "$driver: ${executions:-no} executions, $edges, lines of ${sources:-its file}: $coverage, found: $(ls build/fuzz/found-$driver-* 2>/dev/null | wc -l)"
done
exit $status
