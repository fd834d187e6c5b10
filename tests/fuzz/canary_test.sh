#!/bin/bash
# canary_test.sh CORPUS SOUND BUGGY... -- the replay passes the sound decoder and finds each bug.
set -euo pipefail

corpus=$1 sound=$2
shift 2
export TORC_FUZZ_HANG_S=1

"$sound" "$corpus"

for buggy in "$@"; do
    TEST_UNDECLARED_OUTPUTS_DIR=$(mktemp -d "$TEST_TMPDIR/crash.XXXXXX")
    export TEST_UNDECLARED_OUTPUTS_DIR
    crash=$TEST_UNDECLARED_OUTPUTS_DIR/${buggy##*/}.crash
    if "$buggy" "$corpus" >"$TEST_TMPDIR/said" 2>&1; then
        echo "$buggy: the planted bug was not found"
        exit 1
    fi
    if [[ ! -e $crash ]]; then
        echo "$buggy: died without writing its input"
        cat "$TEST_TMPDIR/said"
        exit 1
    fi
    # The input alone brings the same end, and does the sound decoder no harm.
    if TORC_FUZZ_INPUTS=0 "$buggy" "$crash" >/dev/null 2>&1; then
        echo "$buggy: the written input does not bring the crash back"
        exit 1
    fi
    TORC_FUZZ_INPUTS=0 "$sound" "$crash" >/dev/null
    echo "${buggy##*/}: found, $(stat -c %s "$crash") bytes"
done
