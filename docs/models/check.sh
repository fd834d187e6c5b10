#!/bin/bash
# check.sh MODEL.pml FLAGS -- one exhaustive search, in a directory of its own. Prints a line:
#   states N errors E unreached U seconds S complete|INCOMPLETE
# unreached: transitions that no state has, ends of processes aside.
set -euo pipefail

model=$(readlink -f "$1")
flags=${2:-}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

# Words on purpose: one argument for each flag.
# shellcheck disable=SC2086
spin $flags -a "$model" >said 2>&1 || {
    cat said
    exit 1
}
gcc -O2 -w -DSAFETY -DCOLLAPSE -DVECTORSZ=2048 -DMEMLIM=4000 -o pan pan.c
started=$SECONDS
./pan -m500000 >pan.out 2>&1 || true
states=$(sed -nE 's/^ *([0-9.e+]+) states, stored.*/\1/p' pan.out | head -1)
errors=$(sed -nE 's/.*errors: ([0-9]+).*/\1/p' pan.out | head -1)
unreached=$(sed -n '/^unreached in/,$p' pan.out | grep -E '^\s.*state [0-9]+' | grep -vc -- '-end-' || true)
complete=complete
if grep -qE 'search depth too small|max search depth|out of memory|Search not completed|hash table full' pan.out &&
    [[ $errors == 0 ]]; then
    complete=INCOMPLETE
fi
printf 'states %.0f errors %s unreached %s seconds %s %s\n' "${states:-0}" "${errors:-?}" "$unreached" \
    $((SECONDS - started)) "$complete"
[[ -z ${SHOW:-} ]] || { sed -n '/^unreached/,$p' pan.out && tail -3 said; }
