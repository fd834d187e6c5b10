#!/bin/bash
# mutants_test.sh (NAME:CHECKERS BINARY)... -- each binary has a planted bug, and within a thousand
# seeds one of its CHECKERS must notice it. An assertion or another checker does not count.
set -uo pipefail

seeds=1..1000
survivors=0
while (($# > 0)); do
    name=${1%%:*} checkers=${1#*:} binary=$2
    shift 2
    said=$("$binary" --seeds "$seeds" 2>&1 >/dev/null | grep -m 1 '^FAILED: seed')
    caught=$(sed -n 's/^FAILED: seed [0-9]*: \([a-z]*\): .*/\1/p' <<<"$said")
    if [[ -n $caught && " $checkers " == *" $caught "* ]]; then
        verdict=caught
    else
        verdict=SURVIVES
        survivors=$((survivors + 1))
    fi
    printf '%-26s %-9s %s\n' "$name" "$verdict" "${said:0:110}"
done
((survivors == 0))
