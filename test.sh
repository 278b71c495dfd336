#!/usr/bin/env bash
# Installs what is missing, builds, and runs every test. The last line counts passed, failed and skipped.
#
#   test.sh             everything; the stock kernels' dumps are made once and kept in the cache folder
#   test.sh NAME...     only those suites (the names that each heading prints)
#
# A suite is a program whose last line reads "NAME: N passed, N failed, N skipped". To add one, add a line at the end.
set -uo pipefail
top=$(cd "$(dirname "$0")" && pwd)
cd "$top" || exit 1
only=" $* "
passed=0 failed=0 skipped=0
started=$SECONDS

# suite NAME COMMAND...: runs it, shows what it printed, adds up what it counted.
suite() {
  local name=$1 log rc line
  shift
  [ "$only" = "  " ] || [[ $only == *" $name "* ]] || return 0
  log=$(mktemp)
  echo "=== $name"
  "$@" >"$log" 2>&1
  rc=$?
  line=$(grep -E '[0-9]+ passed, [0-9]+ failed' "$log" | tail -n 1)
  if [[ $line =~ ([0-9]+)\ passed,\ ([0-9]+)\ failed(,\ ([0-9]+)\ skipped)? ]]; then
    passed=$((passed + BASH_REMATCH[1])) failed=$((failed + BASH_REMATCH[2])) skipped=$((skipped + ${BASH_REMATCH[4]:-0}))
    if [ $rc -ne 0 ] && [ "${BASH_REMATCH[2]}" -eq 0 ]; then
      failed=$((failed + 1))
      echo "$name: ended with status $rc"
    fi
  else
    failed=$((failed + 1))
    echo "$name: said nothing of what it counted, status $rc"
  fi
  if [ $rc -ne 0 ]; then tail -n 120 "$log"; else tail -n 3 "$log"; fi
  echo "    ($((SECONDS - started)) s so far)"
  rm -f "$log"
}

# doctest's own count, in the words of a suite.
unit() {
  local kind=$1 out rc
  mkdir -p build/seen
  out=$(KCRASH_SEEN=build/seen timeout 900 "build/$kind/unit_tests" --no-colors 2>&1)
  rc=$?
  printf '%s\n' "$out" | tail -n 100
  if [[ $out =~ test\ cases:\ +[0-9]+\ \|\ +([0-9]+)\ passed\ \|\ +([0-9]+)\ failed ]]; then
    local successes=${BASH_REMATCH[1]} failures=${BASH_REMATCH[2]} unasked=0
    # Where libkdumpfile is not installed, its word was not asked for.
    [[ $out =~ dumps\ compared,\ ([0-9]+)\ skipped ]] && unasked=${BASH_REMATCH[1]}
    echo "unit-$kind: $successes passed, $failures failed, $unasked skipped"
  fi
  return $rc
}

echo "=== build"
tools/build release || { echo "0 passed, 1 failed, 0 skipped"; exit 1; }
tools/build asan || { echo "0 passed, 1 failed, 0 skipped"; exit 1; }
echo "    ($((SECONDS - started)) s so far)"

source tests/suites

echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
