#!/usr/bin/env bash
# What the README promises of a release executable: resident memory and time to the first label.
#
#     tools/promises.sh EXECUTABLE MEGABYTES
set -euo pipefail
electra=$1 megabytes=$2

figures=$("$electra" footprint --max-tokens 512 --json)
field() { grep -o "\"$1\":[0-9]*" <<<"$figures" | head -n 1 | cut -d: -f2; }
peak=$(field peak_kib) anonymous=$(field anonymous_kib)
echo "resident at most $peak KiB (promised: $megabytes MB), anonymous $anonymous KiB (promised: 4 MB)"
[ $((peak * 1024)) -le $((megabytes * 1000000)) ]
[ $((anonymous * 1024)) -le 4000000 ]

best=1000000
for _ in 1 2 3 4 5 6 7 8 9 10; do
  start=${EPOCHREALTIME/./}
  "$electra" classify "ELECTRA is surprisingly fast and accurate." >/dev/null
  took=$((${EPOCHREALTIME/./} - start))
  [ "$took" -lt "$best" ] && best=$took
done
echo "from process start to first label $((best / 1000)).$((best / 100 % 10)) ms (promised: 60 ms)"
[ "$best" -le 60000 ]
