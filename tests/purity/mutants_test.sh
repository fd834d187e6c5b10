#!/bin/bash
# mutants_test.sh TEST_BUILD PROGRAM... -- no program of the product has a switch for planted bugs;
# TEST_BUILD has, so the search finds what it looks for.
set -euo pipefail

has_switch() {
    nm "$1" | grep -E ' (torc|paxos)_mutant$' >/dev/null
}

has_switch "$1" || {
    echo "not found where it must be: $1"
    exit 1
}
shift
for program in "$@"; do
    if has_switch "$program"; then
        echo "a switch for planted bugs in $program"
        exit 1
    fi
done
