#!/bin/bash
# models_test.sh CHECK -- the sound models hold, searched to their end; each planted bug is found; and the
# functions that the README says a transition stands for are where it says.
set -uo pipefail

check=$1
folder=$(dirname "$check")
states_min=100000
failures=0

fail() {
    echo "FAILED: $1"
    failures=$((failures + 1))
}

# holds MODEL FLAGS [UNREACHED]: no error, all of it, everything reached (but so many), and enough of it.
holds() {
    local said states errors unreached
    said=$("$check" "$folder/$1" "$2")
    echo "$1 $2: $said"
    read -r _ states _ errors _ unreached _ _ <<<"$said"
    [[ $errors == 0 && $unreached == "${3:-0}" && $said == *" complete" ]] || fail "$1 $2 does not hold"
    ((states >= states_min)) || fail "$1 $2 has few states"
}

# finds MODEL FLAGS
finds() {
    local said
    said=$("$check" "$folder/$1" "$2")
    echo "$1 $2: $said"
    [[ $said == *" errors 1 "* ]] || fail "$1 $2: the planted bug is not found"
}

holds log.pml -DNB=3
# Here no candidate's node had a lower ballot to step down from.
holds log.pml "-DNB=3 -DTHIRD=2" 4
holds log.pml "-DNB=2 -DNC=2" 8
holds log.pml "-DNB=3 -DS=1 -DNC=2"
holds log.pml "-DNB=4 -DS=1 -DNC=1"
for bug in BLIND WRONGVAL FORGETCHOSEN NOBARRIER EARLYREAD; do
    finds log.pml "-DNB=3 -DBUG_$bug"
done
for bug in UNSYNCED_PROMISE UNSYNCED_ACCEPT UNLOGGED REPLAY; do
    finds log.pml "-DNB=3 -DS=1 -DNC=1 -DBUG_$bug"
done
holds lease.pml -DTHIRD=2
holds lease.pml -DTHIRD=0
for bug in ANSWER DRIFT ROUND FORGET BOOT KEEP ANYHAND; do
    finds lease.pml "-DBUG_$bug"
done

# defined NAME FILE: whether paxos/FILE has the function's body, not just a call or a declaration.
defined() {
    grep -qE "^[a-z][a-z0-9_ ]*[ *]$1\(([^;]*|.*\) \{)$" "paxos/$2"
}

# The README's tables: `name`, `name` (file.c), ... in the second column; `name` of the model in the first.
model=
named=0
# The backquotes are the document's.
# shellcheck disable=SC2016
while IFS='|' read -r _ left right _; do
    [[ $left =~ \`([a-z]+\.pml)\` ]] && model=${BASH_REMATCH[1]} && continue
    [[ $left == *'`'* ]] || continue
    for name in $(grep -oE '`[A-Za-z_]+`' <<<"$left" | tr -d '`'); do
        grep -qE "^(proctype|inline|#define) $name\(" "$folder/$model" || fail "$model has no $name"
    done
    before=$named
    while read -r group; do
        file=$(sed -E 's/.*\(([a-z]+\.c)\)/\1/' <<<"$group")
        for name in $(grep -oE '`[a-z_]+`' <<<"$group" | tr -d '`'); do
            defined "$name" "$file" || fail "docs/models/README.md: $name is not in paxos/$file"
            named=$((named + 1))
        done
    done < <(grep -oE '[^()]*\([a-z]+\.c\)' <<<"$right")
    ((named > before)) || fail "docs/models/README.md: no function for $left"
done < <(sed -n '/^## What stands for what/,/^## What is left out/p' "$folder/README.md")
((named >= 40)) || fail "docs/models/README.md names only $named functions"

# The comments of the models.
while read -r name; do
    grep -qE "^[a-z].*\b$name\(" paxos/*.c || fail "a model names $name, which is not in paxos/"
done < <(grep -ohE '\b(paxos|canvass|prepare)_[a-z_]+' "$folder"/*.pml | sort -u)

((failures == 0))
