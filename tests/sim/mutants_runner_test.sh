#!/bin/bash
# mutants_runner_test.sh MUTANTS -- what --mutants says of bugs that are caught, that equal the
# original, and that only checkers with another subject notice; and that its status says so too.
set -uo pipefail

mutants=$1
failed=0

# expect STATUS PATTERN WORD...: --mutants with the words, over few seeds.
expect() {
    local status=$1 pattern=$2 said
    shift 2
    said=$("$mutants" --seeds 3 "$@" 2>&1)
    local got=$?
    if ((got != status)) || ! grep -q "$pattern" <<<"$said"; then
        printf 'FAILED: --mutants %s: status %d, wanted %d and "%s":\n%s\n' "$*" "$got" "$status" \
            "$pattern" "$said"
        failed=1
    fi
}

expect 0 '^SYNC_SKIPPED  *caught  *by recovery ' SYNC_SKIPPED
# In so few runs nothing comes of it.
expect 1 '^NO_BARRIER_RULE  *EQUAL ' NO_BARRIER_RULE
# Runs fail, and not by the one checker that would count.
expect 1 '^SYNC_SKIPPED  *SURVIVES .* by others)' SYNC_SKIPPED=lease
expect 1 '^1 of 2 caught' SYNC_SKIPPED NO_BARRIER_RULE
expect 2 "no mutant 'NO_SUCH_BUG'" NO_SUCH_BUG
# All checkers are listed, to the last; those that no planted bug has as its own count as well.
expect 2 "no checker 'nobody'; .* recovery .* words$" "SYNC_SKIPPED=recovery nobody"
expect 2 "no checker ''; .* words$" SYNC_SKIPPED=
expect 1 '^SYNC_SKIPPED  *SURVIVES .* by others)' "SYNC_SKIPPED=codec ownership"
exit "$failed"
