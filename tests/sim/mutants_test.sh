#!/bin/bash
# mutants_test.sh (NAME:CHECKERS BINARY)... -- each binary has a planted bug, and within a thousand
# seeds one of its CHECKERS must notice it. An assertion or another checker does not count: the next
# seed is tried.
set -uo pipefail

seeds_max=1000

# The checker that ended the run from a seed on, and all that it said; nothing: all seeds passed.
first_failure() {
    "$1" --seeds "$2..$seeds_max" 2>&1 >/dev/null | grep -m 1 '^FAILED: seed'
}

# Prints the verdict on one mutant; false: it survives.
judge() {
    local name=$1 checkers=$2 binary=$3 seed=1 others=0 said checker
    while said=$(first_failure "$binary" "$seed") || [[ -n $said ]]; do
        read -r seed checker < <(sed -n 's/^FAILED: seed \([0-9]*\): \([a-z]*\): .*/\1 \2/p' <<<"$said")
        if [[ " $checkers " == *" $checker "* ]]; then
            printf '%-26s caught    (%d by others) %s\n' "$name" "$others" "${said:0:100}"
            return 0
        fi
        others=$((others + 1)) seed=$((seed + 1))
        ((seed <= seeds_max)) || break
    done
    printf '%-26s SURVIVES  (%d by others)\n' "$name" "$others"
    return 1
}

survivors=0
while (($# > 0)); do
    judge "${1%%:*}" "${1#*:}" "$2" || survivors=$((survivors + 1))
    shift 2
done
((survivors == 0))
