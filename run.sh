#!/usr/bin/env bash
# Installs what is missing, builds, and opens a dump: run.sh [VMLINUX VMCORE] [options]. Without arguments, the committed sample.
set -euo pipefail
top=$(cd "$(dirname "$0")" && pwd)
"$top/tools/build" release kcrash
if [ $# -eq 0 ]; then
  sample=$top/vmcore-samples/sample-6.1
  set -- "$sample/vmlinux.xz" "$sample/vmcore" --mod "$sample/modules"
fi
exec "$top/build/release/kcrash" "$@"
