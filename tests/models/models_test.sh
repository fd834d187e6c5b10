#!/bin/bash
# models_test.sh CHECK -- the sound models hold, searched to their end; each planted bug is found; and the
# functions that the README says a transition stands for are in paxos/.
set -uo pipefail

check=$1
folder=$(dirname "$check")
states_min=100000
failures=0

fail() {
    echo "FAILED: $1"
    failures=$((failures + 1))
}

# holds MODEL FLAGS: no error, all of it, everything reached, and enough of it.
holds() {
    local said states errors unreached
    said=$("$check" "$folder/$1" "$2")
    echo "$1 $2: $said"
    read -r _ states _ errors _ unreached _ _ <<<"$said"
    [[ $errors == 0 && $unreached == 0 && $said == *" complete" ]] || fail "$1 $2 does not hold"
    ((states >= states_min)) || fail "$1 $2 has few states"
}

# finds MODEL FLAGS
finds() {
    local said
    said=$("$check" "$folder/$1" "$2")
    echo "$1 $2: $said"
    [[ $said == *" errors 1 "* ]] || fail "$1 $2: the planted bug is not found"
}

holds log.pml -DNB=2
for bug in BLIND NOSYNC REPLAY RECORDSONLY; do
    finds log.pml "-DNB=2 -DBUG_$bug"
done
finds log.pml "-DNB=3 -DBUG_NOBARRIER"
holds lease.pml -DTHIRD=2
holds lease.pml -DTHIRD=0
for bug in ANSWER DRIFT ROUND FORGET BOOT KEEP ANYHAND; do
    finds lease.pml "-DBUG_$bug"
done

# The backquotes are the document's.
# shellcheck disable=SC2016
while read -r name; do
    grep -qE "\b$name\(" paxos/*.c || fail "docs/models/README.md names $name, which is not in paxos/"
done < <(grep -oE '`(paxos|canvass|prepare)_[a-z_]+`' "$folder/README.md" | tr -d '`' | sort -u)

((failures == 0))
